"""Commands on a library: `documents`, `delete`, `rebuild`, `doctor`, `export` and `import`."""

from __future__ import annotations

import argparse
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ingest.disk import storing
from ingest.encoders.onnx import open_encoder
from ingest.errors import LibraryError, SecondLookError, UsageError
from ingest.library.archive.export import export_library
from ingest.library.archive.importing import import_library
from ingest.library.files.originals import opened
from ingest.library.health.doctor import examine
from ingest.library.health.repair import Repair, repair
from ingest.library.health.view import Finding, Part
from ingest.library.library import Library
from ingest.library.trust import is_known
from ingest.library.writer import writing
from ingest.models.hub import Hub
from ingest.readers.source import format_size
from ingest.rebuild import rebuild
from rerank.calibration.store import FILE, load, unusable
from rerank.factory import encoder_for
from rerank.registry import (
    KNOWN_RERANKERS,
)
from ui.command_line.ingest import say_if_cut_as_before, store_and_say
from ui.command_line.options import add_json, add_library, add_model_access, check_chunk_tokens, named_folder
from ui.command_line.progress import ProgressBar
from ui.command_line.terminal import one_line, print_json
from ui.presentation.formatting import count_of
from ui.presentation.remedies import told
from ui.settings import Settings


@dataclass(frozen=True, slots=True)
class DocumentsArguments:
    """What `secondlook documents` was given."""

    json: bool


def add_documents_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """The arguments of `secondlook documents`."""
    add_library(parser, settings.library)
    add_json(parser)


def documents(arguments: DocumentsArguments, settings: Settings) -> int:
    """`secondlook documents`: what the library holds."""
    library = Library(settings.library)
    listing = library.documents()
    say_if_cut_as_before(library)
    if arguments.json:
        rows = [
            {
                "id": d.id,
                "title": d.title,
                "path": d.path,
                "format": d.format,
                "chunks": d.chunks,
                "pages": d.pages,
                "folder": d.folder,
                "metadata": asdict(d.metadata),
                "original": d.original and {"bytes": d.original.bytes, "sha256": d.original.sha256},
            }
            for d in listing
        ]
        print_json({"documents": rows, "originals": originals_row(library)})
        return 0
    for document in listing:
        pages = f", {count_of(document.pages, 'page')}" if document.pages else ""
        extent = f"{count_of(document.chunks, 'passage')}{pages}"
        print(f"{document.id}  {document.title}  ({extent})  {one_line(document.path)}")
    _say_originals(library)
    return 0


def originals_row(library: Library) -> dict[str, int]:
    """How many originals a library keeps, and how large they are, as JSON says it."""
    files, size = library.originals_size()
    return {"files": files, "bytes": size}


def _say_originals(library: Library) -> None:
    files, size = library.originals_size()
    if files:
        _say(f"It keeps {count_of(files, 'original')}, {format_size(size)}.")


@dataclass(frozen=True, slots=True)
class OriginalArguments:
    """What `secondlook original` was given."""

    document: str
    file: Path | None


def add_original_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """The arguments of `secondlook original`."""
    parser.add_argument("document", metavar="DOCUMENT", help="its id, path or title")
    parser.add_argument(
        "file", type=Path, nargs="?", metavar="FILE",
        help="the file or folder to write to (default: its name, here)",
    )  # fmt: skip
    add_library(parser, settings.library)


def save_original(arguments: OriginalArguments, settings: Settings) -> int:
    """`secondlook original`: the file that a document was read from, as it was."""
    library = Library(settings.library)
    document = library.find(arguments.document)
    if document.original is None:
        raise UsageError(
            f"The library {library.folder} keeps no original of “{document.title}”. Add its file again, and it does, "
            "unless it was told to keep none."
        )
    file = arguments.file or Path(document.original.file_name)
    if file.is_dir():
        file /= document.original.file_name
    with storing(str(file)), opened(library.folder, document.original) as original:
        try:
            with file.open("xb") as copy:
                shutil.copyfileobj(original, copy)
        except FileExistsError:
            raise UsageError(f"{file} is there already and is left as it is. Name another file.") from None
    print(file)
    return 0


@dataclass(frozen=True, slots=True)
class DeleteArguments:
    """What `secondlook delete` was given."""

    document: str


def add_delete_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """The arguments of `secondlook delete`."""
    parser.add_argument("document", metavar="DOCUMENT",
        help="its id, path or title; the path of an archive, a mailbox or a corpus takes out all that came from it",
    )  # fmt: skip
    add_library(parser, settings.library)


