"""What `secondlook ingest` does with folders besides reading them: `--prune` and `--watch`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from watchfiles import Change, watch

from ingest.errors import SecondLookError, UsageError
from ingest.folders import Pruned, changed_sources, forget_deleted, prune
from ingest.library.library import Library
from ingest.records import IngestReport
from ingest.sources import Source, is_passed_over
from ui.command_line.progress import cancel_on_interrupt
from ui.presentation.remedies import told

# Milliseconds: changes are waited for until none came for QUIET, or for DEBOUNCE in all; so often is tried again what
# could not be done.
QUIET, DEBOUNCE, AGAIN = 500, 5_000, 1_000

Read = Callable[[Sequence[Source]], IngestReport]
Tell = Callable[[IngestReport, Pruned], None]


def add_folder_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is done with folders besides reading them."""
    parser.add_argument(
        "--prune", action="store_true",
        help="take documents out whose files were in the folders and are gone; nothing where a folder is empty or "
        "cannot be read, as one whose disk is not there",
    )  # fmt: skip
    parser.add_argument(
        "--prune-empty", action="store_true", help="prune even where a folder is empty or gone"
    )
    parser.add_argument(
        "--watch", action="store_true",
        help="go on until Ctrl-C: read what changes in the folders, and take out what is deleted there",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Following:
    """What was asked for of the ``folders`` among the paths."""

    folders: tuple[Path, ...]
    prunes: bool = False
    even_empty: bool = False
    watches: bool = False

    @classmethod
    def of(cls, paths: Sequence[Path], *, prunes: bool, even_empty: bool, watches: bool) -> Following:
        """What the command line says. Raises `UsageError` where it names no folder to follow."""
        prunes = prunes or even_empty
        folders = tuple(
            path for path in paths if os.path.isdir(path) or (even_empty and not os.path.exists(path))
        )
        if prunes and not folders:
            raise UsageError("--prune is for folders, and none is named.")
        if watches and len(folders) < len(paths):
            raise UsageError("--watch is for folders; name the folder that the file is in.")
        return cls(folders, prunes, even_empty, watches)

    def prune(self, library: Library) -> Pruned | None:
        """Take out what is gone, where that was asked for."""
        return prune(library, self.folders, even_empty=self.even_empty) if self.prunes else None


def follow(
    library: Library, following: Following, first: Callable[[], Sequence[Source]], read: Read, tell: Tell
) -> None:
    """Read the ``first`` files, and then whatever changes in the folders, until Ctrl-C.

    ``read`` ingests and ``tell`` hears what became of it, with what was taken out. What could not be done, because
    another process writes to the library or a service does not answer, is said, and tried again.
    """
    with cancel_on_interrupt("Stopping.") as stopped:
        rounds = watch(
            *(folder.absolute() for folder in following.folders), watch_filter=None, debounce=DEBOUNCE, step=QUIET,
            rust_timeout=AGAIN, yield_on_timeout=True, stop_event=_Event(stopped), raise_interrupt=False,
        )  # fmt: skip
        next(rounds)  # from here on no change is missed, while the first files are read
        changes = _Changes(library, following, read, tell)
        while changes.work(first) is Outcome.AGAIN and not stopped():
            next(rounds)
        for paths in rounds:
            changes.add(paths)
            if changes.work() is Outcome.STOPPED or stopped():
                break


class Outcome(Enum):
    """How a round ended."""

    DONE = "done"
    AGAIN = "to be tried again"
    STOPPED = "stopped by the person"


@dataclass(frozen=True, slots=True)
class _Event:
    """A question as the event that `watchfiles.watch` asks."""

    is_set: Callable[[], bool]


class _Changes:
    """What changed and is not dealt with yet."""

    def __init__(self, library: Library, following: Following, read: Read, tell: Tell) -> None:
        self._library, self._following, self._read, self._tell = library, following, read, tell
        self._roots = [folder.absolute() for folder in following.folders]
        self._changed, self._deleted = set[Path](), set[Path]()
        self._problem = ""

    def add(self, changes: set[tuple[Change, str]]) -> None:
        """So much changed since. (A filter of `watch` would make it silent while only what is passed over changes.)"""
        changes = {(change, path) for change, path in changes if self._matters(Path(path))}
        self._changed |= {Path(path) for _, path in changes}
        self._deleted |= {Path(path) for change, path in changes if change is Change.deleted}

    def _matters(self, path: Path) -> bool:
        root = next((root for root in self._roots if path.is_relative_to(root)), None)
        return root is not None and not is_passed_over(root, path)

    def work(self, first: Callable[[], Sequence[Source]] | None = None) -> Outcome:
        """Deal with what changed, or with the ``first`` files."""
        if first is None and not self._changed:
            return Outcome.DONE
        try:
            sources = (
                list(changed_sources(self._following.folders, self._changed)) if first is None else first()
            )
            report = self._read(sources)
            if report.cancelled:
                return Outcome.STOPPED
            pruned = self._forget() if first is None else self._prune()
        except (SecondLookError, OSError) as error:
            self._say(f"{told(error) if isinstance(error, SecondLookError) else error} It is tried again.")
            return Outcome.AGAIN
        self._changed.clear()
        self._deleted.clear()
        self._problem = ""
        if report.files or pruned.documents or first is not None:
            self._tell(report, pruned)
        return Outcome.DONE

    def _forget(self) -> Pruned:
        return forget_deleted(self._library, self._following.folders, self._deleted)

    def _prune(self) -> Pruned:
        """What was asked for at the start; that it is refused stops nothing."""
        try:
            return self._following.prune(self._library) or Pruned(0, ())
        except UsageError as error:
            self._say(told(error))
            return Pruned(0, ())

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            print(problem, file=sys.stderr, flush=True)
        self._problem = problem
