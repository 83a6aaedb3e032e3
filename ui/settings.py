"""Settings: the sole reader of the environment. Everything else gets a frozen `Settings`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ingest.errors import UsageError
from rerank.anytime import SecondLookPlan
from rerank.scorers.services import COHERE_URL, ServiceAccess
from rerank.search import DEFAULT_CANDIDATES, ModelChoice

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "sample"
DEFAULT_LIBRARY = ROOT / "data" / "library"

MIN_CANDIDATES, MAX_CANDIDATES = 10, 200
MIN_RESULTS, MAX_RESULTS, DEFAULT_RESULTS = 3, 20, 10

YES, NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the person chose, from the environment or the command line.

    ``encoder`` and ``reranker`` are names, aliases or folders; ``None`` is the default pair. ``budget_ms`` is the
    time that a second look may take, ``None`` as long as it needs. ``services`` holds addresses of rerankers outside
    this process, and the keys to them.
    """

    library: Path = DEFAULT_LIBRARY
    encoder: str | None = None
    reranker: str | None = None
    allow_downloads: bool = True
    candidates: int = DEFAULT_CANDIDATES
    results: int = DEFAULT_RESULTS
    budget_ms: float | None = None
    engine: str = "auto"
    services: ServiceAccess = field(default_factory=ServiceAccess)

    @property
    def models(self) -> ModelChoice:
        """The part of the settings that says which models to use."""
        return ModelChoice(
            self.encoder, self.reranker, self.allow_downloads, self.engine, access=self.services
        )

    @property
    def models_at_once(self) -> ModelChoice:
        """The same for a search that somebody waits for: nothing is measured before it."""
        return replace(self.models, wait_for_engine=False)


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from ``SECONDLOOK_LIBRARY``, ``_ENCODER``, ``_RERANKER``, ``_DOWNLOADS``, ``_BUDGET_MS`` and
    ``_ENGINE``, and access to services from ``SECONDLOOK_RERANK_URL``, ``_MODEL`` and ``_KEY``, ``COHERE_API_KEY`` (or
    ``CO_API_KEY``) and ``CO_API_URL``.

    Raises `UsageError` for a value that cannot be read.
    """
    values = os.environ if environment is None else environment
    downloads = values.get("SECONDLOOK_DOWNLOADS", "1").strip().lower()
    if downloads not in YES | NO:
        raise UsageError(f"SECONDLOOK_DOWNLOADS is “{downloads}”; say 1 (allowed) or 0 (not allowed).")
    return Settings(
        library=Path(values.get("SECONDLOOK_LIBRARY") or DEFAULT_LIBRARY),
        encoder=values.get("SECONDLOOK_ENCODER") or None,
        reranker=values.get("SECONDLOOK_RERANKER") or None,
        allow_downloads=downloads in YES,
        engine=values.get("SECONDLOOK_ENGINE", "").strip().lower() or "auto",
        budget_ms=milliseconds(budget)
        if (budget := values.get("SECONDLOOK_BUDGET_MS", "").strip())
        else None,
        services=_services(values),
    )


def _services(values: Mapping[str, str]) -> ServiceAccess:
    """Where rerankers outside this process are; Cohere's variables are its own client's, and the better known one."""
    return ServiceAccess(
        url=values.get("SECONDLOOK_RERANK_URL", "").strip(),
        model=values.get("SECONDLOOK_RERANK_MODEL", "").strip(),
        key=values.get("SECONDLOOK_RERANK_KEY", "").strip(),
        cohere_key=(values.get("COHERE_API_KEY") or values.get("CO_API_KEY", "")).strip(),
        cohere_url=values.get("CO_API_URL", "").strip() or COHERE_URL,
    )


def milliseconds(text: str) -> float:
    """The time budget that ``text`` says. Raises `UsageError` for what is not a number of 1 or more."""
    try:
        budget = float(text)
    except ValueError as error:
        raise UsageError(
            f"“{text}” is no time for the second look: --budget-ms and SECONDLOOK_BUDGET_MS take milliseconds."
        ) from error
    SecondLookPlan(budget)  # knows which budgets make sense
    return budget
