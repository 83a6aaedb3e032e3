"""Settings: the sole reader of the environment. Everything else gets a frozen `Settings`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ingest.errors import UsageError
from ingest.installation import default_library, shipped_files
from ingest.services.access import ANYWHERE, COHERE_URL, OPENAI_URL, Service, ServiceAccess
from rerank.factory import ModelChoice
from rerank.request import DEFAULT_CANDIDATES, SecondLookPlan
from rerank.scorers.windowed import WHOLE
from retrieval.fusion import Fusion
from retrieval.records import CandidateSource

EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """What the environment says of it: the file of the password, and whom OIDC lets in (``@domain`` for all of one)."""

    password_file: Path | None = None
    users: tuple[str, ...] = ()


def read_access(values: Mapping[str, str]) -> AccessSettings:
    """Access from ``SECONDLOOK_PASSWORD_FILE`` and ``SECONDLOOK_USERS``, a list with commas.

    Raises `UsageError` for a user that is neither an e-mail address, nor ``@domain``, nor ``*``.
    """
    file = values.get("SECONDLOOK_PASSWORD_FILE", "").strip()
    users = [user.strip().casefold() for user in values.get("SECONDLOOK_USERS", "").split(",")]
    for user in filter(None, users):
        if user != EVERYBODY and ("@" not in user or user.endswith("@")):
            raise UsageError(
                f"SECONDLOOK_USERS holds “{user}”; say e-mail addresses, @domain, or * for all whom the provider knows."
            )
    return AccessSettings(Path(file).expanduser().absolute() if file else None, tuple(filter(None, users)))


SAMPLE = shipped_files() / "data" / "sample"
DEFAULT_LIBRARY = default_library()

MIN_CANDIDATES, MAX_CANDIDATES = 10, 200
LEAST_WINDOW = 16  # tokens; a title and a sentence
LONGEST_NUMBER = 9  # digits; Python refuses to read numbers of thousands
MIN_RESULTS, MAX_RESULTS, DEFAULT_RESULTS = 3, 20, 10

# Where keys to services may stand, in the environment or in Streamlit's secrets.
KEYS = ("COHERE_API_KEY", "CO_API_KEY", "OPENAI_API_KEY", "SECONDLOOK_RERANK_KEY", "SECONDLOOK_EMBED_KEY")
# Where a service's address and its key are set.
VARIABLES: Mapping[str, tuple[str, str]] = {
    Service.OPENAI: ("OPENAI_BASE_URL", "OPENAI_API_KEY"),
    Service.COHERE: ("CO_API_URL", "COHERE_API_KEY"),
    Service.EMBEDDINGS_SERVER: ("SECONDLOOK_EMBED_URL", "SECONDLOOK_EMBED_KEY"),
    Service.RERANK_SERVER: ("SECONDLOOK_RERANK_URL", "SECONDLOOK_RERANK_KEY"),
}

YES, NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the person chose, from the environment or the command line.

    ``encoder`` and ``reranker`` are names, aliases or folders; ``None`` is the default pair. ``budget_ms`` is the
    time that a second look may take, ``None`` as long as it needs. ``window`` is how many tokens of a passage the
    reranker reads at most, `WHOLE` as many as it has room for, ``None`` as its specification says. ``fusion`` makes
    the second order a mix of both looks, and ``ensemble`` one order of the first look and several rerankers, where
    several are chosen; ``None`` leaves those side by side. ``services`` holds addresses of rerankers outside this
    process, and the keys to them. ``trusting`` is the leave to load the encoder that the library names.
    ``originals`` has the files themselves kept in the library, unless that keeps none.
    """

    library: Path = DEFAULT_LIBRARY
    encoder: str | None = None
    reranker: str | None = None
    allow_downloads: bool = True
    candidates: int = DEFAULT_CANDIDATES
    results: int = DEFAULT_RESULTS
    budget_ms: float | None = None
    candidates_from: CandidateSource = CandidateSource.VECTORS
    fusion: Fusion | None = None
    ensemble: Fusion | None = None
    engine: str = "auto"
    window: int | None = None
    services: ServiceAccess = field(default_factory=ServiceAccess)
    trusting: bool = False
    originals: bool = True
    access: AccessSettings = field(default_factory=AccessSettings)

    @property
    def models(self) -> ModelChoice:
        """The part of the settings that says which models to use."""
        return ModelChoice(
            self.encoder,
            self.reranker,
            self.allow_downloads,
            self.engine,
            window=self.window,
            access=self.services,
            trusting=self.trusting,
        )

    @property
    def models_at_once(self) -> ModelChoice:
        """The same for a search that somebody waits for: nothing is measured before it."""
        return replace(self.models, wait_for_engine=False)


