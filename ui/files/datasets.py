"""What the Evaluate view can evaluate on: a zip that was uploaded, the sample's questions, the library's labels."""

from __future__ import annotations

import os
import re
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import IO

from ingest.errors import DamagedFileError, EncryptedFileError, SecondLookError, TooLargeError, UsageError
from ingest.library.labels import Labels
from ingest.readers.source import format_size
from ingest.workspace import Workspace
from rerank.judged.beir import CORPUS, QRELS, QUERIES
from rerank.judged.dataset import SUFFIXES, read_judged_set, splits
from rerank.labels.files import export_labels
from ui.files.uploads import short_name

# As a DOCX may unpack to (`ingest.readers.source.Limits`): BEIR's sets up to a few hundred thousand documents.
MAX_UNPACKED = 500_000_000
MAX_MEMBERS = 10_000  # an archive of more names is no dataset, and listing them costs memory
BLOCK = 1 << 20

FOLDER = "dataset"
# What a file of an archive may be called here: at most 240 bytes, of the 255 that a name can have.
TABLE_NAME = re.compile(r"[\w.-]{1,60}")


@dataclass(frozen=True)
class Dataset:
    """A judged set in a folder. ``questions`` counts the judged questions of each split.

    ``documents`` counts what there is to index, as far as the corpus says before it is read.
    ``library`` is where its documents are indexed, ``None`` for the place that `secondlook evaluate` keeps too.
    A folder that was made for it goes when nothing refers to the dataset any more, at the latest at exit.
    """

    name: str
    folder: Path
    questions: Mapping[str, int]
    documents: int
    library: Path | None = None


@cache
def sample_dataset(folder: Path) -> Dataset | None:
    """The sample's own questions in ``folder``; ``None`` where the project was installed without them."""
    if not (folder / QUERIES).is_file():
        return None
    return Dataset("sample", folder, *_counted(folder))


def labels_dataset(labels: Labels) -> Dataset:
    """The library's labels, with the passages that were judged as the documents.

    Raises `UsageError` where none of them says relevant.
    """
    if not any(grade for grades in labels.judgements().values() for grade in grades.values()):
        raise UsageError(
            "No passage is judged relevant or partly yet, so that nothing can be measured. Judge some."
        )
    with _private_folder() as room:
        folder = room.folder / "labels"
        export_labels(labels.all(), folder)
        return _kept(room, Dataset("labels", folder, *_counted(folder), room.folder / "library"))


def uploaded_dataset(upload: IO[bytes], name: str) -> Dataset:
    """The judged set in an uploaded zip of a BEIR folder, unpacked into a private folder of ours.

    Only corpus.jsonl, queries.jsonl and the tables of qrels/ are taken out; neither ``name`` nor a path of the archive
    is ever used as a path. Raises a `ReadError` or `UsageError` whose sentence speaks of ``name``.
    """
    plain = short_name(name) or "The file"
    called = re.sub(r"[^\w.-]+", "-", PurePosixPath(plain).stem).strip(".-") or FOLDER
    with _private_folder() as room:
        folder = room.folder / FOLDER
        try:
            _unpack(upload, plain, folder)
            return _kept(room, Dataset(called, folder, *_counted(folder), room.folder / "library"))
        except SecondLookError as error:
            raise type(error)(as_uploaded(str(error), folder, plain), help=error.help) from error


def as_uploaded(sentence: str, folder: Path, name: str) -> str:
    """The sentence with what the person knows, the archive's name, in place of where we unpacked it."""
    return sentence.replace(f"{folder.resolve()}{os.sep}", "").replace(str(folder.resolve()), name)


@contextmanager
def _private_folder() -> Iterator[Workspace]:
    """A new folder that only we may read, removed where what is made in it fails."""
    room = Workspace.temporary()
    try:
        yield room
    except BaseException:
        room.close()
        raise


def _kept(room: Workspace, dataset: Dataset) -> Dataset:
    weakref.finalize(dataset, lambda workspace: workspace.close(), room)  # which keeps it until then
    return dataset


