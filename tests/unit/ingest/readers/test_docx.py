from __future__ import annotations

import io
import zipfile

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from ingest.errors import DamagedFileError, EmptyFileError, TooLargeError
from ingest.readers.source import Limits
from tests.parts.make_documents import DIAGRAM, GRAPHIC, packed

TEXT = """On cranes

Birds

They fly\tfar.
And high.

- common crane
- blue crane

Kind | Height
Common | 1.2 m
both columns

Machines

They lift. שלום 👩‍👧"""


def saved(document) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def rewritten(data: bytes, **changes: bytes) -> bytes:
    """The archive with members replaced (``document`` stands for word/document.xml)."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            replaced = changes.pop(entry.filename.removeprefix("word/").removesuffix(".xml"), None)
            new.writestr(entry.filename, old.read(entry) if replaced is None else replaced)
        for name, content in changes.items():
            new.writestr(name, content)
    return file.getvalue()


@pytest.fixture
def word():
    document = docx.Document()
    document.add_heading("On cranes", 0)
    document.add_heading("Birds", 1)
    document.add_paragraph("They fly\tfar.\nAnd high.")
    document.add_paragraph("")
    document.add_paragraph("common crane", style="List Bullet")
    document.add_paragraph("blue crane", style="List Bullet")
    table = document.add_table(rows=3, cols=2)
    for cell, text in zip(table._cells, ["Kind", "Height", "Common", "1.2 m"], strict=False):
        cell.text = text
    table.cell(2, 0).merge(table.cell(2, 1)).text = "both\ncolumns"
    document.add_heading("Machines", 2)
    document.add_paragraph("They lift. שלום 👩‍👧")
    document.sections[0].header.paragraphs[0].text = "running head"
    return document


def test_a_small_document_to_the_letter(read_one, word):
    document = read_one("a.docx", saved(word))
    assert document.text == TEXT
    assert [(heading.level, heading.text) for heading in document.headings] == [
        (1, "On cranes"), (1, "Birds"), (2, "Machines"),
    ]  # fmt: skip
    assert all(document.text.startswith(heading.text, heading.start) for heading in document.headings)
    assert (document.title, document.format, document.pages) == ("On cranes", "docx", ())


def test_the_title_of_the_properties_comes_first_if_it_is_one(read_one, word):
    word.core_properties.title = "All about cranes"
    assert read_one("a.docx", saved(word)).title == "All about cranes"
    word.core_properties.title = "Microsoft Word - draft.doc"
    assert read_one("a.docx", saved(word)).title == "On cranes"


def test_a_style_based_on_a_heading_is_one(read_one, word):
    style = word.styles.add_style("Chapter of ours", 1)
    style.base_style = word.styles["Heading 3"]
    word.add_paragraph("Kept cranes", style=style)
    assert read_one("a.docx", saved(word)).headings[-1].level == 3


def test_what_python_docx_passes_over_is_read_and_what_is_deleted_is_not(read_one):
    document = docx.Document()
    for xml in (
        "<w:sdt %s><w:sdtContent><w:p><w:r><w:t>in a control</w:t></w:r></w:p></w:sdtContent></w:sdt>",
        "<w:p %s><w:pPr><w:tabs><w:tab w:val='left' w:pos='1'/></w:tabs></w:pPr>"
        "<w:ins w:id='1' w:author='a'><w:r><w:t>inserted</w:t></w:r></w:ins>"
        "<w:del w:id='2' w:author='a'><w:r><w:delText>deleted</w:delText></w:r></w:del></w:p>",
        "<w:p %s><w:r><w:instrText>PAGEREF x</w:instrText></w:r>"
        "<w:hyperlink><w:r><w:t>linked</w:t></w:r></w:hyperlink></w:p>",
    ):
        document.element.body.append(parse_xml(xml % nsdecls("w")))
    assert read_one("a.docx", saved(document)).text == "in a control\n\ninserted\n\nlinked"


def test_no_words(refusal):
    refusal(EmptyFileError, "a.docx", saved(docx.Document()))


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_torn_archive_is_damaged(refusal, word, cut):
    data = saved(word)
    refusal(DamagedFileError, "a.docx", data[: int(len(data) * cut)])


@pytest.mark.parametrize("xml", [b"<broken", b"", b"<x>" * 100_000])
def test_broken_xml_is_damaged(refusal, word, xml):
    refusal(DamagedFileError, "a.docx", rewritten(saved(word), document=xml))


def test_a_bomb_is_refused_by_its_declared_sizes(refusal, word):
    data = rewritten(saved(word), bomb=bytes(60_000_000))
    assert len(data) < 200_000
    sentence = refusal(TooLargeError, "a.docx", data)
    assert "unpacks from" in sentence
    assert "limit is 50 MB" in refusal(TooLargeError, "b.docx", data, Limits(max_unpacked_bytes=50_000_000))


def test_a_bomb_that_lies_about_its_size_is_refused(refusal, word):
    data = rewritten(saved(word), bomb=bytes(60_000_000))
    honest, lie = (60_000_000).to_bytes(4, "little"), (1_000).to_bytes(4, "little")
    assert honest in data
    refusal(DamagedFileError, "a.docx", data.replace(honest, lie))


def test_a_bomb_of_entities_is_refused(refusal, word):
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %c "%s">' % (ord("a") + n, b"&%c;" % (ord("a") + n - 1) * 10) for n in range(1, 10)
    )
    xml = bomb + b"]><w:document xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'>"
    xml += b"<w:body><w:p><w:r><w:t>&j;</w:t></w:r></w:p></w:body></w:document>"
    assert "entity" in refusal(DamagedFileError, "a.docx", rewritten(saved(word), document=xml))


def with_parts(data: bytes, relations: str, kinds: str, parts: dict[str, bytes]) -> bytes:
    """The Word file with more parts, each with a relationship of the document and a type."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    place, types = "word/_rels/document.xml.rels", "[Content_Types].xml"
    found[place] = found[place].replace(b"</Relationships>", f"{relations}</Relationships>".encode())
    found[types] = found[types].replace(b"</Types>", f"{kinds}</Types>".encode())
    return packed({**found, **parts})