def delete(arguments: DeleteArguments, settings: Settings) -> int:
    """`secondlook delete`: a document leaves the next search."""
    library = Library(settings.library)
    documents = library.find_with_members(arguments.document)
    with writing(library) as writer:
        writer.delete([document.id for document in documents])
    name = (
        f"“{documents[0].title}”"
        if len(documents) == 1
        else f"{len(documents)} documents of {arguments.document}"
    )
    print(
        f"Deleted {name} ({count_of(sum(document.chunks for document in documents), 'passage')}).",
        file=sys.stderr,
    )
    return 0


@dataclass(frozen=True, slots=True)
class RebuildArguments:
    """What `secondlook rebuild` was given."""

    chunk_tokens: int | None


def add_rebuild_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """The arguments of `secondlook rebuild`."""
    add_library(parser, settings.library)
    parser.add_argument(
        "--encoder", default=settings.encoder, help="name or folder (default: the default pair's)"
    )
    parser.add_argument("--chunk-tokens", type=int, metavar="N", help="tokens a passage (default: as before)")
    add_model_access(parser)


def rebuild_library(arguments: RebuildArguments, settings: Settings) -> int:
    """`secondlook rebuild`: every document cut and embedded again, token vectors where they are wanted."""
    library = Library(settings.library)
    tokens = library.manifest().chunk_tokens if arguments.chunk_tokens is None else arguments.chunk_tokens
    check_chunk_tokens(tokens)
    hub = Hub(settings.allow_downloads)
    encoder = open_encoder(encoder_for(None, settings.models, hub), access=settings.services)
    with ProgressBar() as bar:
        rebuilt = rebuild(library, encoder, tokens, bar.show)
    print(f"Rebuilt {rebuilt.documents} documents with {encoder.model.name}.", file=sys.stderr)
    if rebuilt.from_text:
        _say(
            f"Of {count_of(rebuilt.from_text, 'document')} no original could be read, so that the stored text was cut "
            "anew: what an earlier version read wrongly stays so. To have it read again: secondlook ingest FILES "
            f"--library {library.folder}"
        )
    return store_and_say(library, hub, trusting=settings.trusting)


# What later stages keep in a library's folder, and what an export takes along.
ATTACHMENTS = (FILE,)


def add_doctor_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """The arguments of `secondlook doctor`."""
    add_library(parser, settings.library)
    parser.add_argument(
        "--repair", action="store_true",
        help="rebuild what is derived and remove what belongs to nothing; of a damaged database, save what can be "
        "read into a new library beside it",
    )  # fmt: skip
    add_json(parser)


def add_export_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """The arguments of `secondlook export`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the file to write")
    add_library(parser, settings.library)
    parser.add_argument(
        "--originals", action="store_true", help="take the files along that the documents were read from"
    )
    parser.add_argument(
        "--no-vectors", action="store_true",
        help="leave the vectors out: a smaller file, whose import has to embed every passage again",
    )  # fmt: skip
    add_json(parser)


def add_import_arguments(parser: argparse.ArgumentParser, _: Settings) -> None:
    """The arguments of `secondlook import`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a file that secondlook export wrote")
    parser.add_argument(
        "--library",
        type=named_folder,
        required=True,
        metavar="NEW_DIR",
        help="where to make the library; not there yet",
    )
    add_json(parser)


@dataclass(frozen=True, slots=True)
class DoctorArguments:
    """What `secondlook doctor` was given."""

    repair: bool
    json: bool


def run_doctor(arguments: DoctorArguments, settings: Settings) -> int:
    """Examine a library, and repair it if asked; 0 where it is whole in the end."""
    findings = examined(settings.library)
    mended = repair(settings.library) if arguments.repair and findings else Repair(())
    left = findings
    if arguments.repair and findings:
        left = examined(mended.saved_to or settings.library)
    if arguments.json:
        print_json(doctor_report(settings.library, findings, mended, left))
    else:
        _tell(settings.library, findings, mended, left)
    return 1 if left or mended.saved_to else 0


def doctor_report(
    library: Path, findings: list[Finding], mended: Repair, left: list[Finding]
) -> dict[str, object]:
    """The JSON that `secondlook doctor --json` promises: what was found, what was done, and what is left."""
    return {
        "library": str(library),
        "whole": not left and mended.saved_to is None,
        "findings": [_row(finding) for finding in findings],
        "done": list(map(told, mended.done)),
        "saved_to": str(mended.saved_to) if mended.saved_to else None,
        "left": [_row(finding) for finding in left],
        "originals": _originals_of(library),
    }


