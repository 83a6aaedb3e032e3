"""Small real documents of the formats that are packed or structured, made with the libraries that write them."""

from __future__ import annotations

import datetime
import io
import itertools
import struct
import zipfile
from collections.abc import Mapping
from email.message import EmailMessage

import openpyxl
import pptx
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

PLACE = Inches(1), Inches(1), Inches(4), Inches(2)
_ODF = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{space}:1.0"'
    for name, space in (("office", "office"), ("text", "text"), ("table", "table"), ("draw", "drawing"),
                        ("style", "style"), ("presentation", "presentation"), ("meta", "meta"))
)  # fmt: skip
_DC = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'


def packed(parts: Mapping[str, str | bytes], *, first: str = "") -> bytes:
    """A ZIP archive of these parts; ``first`` is what its member “mimetype” says."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        if first:
            archive.writestr(zipfile.ZipInfo("mimetype", (1980, 1, 1, 0, 0, 0)), first, zipfile.ZIP_STORED)
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def workbook() -> bytes:
    """Flats with merged cells and dates, a sheet without cells, and a hidden one of rates."""
    book = openpyxl.Workbook()
    flats = book.active
    flats.title = "Flats"
    flats.append(["Tenants of the house"])
    flats.append(["Wing", "Tenant", "Rent", "Since", "Share", "Deposit paid"])
    flats.append(["North", "Amara Lind", 420.5, datetime.date(2024, 5, 1), 0.125, True])
    flats.append([None, "Tomas Ferro", 390, datetime.datetime(2025, 6, 1, 9, 30), 0.5, False])
    flats.append(["South", None, "=1/0", None, None, None])
    flats.merge_cells("A1:F1")
    flats.merge_cells("A3:A4")
    for cell in flats["E"][2:]:
        cell.number_format = "0.0%"
    book.create_sheet("Nothing")
    rates = book.create_sheet("Rates")
    rates.append(["Year", "Rate"])
    rates.append([2025, 0.1 + 0.2])
    rates.sheet_state = "hidden"
    return _saved(book)


def _saved(document: object) -> bytes:
    file = io.BytesIO()
    document.save(file)  # type: ignore[attr-defined]
    return file.getvalue()


def presentation() -> bytes:
    """Slides with a list, notes, a table, a chart and a group; the second is blank, the last is hidden."""
    deck = pptx.Presentation()
    opening = deck.slides.add_slide(deck.slide_layouts[1])
    opening.shapes.title.text = "The cellar"
    frame = opening.placeholders[1].text_frame
    frame.text = "It is locked at ten."
    item = frame.add_paragraph()
    item.text, item.level = "The key hangs at the door.", 1
    opening.notes_slide.notes_text_frame.text = "Show the plan here."
    deck.slides.add_slide(deck.slide_layouts[6])
    figures = deck.slides.add_slide(deck.slide_layouts[5])
    figures.shapes.title.text = "Rents"
    table = figures.shapes.add_table(3, 2, *PLACE).table
    for row, words in enumerate((("Wing", "Rent"), ("North", "420"), ("", "390"))):
        for column, word in enumerate(words):
            table.cell(row, column).text = word
    table.cell(1, 0).merge(table.cell(2, 0))
    data = CategoryChartData()
    data.categories = ["2024", "2025"]
    data.add_series("Rent", (400, 420.5))
    figures.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *PLACE, data)
    inner = figures.shapes.add_group_shape().shapes.add_group_shape()
    inner.shapes.add_textbox(*PLACE).text_frame.text = "In a group within a group."
    last = deck.slides.add_slide(deck.slide_layouts[5])
    last.shapes.title.text = "Left out"
    last._element.set("show", "0")
    return _saved(deck)


def open_document(
    kind: str, body: str, *, title: str = "", meta: str = "", styles: str = "", flat: bool = False
) -> bytes:
    """An OpenDocument file whose body (of a text, a spreadsheet or a presentation) is this XML, as is ``meta``."""
    styles = f"<office:automatic-styles>{styles}</office:automatic-styles>"
    body = f"{styles}<office:body><office:{kind}>{body}</office:{kind}></office:body>"
    meta = f"<office:meta><dc:title>{title}</dc:title>{meta}</office:meta>"
    if flat:
        return f'<?xml version="1.0"?><office:document {_ODF} {_DC}>{meta}{body}</office:document>'.encode()
    return packed(
        {
            "content.xml": f'<?xml version="1.0"?><office:document-content {_ODF}>{body}</office:document-content>',
            "meta.xml": f'<?xml version="1.0"?><office:document-meta {_ODF} {_DC}>{meta}</office:document-meta>',
            "META-INF/manifest.xml": "<manifest/>",
        },
        first=f"application/vnd.oasis.opendocument.{kind}",
    )


TEXT = (
    '<text:h text:outline-level="1">House rules</text:h><text:p>The cellar<text:s/>is locked at ten.'
    "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>Nine in winter.</text:p>"
    "</text:note-body></text:note></text:p><text:tracked-changes><text:p>Deleted.</text:p></text:tracked-changes>"
    '<text:h text:outline-level="2">Keys</text:h><text:list><text:list-item><text:p>One at the door.</text:p>'
    "<text:list><text:list-item><text:p>One inside.</text:p></text:list-item></text:list></text:list-item></text:list>"
    "<text:p>See<office:annotation><text:p>A comment.</text:p></office:annotation> below.</text:p>"
    "<table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>Wing</text:p></table:table-cell>"
    "<table:table-cell><text:p>Rent</text:p></table:table-cell></table:table-row></table:table-header-rows>"
    '<table:table-row><table:table-cell table:number-rows-spanned="2"><text:p>North</text:p></table:table-cell>'
    "<table:table-cell><text:p>420</text:p></table:table-cell></table:table-row><table:table-row>"
    "<table:covered-table-cell/><table:table-cell><text:p>390</text:p></table:table-cell></table:table-row></table:table>"
)
SHEETS = (
    '<table:table table:name="Flats"><table:table-row><table:table-cell><text:p>Tenant</text:p></table:table-cell>'
    "<table:table-cell><text:p>Since</text:p></table:table-cell><table:table-cell "
    'table:number-columns-repeated="16382"/></table:table-row><table:table-row><table:table-cell>'
    '<text:p>Amara Lind</text:p></table:table-cell><table:table-cell office:value-type="date" '
    'office:date-value="2024-05-01"><text:p>1 May 24</text:p></table:table-cell></table:table-row>'
    '<table:table-row table:number-rows-repeated="1048574"><table:table-cell/></table:table-row></table:table>'
    '<table:table table:name="Nothing"/><table:table table:name="Rates" table:style-name="h"><table:table-row>'
    "<table:table-cell><text:p>Index</text:p></table:table-cell><table:table-cell><text:p>102</text:p></table:table-cell>"
    "</table:table-row></table:table>"
)
HIDDEN = '<style:style style:name="h"><style:table-properties table:display="false"/></style:style>'
SLIDES = (
    '<draw:page draw:name="a"><draw:frame presentation:class="title"><draw:text-box><text:p>The cellar</text:p>'
    "</draw:text-box></draw:frame><draw:g><draw:frame><draw:text-box><text:list><text:list-item><text:p>Locked at ten."
    "</text:p></text:list-item></text:list></draw:text-box></draw:frame></draw:g><presentation:notes><draw:frame>"
    "<draw:text-box><text:p>Show the plan.</text:p></draw:text-box></draw:frame></presentation:notes></draw:page>"
    '<draw:page draw:name="b"/>'
)


# A diagram of two boxes, and the frame in a document that shows it (its relationship is rId99).
DIAGRAM = (
    '<dgm:dataModel xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><dgm:ptLst><dgm:pt modelId="0" type="doc"/>'
    + "".join(
        f'<dgm:pt modelId="{number}"><dgm:t><a:p><a:r><a:t>{words}</a:t></a:r></a:p></dgm:t></dgm:pt>'
        for number, words in enumerate(("Find the key", "Open the door"), start=1)
    )
    + '<dgm:pt modelId="3" type="parTrans"/></dgm:ptLst></dgm:dataModel>'
)
GRAPHIC = (
    '<a:graphic xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><a:graphicData '
    'uri="http://schemas.openxmlformats.org/drawingml/2006/diagram"><dgm:relIds '
    'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'r:dm="rId99"/></a:graphicData></a:graphic>'
)


def book(
    chapters: Mapping[str, str], *, order: list[str] | None = None, more: Mapping[str, str] | None = None
) -> bytes:
    """An EPUB of these pages, in this order of the spine."""
    items = "".join(
        f'<item id="i{number}" href="{name}" media-type="application/xhtml+xml"/>'
        for number, name in enumerate(chapters)
    )
    names = list(chapters)
    spine = "".join(f'<itemref idref="i{names.index(name)}"/>' for name in order or names)
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
        f"<dc:title>The house</dc:title></metadata><manifest>{items}"
        '<item id="n" href="toc.ncx" media-type="application/x-dtbncx+xml"/></manifest>'
        f'<spine toc="n">{spine}</spine></package>'
    )
    labels = "".join(
        f'<navPoint><navLabel><text>Chapter {number}</text></navLabel><content src="{name}"/></navPoint>'
        for number, name in enumerate(chapters, start=1)
    )
    return packed(
        {
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="text/book.opf"/></rootfiles></container>',
            "text/book.opf": package,
            "text/toc.ncx": f'<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap>{labels}</navMap></ncx>',
            **{f"text/{name}": page for name, page in chapters.items()},
            **(more or {}),
        },
        first="application/epub+zip",
    )


def mail(
    subject: str = "The cellar", attachments: Mapping[str, bytes] | None = None, page: str = ""
) -> EmailMessage:
    """A mail with a plain text, a page beside it, and attachments."""
    message = EmailMessage()
    message["From"], message["To"] = "Amara Lind <amara@example.org>", "Tomas Ferro <tomas@example.org>"
    message["Date"], message["Subject"] = "Mon, 02 Mar 2026 10:00:00 +0100", subject
    message.set_content("The cellar is locked at ten.\n\n> When is it locked?\n\nAmara\n")
    if page:
        message.add_alternative(page, subtype="html")
    for name, content in (attachments or {}).items():
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message


def outlook_message(streams: Mapping[str, bytes]) -> bytes:
    """An OLE container (MS-CFB, version 3) of these streams by their paths, as Outlook's messages are.

    Its directory is one chain of siblings a storage, which readers take though it is no balanced tree.
    """
    entries: list[tuple[str, int, list[int], bytes | None]] = [("Root Entry", 5, [], None)]
    folders: dict[str, int] = {"": 0}
    for path, content in streams.items():
        parent = ""
        *around, name = path.split("/")
        for folder in around:
            inner = f"{parent}/{folder}"
            if inner not in folders:
                folders[inner] = len(entries)
                entries[folders[parent]][2].append(len(entries))
                entries.append((folder, 1, [], None))
            parent = inner
        entries[folders[parent]][2].append(len(entries))
        entries.append((name, 2, [], content))
    return _container(entries)


_SECTOR, _SMALL_SECTOR, _SMALL = 512, 64, 4096
_END, _FREE, _TABLE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


class _Sectors:
    """A body of sectors of one size, and the table that chains them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.body, self.table = bytearray(), list[int]()

    def add(self, data: bytes) -> int:
        """Append data; the number of its first sector."""
        start, count = len(self.table), -(-len(data) // self.size)
        self.body.extend(data.ljust(count * self.size, b"\0"))
        self.table.extend([*range(start + 1, start + count), _END] if count else ())
        return start if count else _END

    def packed_table(self) -> bytes:
        table = [*self.table, *[_FREE] * (-len(self.table) % (_SECTOR // 4))]
        return struct.pack(f"<{len(table)}I", *table)


def _container(entries: list[tuple[str, int, list[int], bytes | None]]) -> bytes:
    large, small = _Sectors(_SECTOR), _Sectors(_SMALL_SECTOR)
    places = []
    for _, _, _, content in entries:
        sectors = small if content is not None and len(content) < _SMALL else large
        places.append((sectors.add(content or b""), len(content or b"")))
    places[0] = large.add(bytes(small.body)), len(small.body)
    small_table = large.add(small.packed_table())
    following = {each: after for _, _, inner, _ in entries for each, after in itertools.pairwise(inner)}
    directory = b""
    for number, (name, kind, inner, _) in enumerate(entries):
        raw = name.encode("utf-16-le")
        directory += struct.pack(
            "<64sHBBIII16sIQQIQ", raw, len(raw) + 2, kind, 1, _FREE, following.get(number, _FREE),
            inner[0] if inner else _FREE, b"", 0, 0, 0, *places[number],
        )  # fmt: skip
    first = large.add(directory)
    tables = -(-(len(large.table) + 8) // (_SECTOR // 4))
    table_places = list(range(len(large.table), len(large.table) + tables))
    large.table += [_TABLE] * tables
    head = struct.pack(
        "<8s16sHHHHHHIIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6, 0, 0, 0,
        tables, first, 0, _SMALL, small_table, -(-len(small.packed_table()) // _SECTOR), _END, 0,
    )  # fmt: skip
    head += struct.pack("<109I", *table_places, *[_FREE] * (109 - tables))
    return head + bytes(large.body) + large.packed_table()


def outlook_properties(date: datetime.datetime, head: int = 32) -> bytes:
    """The stream of properties of a message that was sent then (UTC)."""
    ticks = int((date - datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)).total_seconds()) * 10_000_000
    return bytes(head) + struct.pack("<HHIQ", 0x0040, 0x0039, 0, ticks)


def outlook() -> bytes:
    """A message of Outlook with an attachment and a message within."""
    sent = datetime.datetime(2026, 3, 2, 9, 0, tzinfo=datetime.UTC)
    wide = {"0037": "The cellar", "0C1A": "Amara Lind", "5D01": "amara@example.org", "0E04": "Tomas Ferro",
            "1000": "The cellar is locked at ten.\r\n\r\nAmara"}  # fmt: skip
    streams = {f"__substg1.0_{number}001F": text.encode("utf-16-le") for number, text in wide.items()}
    attached, inner = "__attach_version1.0_#00000000", "__attach_version1.0_#00000001/__substg1.0_3701000D"
    return outlook_message(
        {
            "__properties_version1.0": outlook_properties(sent),
            **streams,
            f"{attached}/__properties_version1.0": bytes(8),
            f"{attached}/__substg1.0_3707001F": "rules.txt".encode("utf-16-le"),
            f"{attached}/__substg1.0_37010102": b"The key hangs at the door.",
            f"{inner}/__properties_version1.0": outlook_properties(sent, 24),
            f"{inner}/__substg1.0_0037001F": "Before".encode("utf-16-le"),
            f"{inner}/__substg1.0_1000001F": "When is it locked?".encode("utf-16-le"),
        }
    )
