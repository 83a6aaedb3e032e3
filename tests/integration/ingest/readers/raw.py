"""PDFs and Word files written byte by byte, so that every part of them can be wrong on purpose."""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence

from fpdf import FPDF
from pypdf import PdfReader, PdfWriter

FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
RESOURCES = b"/Resources << /Font << /F 4 0 R >> >>"
TEXT = b"BT /F 12 Tf 72 700 Td (Cranes fly south.) Tj ET"
WORDS = "Cranes fly south."
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def stream(data: bytes, extra: bytes = b"", length: bytes | None = None) -> bytes:
    """A stream object, its length stated as it is unless given."""
    stated = str(len(data)).encode() if length is None else length
    return b"<< /Length " + stated + b" " + extra + b" >>\nstream\n" + data + b"\nendstream"


def deflated(data: bytes) -> bytes:
    return stream(zlib.compress(data, 9), b"/Filter /FlateDecode")


def pdf(
    objects: Mapping[int, bytes] | None = None,
    *,
    content: bytes | None = None,
    page: bytes = b"",
    trailer: bytes = b"",
    shift: int = 0,
    table: bool = True,
) -> bytes:
    """A PDF of one page with `WORDS`, some of its objects replaced or added.

    1 is the catalog, 2 the page tree, 3 the page, 4 the font, 5 the content. ``page`` goes into the page's
    dictionary, ``shift`` falsifies the offsets of the cross-reference table, which ``table`` can leave out.
    """
    made = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R "
        + RESOURCES
        + page
        + b" >>",
        4: FONT,
        5: content if content is not None else stream(TEXT),
        **(objects or {}),
    }
    body = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
    offsets = {}
    for number, value in sorted(made.items()):
        offsets[number] = len(body)
        body += b"%d 0 obj\n" % number + value + b"\nendobj\n"
    if not table:
        return body
    size = max(made) + 1
    start = len(body)
    rows = [b"0000000000 65535 f \n"]
    rows += [b"%010d 00000 n \n" % (offsets.get(number, 0) + shift) for number in range(1, size)]
    body += b"xref\n0 %d\n" % size + b"".join(rows)
    body += b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (
        size,
        trailer,
        start + shift,
    )
    return body


def pages(count: int) -> bytes:
    """A PDF of ``count`` pages, each with its number in words of its own."""
    objects = {
        2: b"<< /Type /Pages /Kids [%s] /Count %d >>"
        % (b" ".join(b"%d 0 R" % (6 + 2 * n) for n in range(count)), count)
    }
    for n in range(count):
        objects[6 + 2 * n] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R %s >>"
            % (7 + 2 * n, RESOURCES)
        )
        objects[7 + 2 * n] = stream(b"BT /F 12 Tf 72 700 Td (Crane number %d flies south.) Tj ET" % (n + 1))
    return pdf(objects)


def encrypted(user: str, owner: str, algorithm: str, text: str = WORDS) -> bytes:
    """A PDF of one page, encrypted by one of pypdf's algorithms."""
    plain = FPDF()
    plain.set_font("Helvetica", size=11)
    plain.add_page()
    plain.cell(text=text)
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(bytes(plain.output()))))
    writer.encrypt(user, owner, algorithm=algorithm)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def zipped(members: Sequence[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.filterwarnings("ignore", "Duplicate name")  # a name that comes twice is meant to
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def docx(body: str | bytes = "", *, more: Sequence[tuple[str, bytes]] = (), without: str = "") -> bytes:
    """A Word file with ``body`` in its document, or with ``body`` as its whole document part where it is bytes."""
    if isinstance(body, str):
        body = f"<w:document {W}><w:body>{body}</w:body></w:document>".encode()
    kinds = "application/vnd.openxmlformats"
    members = [
        (
            "[Content_Types].xml",
            b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            b'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            b'<Default Extension="xml" ContentType="application/xml"/>'
            b'<Override PartName="/word/document.xml" '
            + f'ContentType="{kinds}-officedocument.wordprocessingml.document.main+xml"/></Types>'.encode(),
        ),
        (
            "_rels/.rels",
            b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            b'<Relationship Id="r1" Target="word/document.xml" Type="http://schemas.openxmlformats.org/'
            b'officeDocument/2006/relationships/officeDocument"/></Relationships>',
        ),
        ("word/document.xml", body),
    ]
    return zipped([member for member in [*members, *more] if member[0] != without])


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"
