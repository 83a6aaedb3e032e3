from __future__ import annotations

import io
import zipfile

import openpyxl
import pptx
import pytest

from ingest.errors import DamagedFileError, EncryptedFileError, TooLargeError
from ingest.readers.source import Limits
from ingest.records import BlockKind
from tests.parts import make_documents as make

PAGE = "<html><head><title>t</title></head><body>{}</body></html>"


def test_a_workbook_is_read_sheet_by_sheet_and_row_by_row(read_one):
    document = read_one("flats.xlsx", make.workbook())
    assert document.text == (
        "Flats\n\nTenants of the house\n\n"
        "Wing: North\nTenant: Amara Lind\nRent: 420.5\nSince: 2024-05-01\nShare: 12.5%\nDeposit paid: TRUE\n\n"
        "Wing: North\nTenant: Tomas Ferro\nRent: 390\nSince: 2025-06-01 09:30\nShare: 50.0%\nDeposit paid: FALSE\n\n"
        "Wing: South\n\nRates (hidden sheet)\n\nYear: 2025\nRate: 0.3"
    )
    assert [heading.text for heading in document.headings] == ["Flats", "Rates (hidden sheet)"]


def test_a_formula_is_what_it_came_to_when_the_workbook_was_saved(read_one):
    data = make.workbook()
    parts = {
        name: zipfile.ZipFile(io.BytesIO(data)).read(name)
        for name in zipfile.ZipFile(io.BytesIO(data)).namelist()
    }
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = (
        parts[sheet]
        .replace(b"<f>1/0</f><v />", b"<f>1/0</f><v>415</v>")
        .replace(b"<f>1/0</f><v></v>", b"<f>1/0</f><v>415</v>")
    )
    assert "Wing: South\nRent: 415" in read_one("flats.xlsx", make.packed(parts)).text


def test_a_sheet_that_says_it_is_as_wide_and_long_as_sheets_may_be(read_one):
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "near", "far"
    assert read_one("a.xlsx", make._saved(book)).text == "Sheet\n\ncolumn 1: near\n\ncolumn 16384: far"


def test_a_workbook_of_a_thousand_sheets_is_held_to_a_number(read_one, refusal):
    book = openpyxl.Workbook()
    for number in range(60):
        book.create_sheet(f"S{number}").append(["a", number])
    assert len(read_one("a.xlsx", make._saved(book)).headings) == 60
    sentence = refusal(TooLargeError, "a.xlsx", make._saved(book), Limits(max_pages=50))
    assert "61 sheets, and the limit is 50" in sentence


def test_a_presentation_is_read_slide_by_slide_and_cited_by_its_slides(read_one):
    document = read_one("talk.pptx", make.presentation())
    assert document.text == (
        "The cellar\n\nIt is locked at ten.\n\n- The key hangs at the door.\n\nNotes: Show the plan here.\n\n"
        "Rents\n\nWing | Rent\nNorth | 420\nNorth | 390\n\n2024: Rent 400\n2025: Rent 420.5\n\n"
        "In a group within a group.\n\nLeft out (hidden slide)"
    )
    assert [document.text[page.start : page.end][:8] for page in document.pages] == [
        "The cell",
        "",
        "Rents\n\nW",
        "Left out",
    ]
    assert [heading.text for heading in document.headings] == [
        "The cellar",
        "Rents",
        "Left out (hidden slide)",
    ]
    assert document.pages_without_text == ()


def test_a_show_a_template_and_a_document_with_macros_are_read(read_one):
    kind = b"presentationml.presentation.main+xml"
    data = make.presentation()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    types = "[Content_Types].xml"
    parts[types] = parts[types].replace(kind, b"presentationml.slideshow.main+xml")
    assert "locked at ten" in read_one("a.ppsx", make.packed(parts)).text


