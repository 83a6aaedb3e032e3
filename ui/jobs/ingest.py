"""An ingest that runs beside the page: what became of each file, and files that wait for a password."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ingest.encoders.base import Encoder
from ingest.errors import SecondLookError
from ingest.library.library import Library
from ingest.models.hub import Hub
from ingest.pipeline import ingest
from ingest.records import FileReport, IngestProgress, IngestReport, Stage
from ingest.sources import Source
from rerank.token_vectors import keep_up
from ui.jobs.job import Job
from ui.presentation.remedies import Face, told


@dataclass(frozen=True, slots=True)
class FileLine:
    """Where one file of an ingest is: its report once it has one, else a word for what is being done."""

    name: str
    report: FileReport | None
    doing: str


@dataclass(eq=False)
class IngestJob(Job[IngestReport]):
    """An ingest of those of several files that have no report yet; finished files stay.

    ``clean_up`` is called at its end, whatever that is, with the files that are still needed: those that wait for a
    password. ``on_report`` hears of each file that is done. ``password`` is tried on each, and forgotten at the end.
    ``originals`` has the files themselves kept.
    ``cost`` is what services counted, as a sentence, once that is known and where there was any; ``token_vectors`` how
    far those are stored, where they are wanted, or why they were not.
    """

    sources: Sequence[Source]
    open_library: Callable[[], Library]
    encoder: Encoder
    clean_up: Callable[[Collection[Path]], None] = lambda needed: None
    progress: IngestProgress | None = None
    on_report: Callable[[FileReport], None] = lambda report: None
    password: str = field(default="", repr=False)
    originals: bool = True
    cost: str = ""
    token_vectors: str = ""
    _reports: dict[int, FileReport] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        super().__init__()
        self._numbers = [number for number in range(1, len(self.sources) + 1) if number not in self._reports]

    def with_password(self, number: int, password: str) -> IngestJob:
        """A job to start that reads one of the files, by its place from 1, again with a password."""
        others = {place: report for place, report in self._reports.items() if place != number}
        return IngestJob(
            self.sources, self.open_library, self.encoder, self.clean_up, password=password,
            originals=self.originals, _reports=others,
        )  # fmt: skip

    def discard(self) -> None:
        """Nothing of it is wanted any more: files that waited for a password go."""
        self.clean_up(())

    def lines(self) -> list[FileLine]:
        """Every file, in the order given."""
        with self._lock:
            reports, at = dict(self._reports), self.progress
        return [
            FileLine(source.name, reports.get(number), self._doing(number, at))
            for number, source in enumerate(self.sources, start=1)
        ]

    def _doing(self, number: int, at: IngestProgress | None) -> str:
        if self.finished:
            return "stopped before it was finished" if self.cancelled else "not finished"
        if at is None or number > at.file:
            return "waiting"
        if number == at.file and at.stage is Stage.READING:
            return f"reading page {at.page} of {at.pages} by OCR" if at.pages else "reading"
        if not at.unembedded or number < at.unembedded:
            return "being saved"
        return "embedding" if at.stage is Stage.EMBEDDING else "read, waiting to be embedded"

    def _run(self) -> IngestReport:
        passwords = (self.password,) if self.password else ()
        self.password = ""
        sources = [replace(self.sources[number - 1], passwords=passwords) for number in self._numbers]
        try:
            library = self.open_library()
            report = ingest(
                sources, library, self.encoder, on_progress=self._hear, cancelled=self._cancelled.is_set,
                originals=self.originals,
            )  # fmt: skip
            self.cost = str(report.bill)
            if not report.cancelled:
                self._keep_token_vectors(library)
            return report
        finally:
            locked = [number for number, report in self._reports.items() if report.needs_password]
            self.clean_up([self.sources[number - 1].path for number in locked])

    def _keep_token_vectors(self, library: Library) -> None:
        """Bring them up to date. The files are in the library whatever becomes of this; models are not fetched."""

        def hear(done: int, total: int) -> None:
            self.token_vectors = f"Token vectors: {done} of {total} passages"

        try:
            keep_up(library, Hub(allow_downloads=False), hear, self._cancelled.is_set)
            self.token_vectors = ""
        except SecondLookError as error:
            self.token_vectors = (
                f"The files are added, but token vectors are not up to date. {told(error, Face.PAGE)}"
            )

    def _hear(self, progress: IngestProgress) -> None:
        number = self._numbers[progress.file - 1]
        with self._lock:
            if progress.report is not None:
                self._reports[number] = progress.report
            else:
                first = self._numbers[progress.unembedded - 1] if progress.unembedded else 0
                self.progress = replace(progress, file=number, unembedded=first)
        if progress.report is not None:
            self.on_report(progress.report)
