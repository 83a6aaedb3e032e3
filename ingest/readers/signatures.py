"""What a file is by its first bytes, so that a picture named .pdf is told apart from a damaged PDF."""

from __future__ import annotations

from ingest.errors import DamagedFileError, EncryptedFileError, UnknownFormatError
from ingest.readers.source import Source

# Readers of PDF accept rubbish before the header as long as it starts within the first 1,024 bytes.
HEAD_BYTES = 1024

_ZIP = "a ZIP archive"
_OLE = "an Office file of the kind used before 2007"
# (offset, bytes, what it is); from the formats' own specifications.
_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF87a", "a GIF picture"),
    (0, b"GIF89a", "a GIF picture"),
    (0, b"II*\x00", "a TIFF picture"),
    (0, b"MM\x00*", "a TIFF picture"),
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
    (0, b"{\\rtf", "an RTF document"),
    (0, b"%!PS", "a PostScript document"),
    (0, b"\x7fELF", "a program"),
    (0, b"SQLite format 3\x00", "an SQLite database"),
    (0, b"PAR1", "a Parquet table"),
)


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


def check_content(source: Source, format_name: str, head: bytes) -> None:
    """Refuse a file whose content contradicts its name.

    Raises:
        UnknownFormatError: it is something else, which the sentence names.
        EncryptedFileError: a Word document behind a password, which is not a zip archive any more.
        DamagedFileError: named PDF or DOCX, but it begins like nothing known.
    """
    kind = kind_of(head)
    if format_name == "DOCX":
        _check_docx(source, kind)
    elif format_name == "pictures":
        _check_picture(source, kind)
    elif kind:
        raise UnknownFormatError(
            f"{source.name} is named like {format_name} but is {kind}; convert it, or give it its right name."
        )
    elif format_name == "PDF":
        raise DamagedFileError(
            f"{source.name} does not begin as a PDF does, so it is damaged or something else; "
            "download or export it again."
        )


_PICTURES = frozenset(("a PNG picture", "a JPEG picture", "a TIFF picture"))


def _check_picture(source: Source, kind: str) -> None:
    if not kind:
        raise DamagedFileError(
            f"{source.name} does not begin as a picture does, so it is damaged or something else; "
            "save or scan it again."
        )
    if kind not in _PICTURES:
        raise UnknownFormatError(
            f"{source.name} is named like a picture that can be read but is {kind}; convert it, or give it its right "
            "name."
        )


def _check_docx(source: Source, kind: str) -> None:
    if kind == _ZIP:
        return
    # An encrypted DOCX is an OLE container with a stream of this name (MS-OFFCRYPTO, 2.3.4.4).
    if kind == _OLE and "EncryptedPackage".encode("utf-16-le") in source.data():
        raise EncryptedFileError(
            f"{source.name} is protected by a password; open it in Word, save it without one, and add it again."
        )
    if kind:
        advice = (
            "open it in Word and save it as .docx"
            if kind == _OLE
            else "convert it, or give it its right name"
        )
        raise UnknownFormatError(f"{source.name} is named like DOCX but is {kind}; {advice}.")
    raise DamagedFileError(
        f"{source.name} does not begin as a DOCX file does, so it is damaged; save it again from Word."
    )
