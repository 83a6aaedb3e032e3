"""The archive that a DOCX is: looked at before any XML is parsed, and brought to the one form that is read."""

from __future__ import annotations

import io
import zipfile

from ingest.errors import DamagedFileError, TooLargeError, UnknownFormatError
from ingest.readers.source import Source, format_size

ADVICE = "open it in Word or LibreOffice, save it again as .docx, and add that."
# Deflate packs at most 1,032 to 1. The XML of real documents packs 5 to 50 to 1, so 200 is no document.
_LARGEST_RATIO = 200
# A small part may pack well by chance; only what unpacks beyond this is held to the ratio.
_RATIO_APPLIES_FROM = 10_000_000
_PIECE = 1_048_576
_OTHER_OFFICE = {"xl": "an Excel workbook; export it as CSV", "ppt": "a PowerPoint file; export it as PDF"}
# Strict Open XML (ISO/IEC 29500, part 1) names its vocabularies otherwise than what Word writes by default; of what is
# read here, all else is the same.
_STRICT, _FAMILIAR = b"http://purl.oclc.org/ooxml/", b"http://schemas.openxmlformats.org/"
_STRICT_NAMES = {
    b"officeDocument/relationships": b"officeDocument/2006/relationships",
    b"officeDocument/math": b"officeDocument/2006/math",
    b"wordprocessingml/main": b"wordprocessingml/2006/main",
    b"drawingml/main": b"drawingml/2006/main",
    b"drawingml/wordprocessingDrawing": b"drawingml/2006/wordprocessingDrawing",
}


def checked_archive(source: Source, data: bytes) -> bytes:
    """The archive, in the vocabulary that Word writes by default.

    Names and sizes are checked first as it declares them, then as they are.

    Raises:
        UnknownFormatError: a zip archive that holds no Word document.
        TooLargeError: it unpacks to more than the limit, or at a ratio that no document has.
        DamagedFileError: its main part is missing.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        names = {entry.filename for entry in entries}
        _check_kind(source, names)
        _check_unpacked(source, sum(entry.file_size for entry in entries), len(data))
        unpacked = 0
        for entry in entries:
            with archive.open(entry) as part:
                while piece := part.read(_PIECE):
                    unpacked += len(piece)
                    _check_unpacked(source, unpacked, len(data))
        root = "_rels/.rels"
        if root not in names or _STRICT not in archive.read(root):
            return data
        return _familiar(archive)


def _familiar(archive: zipfile.ZipFile) -> bytes:
    """A copy of an archive of Strict Open XML with the names that Word writes by default."""
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as rewritten:
        for entry in archive.infolist():
            content = archive.read(entry)
            if entry.filename.endswith((".xml", ".rels")):
                for strict, familiar in _STRICT_NAMES.items():
                    content = content.replace(_STRICT + strict, _FAMILIAR + familiar)
            rewritten.writestr(entry.filename, content)
    return copy.getvalue()


def _check_kind(source: Source, names: set[str]) -> None:
    if "[Content_Types].xml" not in names:
        raise UnknownFormatError(
            f"{source.name} is a ZIP archive without a Word document in it; unpack it and add the files themselves."
        )
    folders = {name.partition("/")[0] for name in names}
    if "word" in folders:
        return
    for folder, kind in _OTHER_OFFICE.items():
        if folder in folders:
            raise UnknownFormatError(f"{source.name} is named like DOCX but is {kind} and add that.")
    raise DamagedFileError(f"{source.name} has lost its main part (word/document.xml); {ADVICE}")


def _check_unpacked(source: Source, unpacked: int, packed: int) -> None:
    source.check_bytes(unpacked, source.limits.max_unpacked_bytes, f"{source.name}, unpacked,")
    if unpacked > _RATIO_APPLIES_FROM and unpacked > _LARGEST_RATIO * packed:
        raise TooLargeError(
            f"{source.name} unpacks from {format_size(packed)} to {format_size(unpacked)} or more, as no document "
            f"does (the limit is {_LARGEST_RATIO} to 1); save it again from the program that made it."
        )