def test_the_boxes_of_a_diagram_are_a_list(read_one):
    deck = pptx.Presentation()
    deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = "Steps"
    with zipfile.ZipFile(io.BytesIO(make._saved(deck))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    add_diagram(parts, "ppt/slides/slide1.xml", "ppt/slides/_rels/slide1.xml.rels", b"</p:spTree>", "p")
    assert read_one("a.pptx", make.packed(parts)).text == "Steps\n\n- Find the key\n- Open the door"


def add_diagram(parts: dict[str, bytes], part: str, relations: str, end: bytes, prefix: str) -> None:
    """Put a diagram before ``end`` of a part of a slide."""
    frame = (
        f'<{prefix}:graphicFrame><{prefix}:nvGraphicFramePr><{prefix}:cNvPr id="9" '
        f'name="d"/><{prefix}:cNvGraphicFramePr/>'
        f"<{prefix}:nvPr/></{prefix}:nvGraphicFramePr>"
        f'<{prefix}:xfrm><a:off x="0" y="0"/><a:ext cx="1" '
        f'cy="1"/></{prefix}:xfrm>{make.GRAPHIC}</{prefix}:graphicFrame>'
    )
    parts[part] = parts[part].replace(end, frame.encode() + end)
    folder = part.partition("/")[0]
    parts[f"{folder}/diagrams/data1.xml"] = make.DIAGRAM.encode()
    parts[relations] = parts[relations].replace(b"</Relationships>", RELATION + b"</Relationships>")
    types = "[Content_Types].xml"
    parts[types] = parts[types].replace(
        b"</Types>",
        f'<Override PartName="/{folder}/diagrams/data1.xml" ContentType="application/vnd.openxmlformats-officedocument.'
        'drawingml.diagramData+xml"/></Types>'.encode(),
    )


RELATION = (
    b'<Relationship Id="rId99" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/diagramData" '
    b'Target="../diagrams/data1.xml"/>'
)

ODT = (
    "House rules\n\nThe cellar is locked at ten.\n\nNote: Nine in winter.\n\nKeys\n\n- One at "
    "the door.\n- One inside.\n\n"
    "See below.\n\nWing | Rent\nNorth | 420\nNorth | 390"
)


@pytest.mark.parametrize("flat", [False, True])
def test_a_text_of_libreoffice(read_one, flat):
    data = make.open_document("text", make.TEXT, title="Rules", flat=flat)
    document = read_one("a.fodt" if flat else "a.odt", data)
    assert (document.title, document.text) == ("Rules", ODT)
    assert [(heading.level, heading.text) for heading in document.headings] == [
        (1, "House rules"),
        (2, "Keys"),
    ]
    names = [block for block in document.blocks if block.kind is BlockKind.TABLE_ROW and block.level]
    assert [document.text[block.start : block.end] for block in names] == ["Wing | Rent"]


def test_a_workbook_of_libreoffice(read_one):
    document = read_one("a.ods", make.open_document("spreadsheet", make.SHEETS, styles=make.HIDDEN))
    assert document.text == (
        "Flats\n\nTenant: Amara Lind\nSince: 2024-05-01\n\nRates (hidden sheet)\n\ncolumn 1: Index\ncolumn 2: 102"
    )


def test_a_presentation_of_libreoffice(read_one):
    document = read_one("a.odp", make.open_document("presentation", make.SLIDES))
    assert document.text == "The cellar\n\n- Locked at ten.\n\nNotes: Show the plan."
    assert len(document.pages) == 2


def test_an_open_document_behind_a_password_and_one_that_lost_its_content(refusal):
    kind = "application/vnd.oasis.opendocument.text"
    manifest = {"META-INF/manifest.xml": "<a><encryption-data/></a>", "content.xml": "rubbish"}
    assert "password" in refusal(EncryptedFileError, "a.odt", make.packed(manifest, first=kind))
    assert "lost its content" in refusal(
        DamagedFileError, "a.odt", make.packed({"meta.xml": "<a/>"}, first=kind)
    )


def test_a_book_is_read_in_the_order_of_its_spine(read_one):
    chapters = {
        "b.xhtml": PAGE.format("<p>Locked at ten.</p>"),
        "a b.xhtml": PAGE.format("<h1>The cellar</h1><p>Below.</p>"),
    }
    document = read_one("a.epub", make.book(chapters, order=["a b.xhtml", "b.xhtml"]))
    assert document.title == "The house"
    assert document.text == "The cellar\n\nBelow.\n\nChapter 1\n\nLocked at ten."
    assert [heading.text for heading in document.headings] == ["The cellar", "Chapter 1"]


def test_a_book_of_a_shop_is_refused_and_one_with_encrypted_fonts_is_not(read_one, refusal):
    chapters = {"a.xhtml": PAGE.format("<p>Locked.</p>")}
    said = '<encryption xmlns:e="x"><e:CipherReference URI="{}"/></encryption>'
    book = make.book(chapters, more={"META-INF/encryption.xml": said.format("text/a.xhtml")})
    assert "protected against copying" in refusal(EncryptedFileError, "a.epub", book)
    assert (
        "Locked."
        in read_one(
            "a.epub", make.book(chapters, more={"META-INF/encryption.xml": said.format("f.otf")})
        ).text
    )


def test_rtf(read_one):
    markup = (
        rb"{\rtf1\ansi\ansicpg1250{\info{\title The house}}{\fonttbl{\f0 Arial;}}\f0 The "
        rb"cellar.\par \'bf\'f3\'b3w \u8211? x"
        rb"\par \trowd\cellx1\cellx2 Wing\cell Rent\cell\row\trowd North\cell 420\cell\row\pard After.\par "
        rb"{\pict\pngblip " + b"89504e47" * 1000 + rb"}}"
    )
    document = read_one("a.rtf", markup)
    assert (document.title, document.text) == (
        "The house",
        "The cellar.\n\nżółw – x\n\nWing | Rent\nNorth | 420\n\nAfter.",
    )


@pytest.mark.parametrize("name", ["a.xlsx", "a.pptx", "a.odt", "a.epub", "a.docx", "a.zip"])
def test_a_package_that_unpacks_as_no_document_does(refusal, name):
    kinds = {".odt": "application/vnd.oasis.opendocument.text", ".epub": "application/epub+zip"}
    folder = {"a.xlsx": "xl", "a.pptx": "ppt", "a.docx": "word"}.get(name, "x")
    parts = {"[Content_Types].xml": "<x/>", f"{folder}/a.xml": bytes(30_000_000), "content.xml": "<x/>"}
    if name == "a.zip":
        del parts["[Content_Types].xml"]
    data = make.packed(parts, first=kinds.get(name[1:], ""))
    assert "the limit is 200 to 1" in refusal(TooLargeError, name, data)
    assert "unpacked, is too large" in refusal(
        TooLargeError, name, data, Limits(max_unpacked_bytes=1_000_000)
    )
