"""What files say of themselves arrives as typed metadata, and what cannot be understood is left out."""

from __future__ import annotations

import datetime
import io

import docx
import openpyxl
import pptx
import pytest
from fpdf import FPDF

from ingest.readers.properties import properties
from ingest.records import NO_METADATA, Metadata
from tests.parts import make_documents as make

DAY = datetime.datetime(2024, 3, 5, 12, 30)


def saved(document: object) -> bytes:
    file = io.BytesIO()
    document.save(file)  # type: ignore[attr-defined]
    return file.getvalue()


def word() -> bytes:
    document = docx.Document()
    document.add_paragraph("The cellar is locked at ten.")
    core = document.core_properties
    core.author, core.language, core.keywords, core.created, core.modified = (
        "Amara Lind", "de-DE", "keys; cellar", DAY, DAY,
    )  # fmt: skip
    return saved(document)


def workbook() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["Flat", "Rent"])
    book.active.append([7, 420])
    book.properties.creator, book.properties.language, book.properties.keywords = (
        "Amara Lind",
        "de-DE",
        "keys, cellar",
    )
    book.properties.created = book.properties.modified = DAY
    return saved(book)


def slides() -> bytes:
    deck = pptx.Presentation()
    deck.slides.add_slide(deck.slide_layouts[0]).shapes.title.text = "Keys"
    core = deck.core_properties
    core.author, core.language, core.keywords, core.created, core.modified = (
        "Amara Lind", "de-DE", "keys; cellar", DAY, DAY,
    )  # fmt: skip
    return saved(deck)


def printed() -> bytes:
    pdf = FPDF()
    pdf.set_author("Amara Lind")
    pdf.set_lang("de-DE")
    pdf.set_keywords("keys, cellar")
    pdf.set_creation_date(DAY)
    pdf.set_font("Helvetica", size=11)
    pdf.add_page()
    pdf.cell(text="The cellar is locked at ten.")
    return bytes(pdf.output())


_META = 'xmlns:meta="urn:oasis:names:tc:opendocument:xmlns:meta:1.0"'
META = (
    f"<dc:creator>Amara Lind</dc:creator><dc:language>de-DE</dc:language><meta:keyword {_META}>keys</meta:keyword>"
    f"<meta:keyword {_META}>cellar</meta:keyword><dc:date>2024-03-05T12:30:00</dc:date>"
    f"<meta:creation-date {_META}>2024-03-05T12:30:00</meta:creation-date>"
)

PAGE = """<html lang="de-DE"><head><meta name="author" content="Amara Lind">
<meta name="keywords" content="keys, cellar">
<meta property="article:published_time" content="2024-03-05T12:30:00">
<meta property="article:modified_time" content="2024-03-05T12:30:00"></head><p>The cellar is locked at ten.</p>"""

FRONT = """---
authors:
  - name: Amara Lind
lang: de_DE
date: 2024-03-05 12:30:00
lastmod: "2024-03-05T12:30:00"
tags: [keys, cellar]
---
The cellar is locked at ten.
"""

TOML = """+++
author = "Amara Lind"
language = "de-de"
date = 2024-03-05T12:30:00
lastmod = 2024-03-05T12:30:00
tags = ["keys", "cellar"]
+++
The cellar is locked at ten.
"""

WHOLE = Metadata("Amara Lind", "de-DE", "2024-03-05T12:30:00", "2024-03-05T12:30:00", ("keys", "cellar"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.docx", word()), ("a.xlsx", workbook()), ("a.pptx", slides()), ("a.html", PAGE), ("a.md", FRONT),
        ("b.md", TOML), ("a.odt", make.open_document("text", make.TEXT, meta=META)),
    ],
)  # fmt: skip
def test_what_a_file_says_of_itself_is_known(read_one, name, content):
    found = read_one(name, content).metadata
    if name == "a.xlsx":  # which sets the time of its saving itself
        found = Metadata(found.author, found.language, found.created, WHOLE.modified, found.tags)
    assert Metadata(
        found.author, found.language, found.created.removesuffix("+00:00"),
        found.modified.removesuffix("+00:00"), found.tags,
    ) == WHOLE  # fmt: skip


def test_a_pdf_and_a_mail_say_who_wrote_them_and_when(read_one):
    found = read_one("a.pdf", printed()).metadata
    assert (found.author, found.language, found.created, found.tags) == (
        "Amara Lind", "de-DE", "2024-03-05", ("keys", "cellar"),
    )  # fmt: skip
    mail = "From: Amara Lind <a@b.c>\nDate: Tue, 5 Mar 2024 12:30:00 +0100\nSubject: Keys\n\nAt ten.\n"
    found = read_one("a.eml", mail).metadata
    assert (found.author, found.created) == ("Amara Lind <a@b.c>", "2024-03-05T12:30:00+01:00")


@pytest.mark.parametrize(
    "front",
    [
        "---\ntags: [a\n---\nHello.",
        "---\n- a list\n---\nHello.",
        "---\ndate: soon\nlang: klingon!\n---\nHello.",
    ],
)
def test_front_matter_that_says_nothing_costs_nothing(read_one, front):
    document = read_one("a.md", front)
    assert (document.text, document.metadata) == ("Hello.", NO_METADATA)


@pytest.mark.parametrize(
    "value", [None, True, {}, [[["deep"]]], object(), b"\xff\x00", "\x00", float("nan"), "x" * 9_999]
)
def test_whatever_a_parser_gives_is_bounded(value: object) -> None:
    found = properties(author=value, language=value, created=value, modified=value, tags=value)
    assert all(
        len(word) <= 200
        for word in (found.author, found.language, found.created, found.modified, *found.tags)
    )


def test_aliases_do_not_unfold() -> None:
    bomb: list[object] = ["keys"]
    for _ in range(40):
        bomb = [bomb] * 40
    assert properties(tags=bomb) == NO_METADATA
