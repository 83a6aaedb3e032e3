"""The model hub, asked politely: its cache first, then the network, which may cost a few seconds once.

huggingface_hub retries an unreachable hub for minutes when it is left to itself. Here one short request
decides, a download is ended where it does not go on, and what went wrong is remembered for a while.
"""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from ingest.cache_folder import writable_cache
from ingest.models.hub_checksums import verify_snapshot
from ingest.models.hub_download import START, HubFailure, StallLimit, download
from ingest.models.hub_files import MODEL_FILES, missing_files
from ingest.models.hub_memory import HubMemory

PROBE_SECONDS = 3.0  # a reachable hub answers in well under one
# What the notes on the hub itself go under, beside those on single models.
_THE_HUB = "the hub"


def _memory() -> Path:
    return writable_cache() / "hub.json"


@dataclass
class Hub:
    """Access to the hub. ``allow_downloads`` false: only what the cache holds."""

    allow_downloads: bool = True
    memory: Path = field(default_factory=_memory)
    stall_limit: StallLimit = START
    _reason: str | None = field(default=None, init=False)
    _asked: bool = field(default=False, init=False)

    def cached(self, name: str, revision: str | None) -> Path | None:
        """Folder of a whole model in the hub's cache on this machine, or ``None``."""
        folder = _snapshot(name, revision)
        return folder if folder is not None and not missing_files(folder, name) else None

    def verify(self, folder: Path, name: str) -> None:
        """Raise `ModelDamagedError` where a file of the model in ``folder`` is not the one that the hub published."""
        verify_snapshot(folder, name, MODEL_FILES, self.memory.with_name("verified.json"))

    def why_not_now(self) -> str | None:
        """Why nothing can be downloaded at present, as a clause; ``None`` where it can. At most 4 s, once."""
        if not self.allow_downloads:
            return "downloads are switched off"
        if not self._asked:
            self._reason = self._notes.reason(_THE_HUB) or self._probe()
            self._asked = True
        return self._reason

    def why_not(self, name: str, revision: str | None) -> str | None:
        """As `why_not_now`, for one model; asks nobody where it is known that the hub does not have it."""
        reason = self._notes.reason(_model(name, revision)) if self.allow_downloads else None
        return reason or self.why_not_now()

    @property
    def is_switched_off(self) -> bool:
        """Whether somebody wants the hub not to be asked."""
        from huggingface_hub import constants

        return not self.allow_downloads or bool(constants.HF_HUB_OFFLINE)

    def forget(self) -> None:
        """Ask the network again at the next call, whatever was found before."""
        self._notes.forget()
        self._asked = False

    def download(self, name: str, revision: str | None) -> tuple[Path | None, str]:
        """Fetch a model's safetensors, configuration and tokenizer; the folder, or ``None`` and why not.

        What went wrong is remembered, of the model or of the hub, and `why_not` says it for a while.
        """
        failure = download(name, revision, self.stall_limit)
        if failure is None:
            folder = _snapshot(name, revision)
            missing = ["its files"] if folder is None else missing_files(folder, name)
            if folder is not None and not missing:
                return folder, ""
            failure = HubFailure(f"the hub does not have {' and '.join(missing)} of it", of_model=True)
        if not failure.of_model:
            self._reason, self._asked = failure.reason, True
        self._notes.note(_model(name, revision) if failure.of_model else _THE_HUB, failure.reason)
        return None, failure.reason

    @property
    def _notes(self) -> HubMemory:
        return HubMemory(self.memory)

    def _probe(self) -> str | None:
        from huggingface_hub import constants

        if constants.HF_HUB_OFFLINE:
            return "the hub is switched off (HF_HUB_OFFLINE)"
        answer: list[str | None] = []
        # In a thread, because resolving a name has no time limit of its own.
        thread = threading.Thread(target=lambda: answer.append(_ask(constants.ENDPOINT)), daemon=True)
        thread.start()
        thread.join(PROBE_SECONDS + 1)
        reason = answer[0] if answer else f"the hub did not answer within {PROBE_SECONDS:.0f} s"
        if reason is not None:
            self._notes.note(_THE_HUB, reason)
        return reason


def _model(name: str, revision: str | None) -> str:
    """What a note on this model goes under."""
    return f"{name}@{revision}"


def _snapshot(name: str, revision: str | None) -> Path | None:
    """Where the hub's cache has the model, unless it knows of a file among ours that it does not have."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:  # by the patterns of the download: without them, what was never wanted counts as missing
        return Path(
            snapshot_download(name, revision=revision, local_files_only=True, allow_patterns=MODEL_FILES)
        )
    except (HFValidationError, HfHubHTTPError, OSError):  # that nothing is there is an OSError
        return None


def _ask(endpoint: str) -> str | None:
    request = urllib.request.Request(endpoint, method="HEAD", headers={"User-Agent": "second-look"})
    try:
        with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
            return None
    except urllib.error.HTTPError as error:  # an answer, if not a friendly one
        return None if error.code < 500 else f"the hub answered with status {error.code}"
    except (OSError, ValueError) as error:
        return f"the hub cannot be reached ({_in_words(error)})"


def _in_words(error: Exception) -> str:
    """What went wrong, without the wrapping and the numbers of an exception."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return (reason.strerror if isinstance(reason, OSError) else None) or str(reason)
