"""Settings: the sole reader of the environment. Everything else gets a frozen `Settings`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import UsageError
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

    ``encoder`` and ``reranker`` are names, aliases or folders; ``None`` is the default pair.
    """

    library: Path = DEFAULT_LIBRARY
    encoder: str | None = None
    reranker: str | None = None
    allow_downloads: bool = True
    candidates: int = DEFAULT_CANDIDATES
    results: int = DEFAULT_RESULTS

    @property
    def models(self) -> ModelChoice:
        """The part of the settings that says which models to use."""
        return ModelChoice(self.encoder, self.reranker, self.allow_downloads)


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from ``SECONDLOOK_LIBRARY``, ``_ENCODER``, ``_RERANKER`` and ``_DOWNLOADS``.

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
    )
