"""The process that downloads a model, and can be ended: huggingface_hub waits for a silent hub without an end.

`ingest.models.hub_download` starts it with one request. What comes of it goes to its standard output as JSON, a line
each: bytes that arrived, warnings of huggingface_hub, and how it ended.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

Tell = Callable[..., None]
PIECE = 2**18  # bytes of a file at a time, so that a slow line is told from a silent one


def main(request: str) -> None:
    """Download what ``request``, JSON, asks for; says how it ended as its last line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is heard by the parent, which decides
    tell = _channel()
    fields = json.loads(request)
    try:
        _download(fields, tell)
    # Whatever it is only means the next source; the HTTP client, and so its errors, changes between versions.
    except Exception as error:  # noqa: BLE001
        of_model, why = _reason(error, fields)
        tell(failed=why, of_model=of_model)
    else:
        tell(done=True)


def _channel() -> Tell:
    """What writes a line to our parent; what a library prints goes to standard error instead."""
    lines, lock = os.fdopen(os.dup(1), "w", encoding="utf-8"), threading.Lock()
    os.dup2(2, 1)

    def tell(**what: object) -> None:
        with lock:
            try:
                lines.write(json.dumps(what) + "\n")
                lines.flush()
            except OSError:
                os._exit(1)  # the parent is gone

    return tell


def _download(request: dict[str, Any], tell: Tell) -> None:
    from huggingface_hub import constants, snapshot_download

    constants.HF_HUB_OFFLINE = False  # the parent has asked
    constants.DOWNLOAD_CHUNK_SIZE = PIECE
    logging.getLogger("huggingface_hub").addHandler(_Warnings(tell))
    tell(begun=True)
    snapshot_download(
        request["name"], revision=request["revision"], endpoint=request["endpoint"], cache_dir=request["cache"],
        etag_timeout=request["etag_timeout"], allow_patterns=request["files"], tqdm_class=_progress(tell),
    )  # fmt: skip


def _progress(tell: Tell) -> type[Any]:
    """huggingface_hub's progress bars, which tell our parent what they count."""
    from huggingface_hub.utils.tqdm import tqdm

    class Progress(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            self._counts = "bytes" if options.get("unit") == "B" else "files"
            super().__init__(*args, **options)  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> Any:
            tell(**{self._counts: int(n or 0)})
            return super().update(n)

    return Progress


class _Warnings(logging.Handler):
    """Hands on what huggingface_hub warns of: why it waits."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(warning=record.getMessage())


def _reason(error: BaseException, request: dict[str, Any]) -> tuple[bool, str]:
    """Whether it is about this model alone, and what it was, as a clause."""
    from huggingface_hub import errors

    while isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__  # that nothing is in the cache either is known
    of_model = {  # the first is a kind of the second
        errors.GatedRepoError: "the hub gives it only to those who accepted its terms",
        errors.RepositoryNotFoundError: "the hub knows no model of that name, or it is not public",
        errors.RevisionNotFoundError: f"the hub does not have its revision {request['revision']}",
    }
    for kind, why in of_model.items():
        if isinstance(error, kind):
            return True, why
    if isinstance(error, errors.HfHubHTTPError):
        return False, f"the hub answered with status {error.response.status_code}"
    if isinstance(error, OSError) and error.errno is not None:
        return False, f"the hub's cache {request['cache']} cannot be written ({error.strerror})"
    if isinstance(error, json.JSONDecodeError):
        return False, "what answered is no hub: a page, perhaps that of a network which asks for a log-in"
    first = (str(error).splitlines() or [""])[0]
    return False, f"the download failed ({type(error).__name__}: {first})"


if __name__ == "__main__":
    main(sys.argv[1])
