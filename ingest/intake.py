"""One ingest under way: files → documents → chunks → vectors → a published generation, one report a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path

from ingest.encoders.base import Encoder
from ingest.errors import (
    CancelledError,
    NoTextError,
    OcrNeededError,
    PasswordNeededError,
    ReadError,
    UnreachableError,
)
from ingest.folders import is_gone
from ingest.library.files.originals import UPLOAD
from ingest.library.writer import Duplicate, LibraryWriter
from ingest.progress import OnProgress, ProgressMeter
from ingest.readers.extras import ocr_is_installed
from ingest.readers.process.client import read_in_worker
from ingest.readers.process.cutting import WorkerChunker
from ingest.readers.source import Limits
from ingest.records import (
    Chunk,
    Document,
    FileReport,
    FileStatus,
    Stage,
    Unread,
    format_pages,
    sha256_of,
)
from ingest.sources import Source

# Passages handed to the encoder at once, over the bounds of files: small files then fill whole batches too. A Cancel is
# heard after each of its batches, and costs the vectors of one window (two or three seconds on 2 CPU cores).
WINDOW = 256
# A generation is published when this many seconds have passed, or ten times what publishing last took,
# so that a long ingest shows its files as it goes without spending its time on rewriting the index.
PUBLISH_SECONDS = 5.0
PUBLISH_SHARE = 10.0


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
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Finished:
    """A file that was read and staged: its number, its key, and the report that it gets when it is published."""

    number: int
    source: str
    report: FileReport


class Intake:
    """The passages that wait to be embedded and the files that wait to be published, during one call."""

    def __init__(
        self, writer: LibraryWriter, encoder: Encoder, files: int,
        on_progress: OnProgress | None, cancelled: Callable[[], bool], limits: Limits, *,
        sources: Sequence[Source] = (), originals: bool = False,
    ) -> None:  # fmt: skip
        """Take ``files`` files in through ``writer``; ``cancelled`` is asked between windows.

        ``sources`` are the files that are to be read during this call, as far as they are known beforehand.
        ``originals`` has the files themselves kept.
        """
        self.stopped = False
        self.meter = ProgressMeter(files, on_progress)
        self._writer, self._encoder, self._limits = writer, encoder, limits
        self._cancelled, self._originals = cancelled, originals
        self._chunker = WorkerChunker(encoder.tokenizer, writer.manifest.chunk_tokens, limits, cancelled)
        self._waiting: dict[str, str] = {}
        self._dirty = False
        self._reports: dict[int, FileReport] = {}
        self._sources = {source.key: source for source in sources if not source.apart}
        self._finished: list[_Finished] = []
        self._published_at, self._publish_took = time.perf_counter(), 0.0

    def add(self, number: int, source: Source) -> None:
        """Take one file in, from reading to staging; publish when it is time."""
        self._stop_if_cancelled()
        self.meter.at = (source.name, number)
        self.meter.tell(Stage.READING)
        try:
            report, key = self._take(source)
        except ReadError as error:
            locked = isinstance(error, PasswordNeededError)
            report = FileReport(
                source.name, FileStatus.REFUSED, str(error), needs_password=locked,
                unreachable=isinstance(error, UnreachableError), needs_ocr=isinstance(error, OcrNeededError),
            )  # fmt: skip
        except OSError as error:
            why = f"{source.name} cannot be read: {error.strerror or error}. Check that it exists and may be read."
            report = FileReport(source.name, FileStatus.REFUSED, why, unreachable=True)
        else:
            self._finished.append(_Finished(number, key, report))
        if report.status is FileStatus.REFUSED:
            self._report(number, report)  # there is nothing to publish of it
        due = max(PUBLISH_SECONDS, PUBLISH_SHARE * self._publish_took)
        if not self._dirty:
            self._report_finished()  # nothing waits to be published
        elif time.perf_counter() - self._published_at > due:
            self.publish()

    def publish(self) -> None:
        """Make all finished files visible, then report them."""
        if self._dirty:
            self.embed_window()
            self.meter.tell(Stage.PUBLISHING)
            before = time.perf_counter()
            self._writer.publish()
            self._publish_took = time.perf_counter() - before
            self._dirty = False
        self._published_at = time.perf_counter()
        self._report_finished()

    @property
    def reports(self) -> tuple[FileReport, ...]:
        """The reports so far, in the order of the files."""
        return tuple(report for _, report in sorted(self._reports.items()))

    def stop(self) -> None:
        """Publish the files that are finished, and leave the others as they were.

        A file is not finished while passages of it wait for their vectors; nor is what came after it, which may have
        been left out as a duplicate of it.
        """
        self.stopped = True
        if self._waiting:
            whole = [file for file in self._finished if file.number < self.meter.unembedded]
            self._writer.unstage(
                *({file.source for file in self._finished} - {file.source for file in whole})
            )
            self._finished = whole
            self._forget_waiting()
        self._dirty = bool(self._finished)
        self.publish()

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
        self.meter.begin_window(len(self._waiting))
        vectors = self._encoder.encode_passages(list(self._waiting.values()), self._count)
        self.meter.end_window()
        self._writer.put_vectors(dict(zip(self._waiting, vectors, strict=True)))
        self._forget_waiting()
        self._stop_if_cancelled()

    def _forget_waiting(self) -> None:
        self._waiting.clear()
        self.meter.unembedded = 0

    def _take(self, source: Source) -> tuple[FileReport, str]:
        """The report of a file, and the key that it has in the library."""
        source.require_file()
        stamp = _stamp(source.path)
        file_hash = sha256_of(source.path, self._stop_if_cancelled)
        named, source = source, self._beside(source, file_hash) if source.apart else source
        before = self._writer.report_of(source.key, file_hash)
        if before is not None:
            if self._writer.original_of(source.key) is None:  # an earlier version kept none, say
                self._keep_original(source, file_hash, pending=False)
            return replace(before, path=source.name, status=FileStatus.UNCHANGED, reason=""), source.key
        duplicates = self._writer.file_duplicates_of(source.key, file_hash)
        if former := next((duplicate for duplicate in duplicates if _has_moved(duplicate, source)), None):
            return self._renamed(source, former, file_hash), source.key
        original = self._staying(duplicates)
        if original is not None:
            return self._duplicate(source, original), source.key
        file = _File(source, file_hash, stamp, FileReport(source.name, FileStatus.INDEXED))
        try:
            report = self._take_documents(file)
        except BaseException:
            self._writer.unstage(source.key)
            raise
        if source.key == named.key:
            return report, source.key
        sentence = f"Another file called {named.name} is in the library; both are kept."
        return replace(report, reason=f"{sentence} {report.reason}".rstrip()), source.key

    def _beside(self, source: Source, file_hash: str) -> Source:
        """The upload under the first of its names that no other file has."""
        names = chain((source,), map(source.numbered, count(2)))
        return next(one for one in names if not self._writer.holds(one.key) or self._is_held(one, file_hash))

    def _is_held(self, source: Source, file_hash: str) -> bool:
        """Whether what the library holds of this identity is this very file."""
        stored_hash = self._writer.hash_of(source.key)
        if stored_hash is not None:
            return stored_hash == file_hash
        with closing(self.read(source)) as documents:  # a rebuild forgets hashes, and keeps what was read
            ours = {part.id: part.content_hash for part in documents if isinstance(part, Document)}
        return ours == {name: self._writer.content_of(name) for name in self._writer.documents_of(source.key)}

    def _take_documents(self, file: _File) -> FileReport:
        source = file.source
        with closing(self.read(source)) as documents:
            for document in documents:
                if isinstance(document, Unread):
                    file.unread.append(document)
                    continue
                # What lies within a file belongs to it, also where another file holds the same.
                is_whole = document.key == self._writer.identity_of(source.key)
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
        self._keep_original(source, file.file_hash, pending=self._dirty)
        # An unchanged one too: a rebuild forgets files, and other bytes may say the same.
        remember = self._writer.stage_source if self._dirty else self._writer.remember_source
        remember(source.key, file.file_hash, report)
        changed = bool(stored_ids) and report.status is FileStatus.INDEXED
        return replace(report, status=FileStatus.REPLACED) if changed else report

    def _keep_original(self, source: Source, file_hash: str, *, pending: bool) -> None:
        if self._originals:
            self._writer.keep_original(
                source.key, source.name, source.path, file_hash, self._stop_if_cancelled, pending=pending
            )

    def read(self, source: Source) -> Generator[Document | Unread, None, None]:
        """The documents of a file, read under this call's limits. Raises as `read_in_worker`."""
        return read_in_worker(
            source.path, name=source.name, key=self._writer.identity_of(source.key), limits=self._limits,
            passwords=source.passwords, cancelled=self._cancelled, on_page=self.meter.tell_page,
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

    def _renamed(self, source: Source, former: Duplicate, file_hash: str) -> FileReport:
        if self._writer.holds(source.key):  # what the path held before
            self.publish()
            self._writer.delete(sorted(self._writer.documents_of(source.key)))
        self._writer.rename(former.source, source.key, former.path, source.name)
        report = self._writer.report_of(source.key, file_hash) or FileReport(source.name, FileStatus.RENAMED)
        reason = f"It was {former.path} before."
        return replace(report, path=source.name, status=FileStatus.RENAMED, reason=reason)

    def _drop(self, document_ids: set[str]) -> int:
        """Have documents dropped that a file held before and holds no more; how many."""
        if document_ids:
            self._writer.doom(sorted(document_ids))
            self._dirty = True
        return len(document_ids)

    def _take_document(self, file: _File, document: Document) -> None:
        if not file.source.key.startswith(UPLOAD):  # of which the disk says only when it came
            modified = datetime.fromtimestamp(file.stamp[2] / 1e9, UTC)
            document = dated(document, modified.isoformat(timespec="seconds"))
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
        file.remarks += document.remarks
        file.report = replace(
            file.report,
            pages=file.report.pages + document.page_count,
            pages_without_text=file.report.pages_without_text + document.pages_without_text,
        )

    def _wait_for_vectors(self, chunks: Sequence[Chunk]) -> None:
        """Queue the passages that have no vector yet; embed whenever a window is full."""
        passages = {chunk.passage_hash: chunk.passage for chunk in chunks}
        missing = self._writer.missing(list(passages))
        self.meter.total += len(missing - self._waiting.keys())
        for key in passages:
            if key in missing:
                self._waiting[key] = passages[key]
                self.meter.unembedded = self.meter.unembedded or self.meter.at[1]
            if len(self._waiting) >= WINDOW:
                self.embed_window()

    def _count(self, more: int) -> None:
        if self.meter.count(more) > 0:  # else all are there, and are kept first
            self._stop_if_cancelled()

    def _stop_if_cancelled(self) -> None:
        if self._cancelled():
            raise CancelledError("The ingest was stopped; what was finished before is kept.")

    def _report(self, number: int, report: FileReport) -> None:
        self._reports[number] = report
        self.meter.tell(Stage.DONE, report, number)

    def _report_finished(self) -> None:
        for file in self._finished:
            self._report(file.number, file.report)
        self._finished.clear()


def _has_moved(duplicate: Duplicate, source: Source) -> bool:
    """Whether a file is what lay at another path, where nothing is any more. Uploads have none."""
    return not any(key.startswith(UPLOAD) for key in (duplicate.source, source.key)) and is_gone(
        duplicate.source
    )


def dated(document: Document, modified: str) -> Document:
    """The document with the day of its file, where that does not say it itself."""
    if document.metadata.modified:
        return document
    return replace(document, metadata=replace(document.metadata, modified=modified))


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file is written to or replaced: its inode, size and time of change."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _summary(file: _File, dropped: int) -> FileReport:
    """The report of a file whose documents are staged."""
    if not file.seen:
        raise NoTextError(f"{file.source.name} holds no entry with text; nothing was indexed.")
    blank = file.report.pages_without_text
    remarks = list(file.remarks)
    needs_ocr = bool(blank) and not ocr_is_installed()
    if blank:
        plural = "s" if len(blank) > 1 else ""
        why = ": probably scanned" if needs_ocr else ", nor was any recognized"
        remarks.insert(0, f"No text on page{plural} {format_pages(blank)}{why}.")
    reason = " ".join(filter(None, (*remarks, _unread_sentence(file.unread))))
    status = FileStatus.INDEXED if file.fresh or dropped else FileStatus.UNCHANGED
    return replace(file.report, status=status, reason=reason, needs_ocr=needs_ocr)


_UNREAD_NAMED = 3


def _unread_sentence(unread: Sequence[Unread]) -> str:
    """What is said of the files within a file that were not read: how many, and why the first ones."""
    if not unread:
        return ""
    number = f"{len(unread)} files within it are" if len(unread) > 1 else "1 file within it is"
    reasons = " ".join(part.reason for part in unread[:_UNREAD_NAMED])
    return f"{number} not read. {reasons}"