def _counted(folder: Path) -> tuple[dict[str, int], int]:
    """Judged questions by split, and the documents.

    Reading all questions finds what is wrong with a set before hours are spent on it.
    """
    sets = [read_judged_set(folder, split) for split in splits(folder)]
    if not sets:
        raise UsageError(
            f"{folder / QRELS} has no table of judgements ({', '.join(SUFFIXES)}). A dataset is a folder with "
            f"{CORPUS}, {QUERIES} and {QRELS}/test.tsv, as BEIR's are; pack that."
        )
    corpus = folder / CORPUS
    documents = _lines(corpus) if corpus.is_file() else len(sets[0].corpus)
    return {judged.split: len(judged.queries) for judged in sets}, documents


def _lines(path: Path) -> int:
    """The lines of a file, block by block, for one may be as long as the file; the last one need not be ended."""
    count, last = 0, b"\n"
    with path.open("rb") as source:
        for block in iter(partial(source.read, BLOCK), b""):
            count, last = count + block.count(b"\n"), block[-1:]
    return count + (last != b"\n")


def _unpack(upload: IO[bytes], name: str, folder: Path) -> None:
    (folder / QRELS).mkdir(parents=True)
    try:
        with zipfile.ZipFile(upload) as archive:
            room = MAX_UNPACKED
            for member, target in _wanted(archive, name).items():
                with archive.open(member) as source, (folder / target).open("wb") as target_file:
                    room -= _copy(source, target_file, room, name)
    except zipfile.BadZipFile as error:
        raise DamagedFileError(
            f"{name} is not a zip archive that can be read ({error}). Pack the dataset's folder again."
        ) from error
    except NotImplementedError as error:
        raise DamagedFileError(
            f"{name} is packed by a method that cannot be read here. Pack it as a plain zip."
        ) from error
    except RuntimeError as error:  # what zipfile raises where a password is needed
        raise EncryptedFileError(
            f"{name} asks for a password. Pack the dataset's folder without one."
        ) from error
    except (zlib.error, EOFError) as error:
        raise DamagedFileError(
            f"{name} is damaged inside ({error}). Pack the dataset's folder again."
        ) from error


def _wanted(archive: zipfile.ZipFile, name: str) -> dict[zipfile.ZipInfo, str]:
    """The members to take out, with their places in our folder; all stand in the one folder of corpus.jsonl."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > MAX_MEMBERS:
        raise TooLargeError(
            f"{name} holds {len(members):,} files; {MAX_MEMBERS:,} are the most. Pack {CORPUS}, {QUERIES} and "
            f"{QRELS}/ alone."
        )
    by_path = {PurePosixPath(member.filename.replace("\\", "/")): member for member in members}
    bases = [path.parent for path in by_path if path.name == CORPUS and "__MACOSX" not in path.parts]
    if len(bases) != 1 or bases[0] / QUERIES not in by_path:
        fault = f"{'more than one' if bases else 'no'} {CORPUS}"
        if len(bases) == 1:
            fault = f"no {QUERIES} beside its {CORPUS}"
        raise UsageError(
            f"{name} holds {fault}. Pack one dataset in BEIR's layout: {CORPUS}, {QUERIES} and {QRELS}/test.tsv."
        )
    base = bases[0]
    tables = {
        member: f"{QRELS}/{path.name}"
        for path, member in by_path.items()
        if path.parent == base / QRELS and path.suffix in SUFFIXES and TABLE_NAME.fullmatch(path.name)
    }
    return {by_path[base / CORPUS]: CORPUS, by_path[base / QUERIES]: QUERIES, **tables}


def _copy(source: IO[bytes], target: IO[bytes], room: int, name: str) -> int:
    """Copy as much as there is and say how many bytes; what the archive says of its sizes is not believed."""
    copied = 0
    while block := source.read(BLOCK):
        copied += len(block)
        if copied > room:
            raise TooLargeError(
                f"{name} unpacks to more than {format_size(MAX_UNPACKED)}. Evaluate so large a set in the terminal: "
                "secondlook evaluate FOLDER"
            )
        target.write(block)
    return copied
