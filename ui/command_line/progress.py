"""How far a command is: a bar, a line a file, and Ctrl-C that asks the work to stop at a safe place."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from ingest.records import FileReport, FileStatus, IngestProgress, Stage
from rerank.search import OnProgress
from ui.command_line.terminal import one_line
from ui.presentation.formatting import count_of, ocr_help


def describe(file: FileReport) -> str:
    """A file's report as one line."""
    parts = []
    if file.chunks:
        parts.append(count_of(file.chunks, "passage"))
    if file.pages:
        parts.append(count_of(file.pages, "page"))
    if file.reason:
        parts.append(" ".join(filter(None, (file.reason, ocr_help(file)))))
    return one_line(f"{file.status:<10} {file.path}" + (f"  ({'; '.join(parts)})" if parts else ""))


@contextmanager
def cancel_on_interrupt(
    words: str = "Stopping after the passages in hand (Ctrl-C again to stop at once)…",
) -> Iterator[Callable[[], bool]]:
    """Ctrl-C asks the work to stop at the next safe place, and says ``words``; a second one ends the process."""
    asked = threading.Event()

    def ask(signum: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        print(f"\n{words}", file=sys.stderr)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)


class ProgressBar:
    """Files and passages as a bar on stderr, where that is a terminal; refusals as lines above it."""

    def __enter__(self) -> ProgressBar:
        self._bar = tqdm(unit=" files", disable=not sys.stderr.isatty(), file=sys.stderr, dynamic_ncols=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, progress: IngestProgress) -> None:
        """Draw one moment of an ingest."""
        self._bar.total = progress.files
        if progress.stage is Stage.DONE:
            self._bar.update(1)
            if progress.report is not None and progress.report.status is FileStatus.REFUSED:
                self._bar.write(describe(progress.report), file=sys.stderr) if not self._bar.disable else None
        elif progress.pages:
            self._bar.set_postfix_str(f"page {progress.page} of {progress.pages} by OCR", refresh=True)
        elif progress.rate:
            self._bar.set_postfix_str(f"{progress.done} passages, {progress.rate:.0f}/s", refresh=True)


@contextmanager
def query_bar() -> Iterator[OnProgress]:
    """Queries as a bar on stderr with the time that is left, where that is a terminal."""
    with tqdm(unit=" queries", disable=not sys.stderr.isatty(), file=sys.stderr, dynamic_ncols=True) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
