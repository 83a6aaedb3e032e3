"""rebuild(): every document read again from its original where that is kept, and cut and embedded again."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from ingest.encoders.base import Encoder
from ingest.errors import LibraryDamagedError, ReadError
from ingest.intake import Intake, dated
from ingest.library.files import originals
from ingest.library.files.originals import ORIGINALS, Original
from ingest.library.library import Library, Manifest
from ingest.library.writer import LibraryWriter, writing
from ingest.progress import OnProgress
from ingest.readers.source import Limits
from ingest.records import FileReport, FileStatus, Stage, Unread
from ingest.sources import Source


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many documents a rebuild gave, and of how many of them only the kept text could be read."""

    documents: int
    from_text: int


def rebuild(
    library: Library, encoder: Encoder, chunk_tokens: int, on_progress: OnProgress | None = None
) -> Rebuilt:
    """Read, cut and embed everything again with this encoder; the files need not lie where they lay.

    What is read is the original that the library keeps of a file, with today's readers; where it keeps none, or one
    that cannot be read (it may need its password), the text that is stored. Searches see the old state until the new
    one is whole.
    """
    with writing(library) as writer:
        originals_by_source = {source: writer.original_of(source) for source in writer.stored_sources()}
        writer.adopt(Manifest.of(encoder.model.spec, chunk_tokens))
        run = Rebuilding(
            library, writer, Intake(writer, encoder, len(originals_by_source), on_progress, _never, Limits())
        )
        for number, (source, original) in enumerate(originals_by_source.items(), start=1):
            run.add(number, source, original)
        run.intake.embed_window()
        writer.publish()
    return Rebuilt(run.documents, run.from_text)


def _never() -> bool:
    return False


class Rebuilding:
    """One rebuild under way."""

    def __init__(self, library: Library, writer: LibraryWriter, intake: Intake) -> None:
        """Documents are staged through ``intake``."""
        self.intake = intake
        self.documents = self.from_text = 0
        self._library, self._writer = library, writer

    def add(self, number: int, source: str, original: Original | None) -> None:
        """Stage the documents of one source anew."""
        self.intake.meter.at = (original.name if original else source, number)
        self.intake.meter.tell(Stage.READING)
        if original is not None and (count := self._from_original(source, original)):
            self.documents += count
            return
        for document in self._writer.stored_documents(source):
            self.intake.stage(source, document)
            self.documents, self.from_text = self.documents + 1, self.from_text + 1

    def _from_original(self, source: str, original: Original) -> int:
        """Stage what today's readers give; how many documents, 0 where the original is of no use."""
        file = Source(self._library.folder / ORIGINALS / original.sha256, original.name, source)
        ids, chunks, pages, blank = set[str](), 0, 0, tuple[int, ...]()
        dates = {
            document.id: document.metadata.modified for document in self._writer.stored_documents(source)
        }
        try:
            originals.opened(self._library.folder, original).close()
            with closing(self.intake.read(file)) as documents:
                for document in documents:
                    if isinstance(document, Unread):
                        continue
                    count = self.intake.stage(source, dated(document, dates.get(document.id, "")))
                    if not count:
                        raise ReadError(f"{document.path} has no text that a passage could be made of.")
                    ids.add(document.id)
                    chunks, pages, blank = (
                        chunks + count,
                        pages + document.page_count,
                        document.pages_without_text,
                    )
        except (ReadError, OSError, LibraryDamagedError):
            self._writer.unstage(source)
            return 0
        if ids:
            self._writer.doom(sorted(self._writer.documents_of(source) - ids))
            report = FileReport(original.name, FileStatus.INDEXED, "", chunks, pages, blank)
            self._writer.stage_source(source, original.sha256, report)
        return len(ids)
