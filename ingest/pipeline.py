"""ingest(): files → documents → chunks → vectors → a published generation, one report a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path

from ingest.encoders.base import Encoder
from ingest.errors import CancelledError, NoTextError, PasswordNeededError, ReadError, UnreachableError
from ingest.library.library import Library, Manifest
from ingest.library.writer import Duplicate, LibraryWriter, writing
from ingest.readers.process.client import read_in_worker
from ingest.readers.process.cutting import WorkerChunker
from ingest.readers.source import Limits
from ingest.records import (
    Chunk,
    Document,
    FileReport,
    FileStatus,
    IngestProgress,
    IngestReport,
    Stage,
    Unread,
    format_pages,
    sha256_of,
)
from ingest.services.billing import billing
from ingest.sources import Source


def ingest(
    sources: Sequence[Source],
    library: Library,
    encoder: Encoder,
    *,
    on_progress: OnProgress | None = None,
    cancelled: Callable[[], bool] | None = None,
    limits: Limits | None = None,
) -> IngestReport:
    """Add files to the library; what is there already is neither stored nor embedded again.

    Every file ends with a report, and a file that cannot be read never stops the others. A report of
    ``indexed`` is given only once searches find the file. ``cancelled`` is asked between batches: when it
    says yes, the files finished so far are published and the rest are left as they were. Raises
    `EncoderMismatchError` if another encoder made the library, `LibraryBusyError` if another process
    is writing to it, `ServiceError` where the encoder is a service that fails.
    """
    library.require_encoder(encoder.model.spec)
    started = time.perf_counter()
    with billing() as bill, writing(library) as writer:
        run = Intake(
            writer,
            encoder,
            len(sources),
            on_progress,
            cancelled or (lambda: False),
            limits or Limits(),
            sources,
        )
        try:
            for number, source in enumerate(sources, start=1):
                run.add(number, source)
        except CancelledError:
            run.stopped = True
        run.publish()
    return IngestReport(tuple(run.reports), time.perf_counter() - started, run.stopped, bill)


def rebuild(
    library: Library, encoder: Encoder, chunk_tokens: int, on_progress: OnProgress | None = None
) -> int:
    """Cut and embed every document again with this encoder; the number of documents.

    The stored text is what is read, so the files need not be there. Searches see the old state until
    the new one is whole.
    """
    with writing(library) as writer:
        writer.adopt(Manifest.of(encoder.model.spec, chunk_tokens))
        count = writer.stored_count()
        run = Intake(writer, encoder, count, on_progress, lambda: False, Limits())
        for number, (source, document) in enumerate(writer.stored_documents(), start=1):
            run.at = (document.path, number)
            run.stage(source, document)
        run.embed_window()
        writer.publish()
    return count


# Passages embedded at once, over the bounds of files: small files then fill whole batches too. A Cancel is
# heard between windows, so this is also what it waits for (two or three seconds on 2 CPU cores).
WINDOW = 256
# A generation is published when this many seconds have passed, or ten times what publishing last took,
# so that a long ingest shows its files as it goes without spending its time on rewriting the index.
PUBLISH_SECONDS = 5.0
PUBLISH_SHARE = 10.0

OnProgress = Callable[[IngestProgress], None]


@dataclass
class _File:
    """A file on its way: its reports so far, what it is made of, and its `_stamp` before it was read."""

    source: Source
    file_hash: str
    stamp: tuple[int, ...]
    report: FileReport
    fresh: int = 0
    same: int = 0
    unread: list[Unread] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)


class Intake:
    """The passages that wait to be embedded and the files that wait to be published, during one call."""

    def __init__(
        self, writer: LibraryWriter, encoder: Encoder, files: int,
        on_progress: OnProgress | None, cancelled: Callable[[], bool], limits: Limits,
        sources: Sequence[Source] = (),
    ) -> None:  # fmt: skip
        """Take ``files`` files in through ``writer``; ``cancelled`` is asked between windows.

        ``sources`` are the files that are to be read during this call, as far as they are known beforehand.
        """
        self.reports: list[FileReport] = []
        self.stopped = False
        self.at = ("", 0)
        self._writer, self._encoder, self._limits = writer, encoder, limits
        self._files, self._on_progress, self._cancelled = files, on_progress, cancelled
        self._chunker = WorkerChunker(encoder.tokenizer, writer.manifest.chunk_tokens, limits, cancelled)
        self._waiting: dict[str, str] = {}
        self._dirty = False
        self._sources = {source.key: source for source in sources if not source.apart}
        self._finished: list[tuple[int, FileReport]] = []
        self._embedded, self._total, self._embed_seconds = 0, 0, 0.0
        self._published_at, self._publish_took = time.perf_counter(), 0.0

    def add(self, number: int, source: Source) -> None:
        """Take one file in, from reading to staging; publish when it is time."""
        self._stop_if_cancelled()
        self.at = (source.name, number)
        self._tell(Stage.READING)
        try:
            report = self._take(source)
        except ReadError as error:
            locked = isinstance(error, PasswordNeededError)
            report = FileReport(
                source.name, FileStatus.REFUSED, str(error), needs_password=locked,
                unreachable=isinstance(error, UnreachableError),
            )  # fmt: skip
        except OSError as error:
            why = f"{source.name} cannot be read: {error.strerror or error}. Check that it exists and may be read."
            report = FileReport(source.name, FileStatus.REFUSED, why, unreachable=True)
        self._finished.append((number, report))
        due = max(PUBLISH_SECONDS, PUBLISH_SHARE * self._publish_took)
        if not self._dirty:
            self._report_finished()  # nothing waits to be published
        elif time.perf_counter() - self._published_at > due:
            self.publish()

    def publish(self) -> None:
        """Make all finished files visible, then report them."""
        if self._dirty:
            self.embed_window()
            self._tell(Stage.PUBLISHING)
            before = time.perf_counter()
            self._writer.publish()
            self._publish_took = time.perf_counter() - before
            self._dirty = False
        self._published_at = time.perf_counter()
        self._report_finished()

    def stage(self, source: str, document: Document) -> int:
        """Cut a document, embed what has no vector yet, and stage it; its number of chunks."""
        chunks = self._chunker.chunks(document)
        self._wait_for_vectors(chunks)
        self._writer.stage(source, document, chunks)
        self._dirty = True
        return len(chunks)

    def embed_window(self) -> None:
        """Embed the passages that wait and store their vectors."""
        if not self._waiting:
            return
        before = time.perf_counter()
        vectors = self._encoder.encode_passages(list(self._waiting.values()), self._count)
        self._embed_seconds += time.perf_counter() - before
        self._writer.put_vectors(dict(zip(self._waiting, vectors, strict=True)))
        self._waiting.clear()

    def _take(self, source: Source) -> FileReport:
        source.require_file()
        stamp = _stamp(source.path)
        file_hash = sha256_of(source.path, self._stop_if_cancelled)
        given, source = source, self._beside(source, file_hash) if source.apart else source
        before = self._writer.report_of(source.key, file_hash)
        if before is not None:
            return replace(before, path=source.name, status=FileStatus.UNCHANGED, reason="")
        original = self._staying(self._writer.file_duplicates_of(source.key, file_hash))
        if original is not None:
            return self._duplicate(source, original)
        file = _File(source, file_hash, stamp, FileReport(source.name, FileStatus.INDEXED))
        try:
            report = self._take_documents(file)
        except BaseException:
            self._writer.unstage(source.key)
            raise
        if source.key == given.key:
            return report
        sentence = f"Another file called {given.name} is in the library; both are kept."
        return replace(report, reason=f"{sentence} {report.reason}".rstrip())

    def _beside(self, source: Source, file_hash: str) -> Source:
        """The upload under the first of its names that no other file has."""
        names = chain((source,), map(source.numbered, count(2)))
        return next(one for one in names if not self._writer.holds(one.key) or self._is_held(one, file_hash))

    def _is_held(self, source: Source, file_hash: str) -> bool:
        """Whether what the library holds of this identity is this very file."""
        stored_hash = self._writer.hash_of(source.key)
        if stored_hash is not None:
            return stored_hash == file_hash
        with closing(self._read(source)) as documents:  # a rebuild forgets hashes, and keeps what was read
            ours = {part.id: part.content_hash for part in documents if isinstance(part, Document)}
        return ours == {name: self._writer.content_of(name) for name in self._writer.documents_of(source.key)}

    def _take_documents(self, file: _File) -> FileReport:
        source = file.source
        with closing(self._read(source)) as documents:
            for document in documents:
                if isinstance(document, Unread):
                    file.unread.append(document)
                    continue
                # What lies within a file belongs to it, also where another file holds the same.
                is_whole = document.key == source.key
                duplicates = self._writer.duplicates_of(document) if is_whole else []
                original = self._staying(duplicates)
                if original is not None:
                    return self._duplicate(source, original)
                self._take_document(file, document)
        # Else what was read would be remembered under the hash of other bytes.
        if _stamp(source.path) != file.stamp:
            raise ReadError(
                f"{source.name} changed while it was being read; nothing of it was indexed. Add it again."
            )
        stored_ids = self._writer.documents_of(source.key)
        report = _summary(file, self._drop(stored_ids - file.seen))
        # An unchanged one too: a rebuild forgets files, and other bytes may say the same.
        remember = self._writer.stage_source if self._dirty else self._writer.remember_source
        remember(source.key, file.file_hash, report)
        changed = bool(stored_ids) and report.status is FileStatus.INDEXED
        return replace(report, status=FileStatus.REPLACED) if changed else report

    def _read(self, source: Source) -> Generator[Document | Unread, None, None]:
        return read_in_worker(
            source.path, name=source.name, key=source.key, limits=self._limits,
            passwords=source.passwords, cancelled=self._cancelled,
        )  # fmt: skip

    def _staying(self, duplicates: Sequence[Duplicate]) -> str | None:
        """The path of the document that will hold the same once all files of this call are read, or ``None``.

        Where two files have changed places, or one has taken another's name, each would else be left out as the
        duplicate of what the other one held before, and neither be in the library in the end.
        """
        return next((duplicate.path for duplicate in duplicates if self._stays(duplicate)), None)

    def _stays(self, duplicate: Duplicate) -> bool:
        source = self._sources.get(duplicate.source)
        if source is None:
            return True  # it is not read in this call, and stays as it is in the library
        try:
            source.require_file()
            return sha256_of(source.path, self._stop_if_cancelled) == duplicate.file_hash
        except (OSError, UnreachableError):
            return True  # it is refused, and what it held before is kept

    def _duplicate(self, source: Source, original: str) -> FileReport:
        reason = f"The same content is in the library already, as {original}."
        if self._drop(self._writer.documents_of(source.key)):
            reason += f" What {source.name} held before is taken out."
        return FileReport(source.name, FileStatus.DUPLICATE, reason)

    def _drop(self, document_ids: set[str]) -> int:
        """Have documents dropped that a file held before and holds no more; how many."""
        if document_ids:
            self._writer.doom(sorted(document_ids))
            self._dirty = True
        return len(document_ids)

    def _take_document(self, file: _File, document: Document) -> None:
        if self._writer.content_of(document.id) == document.content_hash:
            file.same += 1
            file.report = replace(
                file.report, chunks=file.report.chunks + self._writer.chunk_count_of(document.id)
            )
        else:
            chunks = self.stage(file.source.key, document)
            if not chunks:
                raise NoTextError(
                    f"{document.path} has no text that a passage could be made of; nothing was indexed."
                )
            file.fresh += 1
            file.report = replace(file.report, chunks=file.report.chunks + chunks)
        file.seen.add(document.id)
        file.report = replace(
            file.report,
            pages=file.report.pages + document.page_count,
            pages_without_text=file.report.pages_without_text + document.pages_without_text,
        )

    def _wait_for_vectors(self, chunks: Sequence[Chunk]) -> None:
        """Queue the passages that have no vector yet; embed whenever a window is full."""
        passages = {chunk.passage_hash: chunk.passage for chunk in chunks}
        missing = self._writer.missing(list(passages))
        self._total += len(missing - self._waiting.keys())
        for key in passages:
            if key in missing:
                self._waiting[key] = passages[key]
            if len(self._waiting) >= WINDOW:
                self.embed_window()
                self._stop_if_cancelled()

    def _count(self, more: int) -> None:
        self._embedded += more
        self._tell(Stage.EMBEDDING)

    def _stop_if_cancelled(self) -> None:
        if self._cancelled():
            raise CancelledError("The ingest was stopped; what was finished before is kept.")

    def _tell(self, stage: Stage, report: FileReport | None = None, number: int | None = None) -> None:
        if self._on_progress is None:
            return
        path, at = self.at
        rate = self._embedded / self._embed_seconds if self._embed_seconds else 0.0
        self._on_progress(
            IngestProgress(
                report.path if report else path, number or at, self._files, stage,
                self._embedded, self._total, rate, report,
            )
        )  # fmt: skip

    def _report_finished(self) -> None:
        for number, report in self._finished:
            self.reports.append(report)
            self._tell(Stage.DONE, report, number)
        self._finished.clear()


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file is written to or replaced: its inode, size and time of change."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _summary(file: _File, dropped: int) -> FileReport:
    """The report of a file whose documents are staged."""
    if not file.seen:
        raise NoTextError(f"{file.source.name} holds no entry with text; nothing was indexed.")
    blank = file.report.pages_without_text
    reason = ""
    if blank:
        pages = format_pages(blank)
        plural = "s" if len(blank) > 1 else ""
        reason = f"No text on page{plural} {pages}: probably scanned. OCR (ocrmypdf, say) would add it."
    reason = " ".join(filter(None, (reason, _unread_sentence(file.unread))))
    status = FileStatus.INDEXED if file.fresh or dropped else FileStatus.UNCHANGED
    return replace(file.report, status=status, reason=reason)


_UNREAD_NAMED = 3


def _unread_sentence(unread: Sequence[Unread]) -> str:
    """What is said of the files within a file that were not read: how many, and why the first ones."""
    if not unread:
        return ""
    number = f"{len(unread)} files within it are" if len(unread) > 1 else "1 file within it is"
    reasons = " ".join(part.reason for part in unread[:_UNREAD_NAMED])
    return f"{number} not read. {reasons}"
