"""Labels as files that a browser carries: a zip in BEIR's layout, TREC qrels, and either of them back again."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from ingest.errors import DamagedFileError, SecondLookError
from ingest.library.label_records import Label, MergeReport
from ingest.library.labels import Labels
from ingest.workspace import Workspace
from rerank.judged.beir import CORPUS, QUERIES
from rerank.labels.files import TREC, export_labels, query_id, read_labels
from ui.files.datasets import TABLE_NAME, as_uploaded
from ui.files.uploads import short_name

UPLOADED = "uploaded"
# Unpacked; a million labels with their passages take less.
MOST_BYTES = 512 * 1024 * 1024


def as_zip(labels: Sequence[Label]) -> bytes:
    """Every file of `export_labels` in one zip. Raises `UsageError` where there are no labels."""
    packed = io.BytesIO()
    with Workspace.temporary() as name, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        export_labels(labels, name)
        for path in sorted(name.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(name).as_posix())
    return packed.getvalue()


def as_qrels(labels: Sequence[Label]) -> bytes:
    """The labels as TREC qrels. Raises `UsageError` where there are no labels."""
    with Workspace.temporary() as name:
        export_labels(labels, name)
        return (name / TREC).read_bytes()


def take_in(name: str, data: bytes, labels: Labels) -> MergeReport:
    """Merge an uploaded zip, or one table of qrels, into the library's labels: all of it, or nothing.

    A table alone names its questions by id, and so must be of questions that the library has labels of. Raises
    `DamagedFileError` or `UsageError` with what is wrong.
    """
    known = {query_id(label.query): label.query for label in labels.all()}
    plain = short_name(name) or "The file"
    with Workspace.temporary() as folder:
        path = folder.resolve() / UPLOADED  # the client's name is only ever said, never a path
        try:
            if zipfile.is_zipfile(io.BytesIO(data)):
                _unpack(plain, data, path)
            else:
                path.write_bytes(data)
            return labels.merge(read_labels(path, known, datetime.now(UTC)))
        except SecondLookError as error:
            raise type(error)(as_uploaded(str(error), path, plain), help=error.help) from error


def _unpack(name: str, data: bytes, folder: Path) -> None:
    """Take out of a zip what labels are read from, and nothing else of it; a folder around it all is left away."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if sum(entry.file_size for entry in entries) > MOST_BYTES:
                raise DamagedFileError(
                    f"{name} unpacks to more than {MOST_BYTES // 2**20} MB; import it in parts."
                )
            for number, entry in enumerate(sorted(entries, key=lambda entry: entry.filename)):
                place = _place(entry, number)
                if place is not None:
                    (folder / place).parent.mkdir(parents=True, exist_ok=True)
                    (folder / place).write_bytes(archive.read(entry))
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        raise DamagedFileError(
            f"{name} cannot be unpacked ({error}). Make the zip again, without a password."
        ) from error
    folder.mkdir(exist_ok=True)


def _place(entry: zipfile.ZipInfo, number: int) -> Path | None:
    """Where a file of the zip belongs, by its last parts; ``None`` for what is none of ours, links too.

    Tables keep their names where those are plain, because a line is found by them; others get one of ours.
    """
    parts = PurePosixPath(entry.filename).parts
    if not parts or stat.S_ISLNK(entry.external_attr >> 16):
        return None
    if parts[-1] in (QUERIES, CORPUS, TREC):
        return Path(parts[-1])
    if len(parts) > 1 and parts[-2] == "qrels" and parts[-1].endswith(".tsv"):
        return Path("qrels") / (parts[-1] if TABLE_NAME.fullmatch(parts[-1]) else f"table-{number}.tsv")
    return None
