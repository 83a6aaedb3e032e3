"""The model hub, asked politely: its cache first, then the network, which may cost a few seconds once.

huggingface_hub retries an unreachable hub for minutes when it is left to itself. Here one short request
decides, and its answer is remembered for a while in the user's cache folder.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from ingest.cache_folder import writable_cache
from ingest.hub_checksums import verify_snapshot

PROBE_SECONDS = 3.0  # a reachable hub answers in well under one
REMEMBER_SECONDS = 600.0  # long enough for a session of CLI calls, short enough after plugging in a cable
MODEL_FILES = [
    "*.json", "*.txt", "*.model", "*.safetensors", "*/config.json", "*/model.safetensors", "artifact.metadata",
]  # fmt: skip
NOT_NEEDED = ["onnx/*", "openvino/*", "*training*", "*.h5", "*.msgpack"]


def _memory() -> Path:
    return writable_cache() / "hub.json"


@dataclass
class Hub:
    """Access to the hub. ``allow_downloads`` false: only what the cache holds."""

    allow_downloads: bool = True
    memory: Path = field(default_factory=_memory)
    _reason: str | None = field(default=None, init=False)
    _asked: bool = field(default=False, init=False)

    def cached(self, name: str, revision: str | None) -> Path | None:
        """Folder of a complete snapshot in the hub's cache on this machine, or ``None``."""
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        try:
            folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
        except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError, OSError):
            return None
        needed = ("config.json", "tokenizer.json")  # passages are counted and cut by the latter
        complete = all((folder / file).is_file() for file in needed) and any(folder.glob("*.safetensors"))
        return folder if complete else None

    def verify(self, folder: Path, name: str) -> None:
        """Raise `ModelDamagedError` where a file of the model in ``folder`` is not the one that the hub published."""
        verify_snapshot(folder, name, MODEL_FILES, self.memory.with_name("verified.json"))

    def why_not_now(self) -> str | None:
        """Why nothing can be downloaded at present, as a clause; ``None`` where it can. At most 4 s, once."""
        if not self.allow_downloads:
            return "downloads are switched off"
        if not self._asked:
            self._reason = self._remembered() or self._probe()
            self._asked = True
        return self._reason

    def forget(self) -> None:
        """Ask the network again at the next call, whatever was found before."""
        self.memory.unlink(missing_ok=True)
        self._asked = False

    def download(self, name: str, revision: str | None) -> tuple[Path | None, str]:
        """Fetch a model's safetensors, configuration and tokenizer; the folder, or ``None`` and why not."""
        from huggingface_hub import snapshot_download

        try:
            snapshot_download(
                name, revision=revision, etag_timeout=PROBE_SECONDS,
                allow_patterns=MODEL_FILES, ignore_patterns=NOT_NEEDED,
            )  # fmt: skip
        # Any failure only means the next source; the HTTP client, and so its errors, changes between versions.
        except Exception as error:  # noqa: BLE001
            return (
                None,
                f"the download failed ({type(error).__name__}: {(str(error).splitlines() or [''])[0]})",
            )
        folder = self.cached(name, revision)
        if folder is None:
            return None, (
                "the hub has no safetensors weights or no tokenizer.json of it (pickled weights are not loaded)"
            )
        return folder, ""

    def _remembered(self) -> str | None:
        try:
            noted = json.loads(self.memory.read_text(encoding="utf-8"))
            age = time.time() - float(noted["at"])
            return str(noted["reason"]) if 0 <= age < REMEMBER_SECONDS else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # a lost or damaged note only means asking again

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
            self._remember(reason)
        return reason

    def _remember(self, reason: str) -> None:
        try:
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            self.memory.write_text(json.dumps({"at": time.time(), "reason": reason}), encoding="utf-8")
        except OSError:
            return  # a read-only home only means asking again next time


def _ask(endpoint: str) -> str | None:
    request = urllib.request.Request(endpoint, method="HEAD", headers={"User-Agent": "second-look"})
    try:
        with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
            return None
    except urllib.error.HTTPError as error:  # an answer, if not a friendly one
        return None if error.code < 500 else f"the hub answered with status {error.code}"
    except (OSError, ValueError) as error:
        return f"the hub cannot be reached ({error})"
