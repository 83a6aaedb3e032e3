"""The folders of graphs in the user's cache: published whole, and removed when nobody has used them for long.

Several processes, and several installed versions of Second Look, share it. Which version a folder is for is noted in
it, and the note's date is when it was last used.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rerank.scorers.engine_record import FAILED, FAILED_FOR, Engine
from rerank.scorers.onnx_cross_encoder import MODEL_FILE

PREFIX = "reranker-"
# Graphs are made in a folder of this name, which is gone when they are done. One as old as this (seconds) is nobody's.
UNFINISHED, ABANDONED_AFTER = ".making-", 86_400
# Seconds after which a graph that this version cannot use is taken to be used by no other version either.
UNUSED_FOR = 30 * 86_400
USE_FILE = "graph-version.txt"


def note_use(folder: Path, version: int) -> None:
    """Note that the graph in ``folder`` was used now, by a version of ours that makes graphs of this ``version``."""
    with suppress(OSError):  # where nothing can be written, it may be removed one day, and is made again
        (folder / USE_FILE).write_text(f"{version}\n", encoding="ascii")


def sweep(parent: Path, version: int, now: float) -> None:
    """Remove from ``parent`` what nobody uses any more: tens of megabytes each. ``now`` is Unix time in seconds.

    That is what killed processes left half made, notes of failures that do not hold any more, and graphs that
    ``version`` cannot use and that no other version has used for `UNUSED_FOR`. One without a note is from before
    there were notes: it gets one, and as much time again.
    """
    for left in parent.glob(f"{UNFINISHED}*"):
        _remove_older(left, now - ABANDONED_AFTER)
    for note in parent.glob(f"{PREFIX}*{FAILED}"):
        _remove_older(note, now - FAILED_FOR)
    for folder in parent.glob(f"{PREFIX}*/"):
        with suppress(OSError):  # another process may be removing it too
            if not (note := folder / USE_FILE).exists():
                note_use(folder, 0)
            elif note.read_text("ascii", "replace").strip() != str(version) and _older(
                note, now - UNUSED_FOR
            ):
                _remove_at_once(folder)


def _older(path: Path, than: float) -> bool:
    return path.stat().st_mtime < than


def _remove_older(path: Path, than: float) -> None:
    with suppress(OSError):
        if _older(path, than):
            path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)


def _remove_at_once(folder: Path) -> None:
    """Out of sight by one rename, so that whoever opens it meanwhile finds all of it or none."""
    with tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=UNFINISHED, ignore_cleanup_errors=True
    ) as name:
        os.replace(folder, Path(name) / "unused")


def publish(made: Path, engine: Engine, folder: Path, former: Path) -> None:
    """Rename ``made`` to ``folder``, unless another process was faster: its graph is as good.

    A provisional one that is there already is moved out of the way, to ``former``; where the machine was even busier
    this time, it stays, to be measured again later.
    """
    there = Engine.read(folder)
    if there is not None and there.provisional and engine.threads.share < there.threads.share:
        replace(there, measured=engine.measured).write(folder)
        return
    try:
        if there is not None and there.provisional:
            os.replace(folder, former)
        os.replace(made, folder)
    except OSError:
        if not (folder / MODEL_FILE).is_file():
            raise
