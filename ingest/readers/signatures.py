"""What a file is by its first bytes, so that a picture named .pdf is told apart from a damaged PDF."""

from __future__ import annotations

import re
import zipfile

from ingest.errors import DamagedFileError, EncryptedFileError, UnknownFormatError
from ingest.readers.source import Source

# Readers of PDF accept rubbish before the header as long as it starts within the first 1,024 bytes.
HEAD_BYTES = 1024

_ZIP = "a ZIP archive"
_OLE = "an Office file of the kind used before 2007"
_RTF = "an RTF document"
_PNG, _JPEG, _TIFF = "a PNG picture", "a JPEG picture", "a TIFF picture"
# (offset, bytes, what it is); from the formats' own specifications.
_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", _PNG),
    (0, b"\xff\xd8\xff", _JPEG),
    (0, b"GIF87a", "a GIF picture"),
    (0, b"GIF89a", "a GIF picture"),
    (0, b"II*\x00", _TIFF),
    (0, b"MM\x00*", _TIFF),
    (8, b"WEBP", "a WebP picture"),
    (4, b"ftyp", "a video or picture (MPEG-4 or HEIC)"),
    (0, b"ID3", "an MP3 recording"),
    (0, b"OggS", "an Ogg recording"),
    (0, b"PK\x03\x04", _ZIP),
    (0, b"PK\x05\x06", _ZIP),
    (0, b"\x1f\x8b\x08", "a gzip archive"),
    (0, b"BZh9", "a bzip2 archive"),
    (0, b"\xfd7zXZ\x00", "an xz archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OLE),
    (0, b"{\\rtf", _RTF),
    (0, b"%!PS", "a PostScript document"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ\x90\x00", "a program"),
    (0, b"SQLite format 3\x00", "an SQLite database"),
    (0, b"PAR1", "a Parquet table"),
)
# Formats that are ZIP archives: the folder of their main part, or what their member “mimetype” says.
_OFFICE_FOLDERS = {"word": "DOCX", "xl": "XLSX", "ppt": "PPTX"}
_MIME_TYPES = {
    b"application/epub+zip": "EPUB",
    b"application/vnd.oasis.opendocument.text": "ODT",
    b"application/vnd.oasis.opendocument.spreadsheet": "ODS",
    b"application/vnd.oasis.opendocument.presentation": "ODP",
}
_FLAT_XML = (".fodt", ".fods", ".fodp")
_PACKAGES = frozenset((*_OFFICE_FOLDERS.values(), *_MIME_TYPES.values(), "ZIP archive"))
# Formats that a file is known to be, or not to be, by its content.
_CERTAIN = _PACKAGES | {"PDF", "RTF", "Outlook message", "picture"}
_BY_KIND = {_RTF: "RTF", _PNG: "picture", _JPEG: "picture", _TIFF: "picture"}
# Names of streams in the container that Office used before 2007 (MS-OXMSG, MS-OFFCRYPTO, MS-DOC, MS-XLS, MS-PPT).
_MESSAGE, _ENCRYPTED = (name.encode("utf-16-le") for name in ("__properties_version1.0", "EncryptedPackage"))
_OLD_OFFICE = {
    "WordDocument": "a Word document of the kind used before 2007; save it as .docx",
    "Workbook": "an Excel workbook of the kind used before 2007; save it as .xlsx",
    "PowerPoint Document": "a PowerPoint file of the kind used before 2007; save it as .pptx",
}


def is_pdf(head: bytes, *, named_so: bool) -> bool:
    """Whether a file that begins with ``head`` is a PDF.

    Under a PDF's own name the header may come late, as readers allow; under another name it must come
    first, so that a text *about* PDFs stays a text.
    """
    if named_so:
        return b"%PDF-" in head
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"%PDF-") and b"\n" in head.replace(
        b"\r", b"\n"
    )


def kind_of(head: bytes) -> str:
    """What a file that begins with ``head`` is, in words; "" where its first bytes do not tell."""
    for offset, signature, kind in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return kind
    return ""


def certain_format(source: Source, head: bytes) -> str:
    """The name of the format that a file is by its content, whatever it is called; "" where that does not tell.

    Raises:
        EncryptedFileError: a document of Office behind a password, which is no package of its format any more.
        UnknownFormatError: a document of Office in the form that was used before 2007.
    """
    if is_pdf(head, named_so=source.suffix == ".pdf"):
        return "PDF"
    kind = kind_of(head)
    if kind == _ZIP:
        return _package_format(source)
    if kind == _OLE:
        return _old_office_format(source)
    return _BY_KIND.get(kind, "")


def _package_format(source: Source) -> str:
    """Which of the formats that are ZIP archives it is; "" for another, and for one that cannot be opened."""
    try:
        with source.open() as file, zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
            if "mimetype" in names:
                with archive.open("mimetype") as member:
                    mime_type = member.read(200).strip()
                return _MIME_TYPES.get(mime_type.removesuffix(b"-template"), "")
    except Exception:  # noqa: BLE001 (an archive that is broken in whatever way; its reader says so)
        return ""
    folders = {name.partition("/")[0] for name in names}
    office = [format for folder, format in _OFFICE_FOLDERS.items() if folder in folders]
    if "[Content_Types].xml" in names:
        return office[0] if office else ""
    return "EPUB" if "META-INF/container.xml" in names and source.suffix == ".epub" else ""


def _old_office_format(source: Source) -> str:
    data = source.data()
    if _ENCRYPTED in data:
        raise EncryptedFileError(
            f"{source.name} is protected by a password; open it in the program that made it, save it without one, and "
            "add it again."
        )
    if _MESSAGE in data:
        return "Outlook message"
    for stream, kind in _OLD_OFFICE.items():
        if stream.encode("utf-16-le") in data:
            raise UnknownFormatError(f"{source.name} is {kind} and add that.")
    return ""


def likely_format(head: bytes) -> str:
    """The name of the format that a text of no known suffix is read as."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if re.match(rb"<!doctype html|<html", start, re.I):
        return "HTML"
    if start.startswith(b"<?xml"):
        return "XML"
    if start.startswith(b"#!"):
        return "source code"
    if re.match(rb"From \S+.{0,100}\d{4}\r?\n[\w-]+: ", head):
        return "mailbox"
    fields = re.match(rb"(?:[\w-]+:[ \t].*\r?\n(?:[ \t].*\r?\n)*){3,}", head)
    if fields and re.search(rb"^(?:Message-ID|Received|MIME-Version|Delivered-To):", fields[0], re.I | re.M):
        return "mail"
    return "plain text"


def check_content(source: Source, format_name: str, head: bytes) -> None:
    """Refuse a file whose content contradicts its name.

    Raises:
        UnknownFormatError: it is something else, which the sentence names.
        DamagedFileError: its format is known by its content, and it begins like nothing known.
    """
    kind = kind_of(head)
    if format_name in _PACKAGES and (kind == _ZIP or source.suffix in _FLAT_XML):
        return  # its reader says what is missing
    if kind:
        advice = "convert it, or give it its right name"
        if kind == _OLE:
            advice = f"open it in the program that made it and save it as {source.suffix or '.docx'}"
        raise UnknownFormatError(f"{source.name} is named like {format_name} but is {kind}; {advice}.")
    if format_name in _CERTAIN:
        raise DamagedFileError(
            f"{source.name} does not begin as {_article(format_name)} {format_name} does, so it is damaged or "
            "something else; download or export it again."
        )


def _article(name: str) -> str:
    return "an" if name[0] in "AEIOX" or name == "RTF" else "a"