def _originals_of(folder: Path) -> dict[str, int] | None:
    """What `originals_row` says, ``None`` where the database does not say it."""
    with suppress(SecondLookError):
        return originals_row(Library(folder))
    return None


def _row(finding: Finding) -> dict[str, str]:
    return {"part": finding.part, "sentence": told(finding)}


def _tell(library: Path, findings: list[Finding], mended: Repair, left: list[Finding]) -> None:
    lines = list(map(told, findings))
    if mended.done:
        lines += ["", *map(told, mended.done)]
    if mended.done and left:
        lines += ["", "What is left:", *map(told, left)]
    if not left and mended.saved_to is None:
        lines.append(f"The library {library} is whole.")
        files, size = Library(library).originals_size()
        lines += [f"It keeps {count_of(files, 'original')}, {format_size(size)}."] if files else []
    sys.stdout.write("\n".join(lines) + "\n")


def examined(folder: Path) -> list[Finding]:
    """What `ingest` finds, and whether the calibration, which belongs to a later stage, can be read."""
    findings = examine(folder)
    if (folder / FILE).is_file():
        try:
            load(folder / FILE)
        except LibraryError as error:
            notice = unusable(str(error), folder)
            findings.append(Finding(Part.CALIBRATION, notice.text, notice.help))
    return findings


@dataclass(frozen=True, slots=True)
class ExportArguments:
    """What `secondlook export` was given."""

    file: Path
    originals: bool
    no_vectors: bool
    json: bool


def run_export(arguments: ExportArguments, settings: Settings) -> int:
    """Write a library to one file."""
    done = export_library(
        Library(settings.library), arguments.file, vectors=not arguments.no_vectors, attachments=ATTACHMENTS,
        with_originals=arguments.originals,
    )  # fmt: skip
    _say(
        f"Written to {arguments.file}: {count_of(done.documents, 'document')}, {count_of(done.chunks, 'passage')}, "
        f"{count_of(done.labels, 'label')}; {done.bytes / 1e6:.1f} MB. It holds every text and path of the library."
    )
    if arguments.json:
        print_json(
            {"documents": done.documents, "chunks": done.chunks, "labels": done.labels, "bytes": done.bytes}
        )
    return 0


@dataclass(frozen=True, slots=True)
class ImportArguments:
    """What `secondlook import` was given."""

    file: Path
    json: bool


def run_import(arguments: ImportArguments, settings: Settings) -> int:
    """Make a library of an exported file."""
    done = import_library(arguments.file, settings.library, attachments=ATTACHMENTS)
    named = named_models(settings.library)
    _say(
        f"Made {settings.library}: {count_of(done.documents, 'document')}, {count_of(done.chunks, 'passage')}, "
        f"{count_of(done.labels, 'label')}."
    )
    for use, name, known in named:
        _say(f"It names the {use} {one_line(name)}, {_trusted(known)}.")
    if done.without_vector:
        _say(
            f"{count_of(done.without_vector, 'passage')} came without a vector. No search finds them before: "
            f"secondlook rebuild --library {settings.library}"
        )
    if arguments.json:
        print_json(
            {
                "documents": done.documents, "chunks": done.chunks, "labels": done.labels,
                "without_vector": done.without_vector,
                "models": [{"use": use, "name": name, "known": known} for use, name, known in named],
            }
        )  # fmt: skip
    return 0


def named_models(folder: Path) -> list[tuple[str, str, bool]]:
    """The models that a library names: what for, by which name, and whether Second Look knows them.

    That is the encoder that made it, and the reranker that its calibration is of.
    """
    encoder = Library(folder).manifest().encoder
    named = [("encoder", encoder, is_known(encoder))]
    with suppress(LibraryError):  # none, or one that is no use
        reranker = load(folder / FILE).fitted_for.reranker if (folder / FILE).is_file() else ""
        named += [("reranker", reranker, is_known(reranker, KNOWN_RERANKERS))] if reranker else []
    return named


def _trusted(known: bool) -> str:
    if known:
        return "which Second Look knows"
    return (
        "which is neither bundled nor on Second Look's list. It is not loaded before you say that you trust it, with "
        "--trust-encoder or on the page"
    )


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
