"""Graphs in the user's cache folder, of encoders and of rerankers: what nobody has used for long is removed.

Several processes, and several installed versions of Second Look, share the folder. Which version last used a graph is
noted beside it, and the note's date is when. A graph is a folder, with its note inside, or a file `NAME.onnx`, whose
note and whatever else has its name lie beside it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

# Graphs are made in a folder of this name, which is gone when they are done. One as old as this (seconds) is nobody's.
UNFINISHED, ABANDONED_AFTER = ".making-", 86_400
# Seconds without use after which a graph that is not needed now is taken to be needed no more.
UNUSED_FOR = 30 * 86_400
USE_FILE = "graph-version.txt"  # in a graph's folder
USE_SUFFIX = ".used"  # of the file beside a graph that is a file


def note_of(graph: Path) -> Path:
    """Where the last use of ``graph`` is noted."""
    return graph.with_suffix(USE_SUFFIX) if graph.suffix else graph / USE_FILE


def note_use(graph: Path, version: int) -> None:
    """Note that ``graph`` was used now, by a version of ours that makes graphs of this ``version``."""
    with suppress(OSError):  # where nothing can be written, it may be removed one day, and is made again
        note_of(graph).write_text(f"{version}\n", encoding="ascii")


def sweep(parent: Path, pattern: str, keeps: Callable[[Path, str], bool], now: float) -> None:
    """Remove from ``parent`` what nobody uses any more: tens of megabytes each. ``now`` is Unix time in seconds.

    That is what killed processes left half made, and those graphs of ``pattern`` that nobody has used for `UNUSED_FOR`,
    but for those of which ``keeps`` says so, asked with the graph and the version in its note. One without a note is
    from before there were notes: it gets one, and as much time again.
    """
    for left in parent.glob(f"{UNFINISHED}*"):
        remove_older(left, now - ABANDONED_AFTER)
    for graph in sorted(parent.glob(pattern)):
        with suppress(OSError):  # another process may be removing it too
            if not (note := note_of(graph)).exists():
                note_use(graph, 0)
            elif note.stat().st_mtime < now - UNUSED_FOR and not keeps(
                graph, note.read_text("ascii", "replace").strip()
            ):
                _remove_at_once(graph)


def remove_older(path: Path, than: float) -> None:
    """Remove a file or a folder that was last changed before ``than``, if it can be."""
    with suppress(OSError):
        if path.stat().st_mtime < than:
            path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)


def _remove_at_once(graph: Path) -> None:
    """Out of sight by one rename, so that whoever opens it meanwhile finds all of it or none.

    Of a graph that is a file, what lies beside it goes first, without which it is not opened: where this is stopped,
    the next sweep finds the graph again.
    """
    beside = [path for path in graph.parent.glob(f"{graph.stem}.*") if path != graph] if graph.suffix else []
    with tempfile.TemporaryDirectory(dir=graph.parent, prefix=UNFINISHED, ignore_cleanup_errors=True) as name:
        for path in [*beside, graph]:
            with suppress(FileNotFoundError):
                os.replace(path, Path(name) / path.name)
