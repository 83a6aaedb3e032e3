"""The ZIP archive that a document of an office suite is: looked at before any XML is parsed."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from ingest.errors import DamagedFileError, TooLargeError, UnknownFormatError
from ingest.readers.source import Source, format_size

# Deflate packs at most 1,032 to 1. The XML of real documents packs 5 to 50 to 1, so 200 is no document.
_LARGEST_RATIO = 200
# A small part may pack well by chance; only what unpacks beyond this is held to the ratio.
_RATIO_APPLIES_FROM = 10_000_000
_PIECE = 1_048_576
# Strict Open XML (ISO/IEC 29500, part 1) names its vocabularies otherwise than what Office writes by default; of
# what is read here, all else is the same.
_STRICT, _FAMILIAR = b"http://purl.oclc.org/ooxml/", b"http://schemas.openxmlformats.org/"
_STRICT_NAMES = {
    b"officeDocument/relationships": b"officeDocument/2006/relationships",
    b"officeDocument/math": b"officeDocument/2006/math",
    b"wordprocessingml/main": b"wordprocessingml/2006/main",
    b"spreadsheetml/main": b"spreadsheetml/2006/main",
    b"presentationml/main": b"presentationml/2006/main",
    b"drawingml/main": b"drawingml/2006/main",
    b"drawingml/chart": b"drawingml/2006/chart",
    b"drawingml/diagram": b"drawingml/2006/diagram",
    b"drawingml/wordprocessingDrawing": b"drawingml/2006/wordprocessingDrawing",
}
# Templates, shows and documents with macros are the same but for what their main part is said to be.
_CONTENT_TYPES = "[Content_Types].xml"
_WORD, _SLIDES = (b"application/vnd.openxmlformats-officedocument." + kind for kind in (
    b"wordprocessingml.document.main+xml", b"presentationml.presentation.main+xml",
))  # fmt: skip
_MAIN_TYPES = {
    b"application/vnd.ms-word.document.macroEnabled.main+xml": _WORD,
    b"application/vnd.ms-word.template.macroEnabledTemplate.main+xml": _WORD,
    b"application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml": _WORD,
    b"application/vnd.ms-powerpoint.slideshow.macroEnabled.main+xml": _SLIDES,
    b"application/vnd.openxmlformats-officedocument.presentationml.slideshow.main+xml": _SLIDES,
    b"application/vnd.openxmlformats-officedocument.presentationml.template.main+xml": _SLIDES,
}

# A whole document within another one (altChunk) is said to be of the type of a main part, and is none.
EMBEDDED_WORD = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_TYPE = re.compile(
    rb"<(?:Override|Default)\b(?![^>]*PartName=\"[^\"]*\.xml\")(?![^>]*Extension=\"xml\")[^>]*>"
)


def advice(suffix: str) -> str:
    """What to do with a document that its parser cannot make sense of."""
    return f"open it in the program that made it, save it again as {suffix}, and add that."


def checked_package(source: Source, name: str, folder: str) -> bytes:
    """The archive of an Office document, called ``name``, whose main part lies in ``folder``.

    It is in the vocabulary and under the types that Office writes by default.

    Sizes are checked first as the archive declares them, then as they are.

    Raises:
        UnknownFormatError: a ZIP archive that holds no such document.
        TooLargeError: it unpacks to more than the limit, or at a ratio that no document has.
        DamagedFileError: its main part is missing.
    """
    data = source.data()
    with opened_package(source, data, entities=False) as archive:
        names = set(archive.namelist())
        if _CONTENT_TYPES not in names:
            raise UnknownFormatError(
                f"{source.name} is a ZIP archive without {name} in it; unpack it and add the files themselves."
            )
        if not any(part.startswith(f"{folder}/") for part in names):
            raise DamagedFileError(
                f"{source.name} has lost its main part ({folder}/); {advice(source.suffix or 'a new file')}"
            )
        types = archive.read(_CONTENT_TYPES)
        is_strict = "_rels/.rels" in names and _STRICT in archive.read("_rels/.rels")
        if is_strict or _with_familiar_types(types) != types:
            return _familiar(archive, is_strict)
    return data


@contextmanager
def opened_package(source: Source, data: bytes, *, entities: bool = True) -> Iterator[zipfile.ZipFile]:
    """The archive, whose sizes hold; unless ``entities`` may be, its XML names none, which could unfold without end.

    Raises:
        TooLargeError: it unpacks to more than the limit, or at a ratio that no document has.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        _check_sizes(source, sum(entry.file_size for entry in entries), len(data))
        unpacked = 0
        for entry in entries:
            with archive.open(entry) as part:
                while piece := part.read(_PIECE):
                    unpacked += len(piece)
                    _check_sizes(source, unpacked, len(data))
                    if not entities and b"<!ENTITY" in piece and entry.filename.endswith((".xml", ".rels")):
                        raise DamagedFileError(
                            f"{source.name} is damaged: its XML defines an entity, as no document of Office does; "
                            f"{advice(source.suffix)}"
                        )
        yield archive


def check_unpacked(source: Source, unpacked: int) -> None:
    """Raise a ``TooLargeError`` where a file unpacks to more than the limit, or at a ratio that nothing real has."""
    _check_sizes(source, unpacked, source.size())


def _familiar(archive: zipfile.ZipFile, is_strict: bool) -> bytes:
    """A copy of the archive with the names that Office writes by default."""
    names = (
        {_STRICT + strict: _FAMILIAR + familiar for strict, familiar in _STRICT_NAMES.items()}
        if is_strict
        else {}
    )
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as rewritten:
        for entry in archive.infolist():
            content = archive.read(entry)
            if entry.filename.endswith((".xml", ".rels")):
                for other, familiar in names.items():
                    content = content.replace(other, familiar)
            if entry.filename == _CONTENT_TYPES:
                content = _with_familiar_types(content)
            rewritten.writestr(entry.filename, content)
    return copy.getvalue()


def _with_familiar_types(types: bytes) -> bytes:
    """The list of types with those of main parts as Office writes them by default, and of them only the main part."""
    for other, familiar in _MAIN_TYPES.items():
        types = types.replace(other, familiar)
    return _TYPE.sub(lambda match: match[0].replace(_WORD, EMBEDDED_WORD), types)


def _check_sizes(source: Source, unpacked: int, packed: int) -> None:
    source.check_bytes(unpacked, source.limits.max_unpacked_bytes, f"{source.name}, unpacked,")
    if unpacked > _RATIO_APPLIES_FROM and unpacked > _LARGEST_RATIO * packed:
        raise TooLargeError(
            f"{source.name} unpacks from {format_size(packed)} to {format_size(unpacked)} or more, as no document "
            f"does (the limit is {_LARGEST_RATIO} to 1); save it again from the program that made it."
        )