_TYPE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"


def test_files_of_other_formats_within_and_the_boxes_of_a_diagram_are_read(read_one):
    document, inner = docx.Document(), docx.Document()
    inner.add_heading("Inner rules", 1)
    inner.add_paragraph("Nine in winter.")
    document.add_paragraph("Before.")
    body = document.element.body
    for number in range(4):
        body.insert(number + 1, parse_xml(f'<w:altChunk {nsdecls("w", "r")} r:id="rId90{number}"/>'))
    drawing = f"<w:p {nsdecls('w')}><w:r><w:drawing>{GRAPHIC}</w:drawing></w:r></w:p>"
    body.insert(5, parse_xml(drawing))
    names = {"a.htm": "text/html", "b.txt": "text/plain", "c.rtf": "application/rtf", "d.docx": _WORD}
    relations = (
        "".join(
            f'<Relationship Id="rId90{number}" Type="{_TYPE}/aFChunk" Target="{name}"/>'
            for number, name in enumerate(names)
        )
        + f'<Relationship Id="rId99" Type="{_TYPE}/diagramData" Target="data1.xml"/>'
    )
    kinds = "".join(
        f'<Override PartName="/word/{name}" ContentType="{kind}"/>' for name, kind in names.items()
    )
    parts = {
        "word/a.htm": b"<h1>A page</h1><p>At ten.",
        "word/b.txt": b"A text.\n\nOf two.",
        "word/c.rtf": b"{\\rtf1 Rich.}",
        "word/d.docx": saved(inner),
        "word/data1.xml": DIAGRAM.encode(),
    }
    read = read_one("a.docx", with_parts(saved(document), relations, kinds, parts))
    assert read.text == (
        "Before.\n\nA page\n\nAt ten.\n\nA text.\n\nOf two.\n\nRich.\n\nInner rules\n\nNine in winter.\n\n"
        "- Find the key\n- Open the door"
    )
    assert [heading.text for heading in read.headings] == ["A page", "Inner rules"]
