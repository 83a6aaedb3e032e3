"""Downloading a model in a process of its own, which is ended when the hub stops sending."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ingest.models.hub_files import MODEL_FILES

# -I, and the module path handed over, as for the process that reads files.
_START = (
    "import sys; sys.path[:] = sys.argv[2:]; from ingest.models.hub_worker import main; main(sys.argv[1])"
)
ETAG_SECONDS = 3.0  # for what the hub says of a file before it is fetched
# For a process to start on a busy machine, and to end.
_BEGIN_SECONDS, _SETTLE_SECONDS = 60.0, 5.0


@dataclass(frozen=True, slots=True)
class StallLimit:
    """How long a download may take to bring ``size`` more bytes, or to end another file."""

    seconds: float
    size: int


START = StallLimit(20.0, 2**20)  # with less, the models of the default pair would take more than an hour
PREFETCH = StallLimit(60.0, 1)  # somebody waits for nothing else


@dataclass(frozen=True, slots=True)
class HubFailure:
    """Why a model could not be had, as a clause, and whether that is about this model alone."""

    reason: str
    of_model: bool = False


def download(name: str, revision: str | None, stall_limit: StallLimit) -> HubFailure | None:
    """Fetch a model's files, those of `MODEL_FILES`, into the hub's cache; why not, where it did not come to that."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE).expanduser()
    request = {
        "name": name, "revision": revision, "endpoint": constants.ENDPOINT, "cache": str(cache),
        "files": MODEL_FILES, "etag_timeout": ETAG_SECONDS,
    }  # fmt: skip
    blobs = cache / f"models--{name.replace('/', '--')}" / "blobs"
    before = set(blobs.glob("*.incomplete"))
    command = [sys.executable, "-I", "-X", "utf8", "-c", _START, json.dumps(request), *sys.path]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            return _watch(process, stall_limit)
        finally:
            process.kill()
            process.wait(_SETTLE_SECONDS)
            for left in set(blobs.glob("*.incomplete")) - before:  # of no use to a later download
                left.unlink(missing_ok=True)


def _watch(process: subprocess.Popen[str], stall_limit: StallLimit) -> HubFailure | None:
    """Follow a download to its end, or to where it does not go on."""
    arrived, warning = 0, ""
    deadline = time.monotonic() + _BEGIN_SECONDS
    messages = _messages(process.stdout)
    while (message := _next(messages, deadline)) is not None:
        if "done" in message:
            return None
        if "ended" in message:
            return HubFailure("the process that downloads was ended")
        if "failed" in message:
            return HubFailure(str(message["failed"]), bool(message["of_model"]))
        warning = warning or str(
            message.get("warning", "")
        )  # the first says what it is, later ones how it is met
        arrived += int(message.get("bytes", 0))
        if arrived >= stall_limit.size or message.get("files") or "begun" in message:
            arrived, warning, deadline = 0, "", time.monotonic() + stall_limit.seconds
    why = (warning.splitlines() or ["it is too slow"])[0]
    return HubFailure(f"hardly anything came from the hub within {stall_limit.seconds:.0f} s ({why})")


def _next(messages: queue.SimpleQueue[dict[str, Any]], deadline: float) -> dict[str, Any] | None:
    """The next message; ``None`` where none came in time."""
    try:
        return messages.get(timeout=max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        return None


def _messages(lines: IO[str] | None) -> queue.SimpleQueue[dict[str, Any]]:
    messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def pump() -> None:
        for message in _read(lines):
            messages.put(message)
        messages.put({"ended": True})

    threading.Thread(target=pump, daemon=True).start()
    return messages


def _read(lines: IO[str] | None) -> Iterator[dict[str, Any]]:
    for line in lines or ():
        try:
            yield json.loads(line)
        except ValueError:  # cut short when it was ended
            return