def from_environment(
    environment: Mapping[str, str] | None = None, secrets: Mapping[str, object] | None = None
) -> Settings:
    """Settings from ``SECONDLOOK_LIBRARY``, ``_ENCODER``, ``_RERANKER``, ``_DOWNLOADS``, ``_CANDIDATES_FROM``,
    ``_FUSE``, ``_FUSE_RERANKERS``, ``_BUDGET_MS``, ``_WINDOW``, ``_ORIGINALS`` and ``_ENGINE``, and access to services
    from ``SECONDLOOK_RERANK_URL``, ``_MODEL`` and ``_KEY``, ``SECONDLOOK_EMBED_URL`` and ``_KEY``, ``COHERE_API_KEY``
    (or ``CO_API_KEY``), ``CO_API_URL``, ``OPENAI_API_KEY``, ``OPENAI_BASE_URL``, and ``SECONDLOOK_ALLOW_SERVICES``.

    ``secrets`` is asked for keys that the environment does not have. Raises `UsageError` for a value that cannot be
    read.
    """
    variables = os.environ if environment is None else environment
    # Streamlit's secrets may be anything that TOML has; a key is a text.
    keys = {name: key for name in KEYS if isinstance(key := (secrets or {}).get(name), str)}
    values = keys | {name: value for name, value in variables.items() if value or name not in keys}
    downloads = values.get("SECONDLOOK_DOWNLOADS", "1").strip().lower()
    if downloads not in YES | NO:
        raise UsageError(f"SECONDLOOK_DOWNLOADS is “{downloads}”; say 1 (allowed) or 0 (not allowed).")
    originals = values.get("SECONDLOOK_ORIGINALS", "1").strip().lower()
    if originals not in YES | NO:
        raise UsageError(
            f"SECONDLOOK_ORIGINALS is “{originals}”; say 1 (files are kept) or 0 (they are not)."
        )
    return Settings(
        library=Path(values.get("SECONDLOOK_LIBRARY") or DEFAULT_LIBRARY),
        encoder=values.get("SECONDLOOK_ENCODER") or None,
        reranker=values.get("SECONDLOOK_RERANKER") or None,
        allow_downloads=downloads in YES,
        originals=originals in YES,
        engine=values.get("SECONDLOOK_ENGINE", "").strip().lower() or "auto",
        candidates_from=_source(values.get("SECONDLOOK_CANDIDATES_FROM", "").strip().lower()),
        fusion=Fusion.of(fuse) if (fuse := values.get("SECONDLOOK_FUSE", "").strip()) else None,
        ensemble=Fusion.of_ensemble(several)
        if (several := values.get("SECONDLOOK_FUSE_RERANKERS", "").strip())
        else None,
        budget_ms=milliseconds(budget)
        if (budget := values.get("SECONDLOOK_BUDGET_MS", "").strip())
        else None,
        window=window_size(window) if (window := values.get("SECONDLOOK_WINDOW", "").strip()) else None,
        services=_services(values),
        access=read_access(values),
    )


def _services(values: Mapping[str, str]) -> ServiceAccess:
    """Where rerankers outside this process are; Cohere's variables are its own client's, and the better known one."""
    return ServiceAccess(
        url=values.get("SECONDLOOK_RERANK_URL", "").strip(),
        model=values.get("SECONDLOOK_RERANK_MODEL", "").strip(),
        key=values.get("SECONDLOOK_RERANK_KEY", "").strip(),
        cohere_key=(values.get("COHERE_API_KEY") or values.get("CO_API_KEY", "")).strip(),
        cohere_url=values.get("CO_API_URL", "").strip() or COHERE_URL,
        embed_url=values.get("SECONDLOOK_EMBED_URL", "").strip(),
        embed_key=values.get("SECONDLOOK_EMBED_KEY", "").strip(),
        openai_key=values.get("OPENAI_API_KEY", "").strip(),
        openai_url=values.get("OPENAI_BASE_URL", "").strip() or OPENAI_URL,
        allowed=_allowed(values.get("SECONDLOOK_ALLOW_SERVICES", "")),
    )


def _allowed(text: str) -> frozenset[str]:
    """The hosts to which text may be sent: all for yes, none for no, else those that are named, with commas between."""
    if text.strip().lower() in YES:
        return frozenset({ANYWHERE})
    return frozenset(host for part in text.split(",") if (host := part.strip().lower()) and host not in NO)


def _source(text: str) -> CandidateSource:
    """What candidates are found by. Raises `UsageError`."""
    try:
        return CandidateSource(text or CandidateSource.VECTORS)
    except ValueError as error:
        raise UsageError(
            f"SECONDLOOK_CANDIDATES_FROM is “{text}”; say {', '.join(CandidateSource)}."
        ) from error


def window_size(text: str) -> int:
    """How many tokens of a passage are read, `WHOLE` for all that fit. Raises `UsageError` for what says neither."""
    if text.lower() == "whole":
        return WHOLE
    if not text.isdecimal() or len(text) > LONGEST_NUMBER or int(text) < LEAST_WINDOW:
        raise UsageError(
            f"“{text}” is no size of a window: --window and SECONDLOOK_WINDOW take a number of tokens from "
            f"{LEAST_WINDOW} on, or whole."
        )
    return int(text)


def add_window_argument(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """Declare how much of a passage is read."""
    parser.add_argument(
        "--window", type=window_size, default=settings.window, metavar="N|whole",
        help="tokens of a passage that the reranker reads at most, the part that suits the question; whole: as many as "
        "it has room for (default: as measured for the reranker)",
    )  # fmt: skip


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
