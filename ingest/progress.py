"""How far an ingest is: which file it is at, passages embedded, and how fast."""

from __future__ import annotations

import time
from collections.abc import Callable

from ingest.records import FileReport, IngestProgress, Stage

OnProgress = Callable[[IngestProgress], None]


class ProgressMeter:
    """Counts files and passages of one call, and tells each moment to whoever listens.

    ``at`` is the name and the number of the file in hand, ``unembedded`` the number of the first file that passages
    wait of for their vectors (0 where none do), and ``total`` how many passages are to be embedded, as far as known.
    """

    def __init__(self, files: int, listener: OnProgress | None) -> None:
        """Nothing has happened yet, of ``files`` files."""
        self.at = ("", 0)
        self.unembedded, self.total = 0, 0
        self._files, self._listener = files, listener
        self._embedded, self._seconds = 0, 0.0
        self._window_began, self._window_left = 0.0, 0

    def begin_window(self, passages: int) -> None:
        """So many passages are handed to the encoder."""
        self._window_began, self._window_left = time.perf_counter(), passages
        self.tell(Stage.EMBEDDING)

    def count(self, passages: int) -> int:
        """So many more of the window have their vector; how many of it have none yet."""
        self._embedded += passages
        self._window_left -= passages
        self.tell(Stage.EMBEDDING)
        return self._window_left

    def end_window(self) -> None:
        """The encoder is done with what it was handed."""
        self._seconds += time.perf_counter() - self._window_began
        self._window_began = 0.0

    def tell(self, stage: Stage, report: FileReport | None = None, number: int | None = None) -> None:
        """Say where the ingest is, or, with a ``report``, how the file of that ``number`` ended."""
        if self._listener is None:
            return
        path, at = self.at
        self._listener(
            IngestProgress(
                report.path if report else path, number or at, self._files, stage,
                done=self._embedded, total=self.total, rate=self._rate(), report=report, unembedded=self.unembedded,
            )
        )  # fmt: skip

    def tell_page(self, page: int, pages: int) -> None:
        """Say which page of the file in hand is read, of how many."""
        if self._listener is None:
            return
        path, at = self.at
        self._listener(
            IngestProgress(
                path, at, self._files, Stage.READING, done=self._embedded, total=self.total, rate=self._rate(),
                unembedded=self.unembedded, page=page, pages=pages,
            )
        )  # fmt: skip

    def _rate(self) -> float:
        window = time.perf_counter() - self._window_began if self._window_began else 0.0
        seconds = self._seconds + window
        return self._embedded / seconds if seconds else 0.0
