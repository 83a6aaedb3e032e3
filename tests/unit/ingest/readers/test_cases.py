"""Small files that were read wrongly once, and what people expect of them. Each stands for a kind."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from ingest.chunker import Chunker
from ingest.errors import NoTextError
from ingest.readers.registry import read_documents
from ingest.records import Document
from tests.fakes import whitespace_tokenizer

CASES = Path(__file__).with_name("cases")

# File → what stands in its text, lines in this order; then what must not.
RIGHT: dict[str, tuple[list[str], list[str]]] = {
    "csv-quote-inside.csv": (['item: 5" pipe\nprice: 12', "item: valve\nprice: 7"], []),
    "csv-semicolon-decimal-comma.csv": (["flat: 7\nrent: 420,50\nnote: quiet, early"], []),
    "csv-spaces-after-commas.csv": (["note: quiet, pays early\nrent: 420"], ["column", '"']),
    "csv-tab-named-csv.csv": (["name: Amara Lind\nnote: quiet, early"], []),
    "csv-title-above-header.csv": (
        ["Tenants of the north wing", "name: Amara Lind\nnote: quiet"], ["column 2", "wing: "],
    ),
    "csv-year-columns.csv": (["Country: Freedonia\n2019: 83.1"], ["column"]),
    "docx-cell-in-content-control.docx": (
        ["Amara Lind | Flat 7, garden side | 420 | May\nTomas Ferro | Flat 9 | 390 | June"], [],
    ),
    "docx-emoji-alternate-content.docx": (["Quiet hours: 🌙"], []),
    "docx-empty-cells.docx": (["North wing | 400 |  | 450\nSouth wing |  | 380 |"], []),
    "docx-equation.docx": (["The rent rises by r=1.02x+35 each year."], []),
    "docx-footnote.docx": (
        ["four hundred crowns.", "two hundred crowns.", "Pets are welcome.", "consent of the owner."], [],
    ),
    "docx-merge-off-grid.docx": (["House rules for the cellar.", "Bicycles", "left", "locked at ten."], []),
    "docx-numbered-clauses.docx": (
        ["1. Term", "1.1.1 The lease", "1.1.2 It ends", "1.2 Leaving early", "1.2.1 The tenant may"], [],
    ),
    "docx-strict-open-xml.docx": (["The cellar is locked at ten."], []),
    "html-cookie-banner.html": (["House rules", "locked at ten."], ["cookies", "Home", "Sign in", "Imprint"]),
    "html-empty-cells.html": (["North wing | 400 |  | 450\nSouth wing |  | 380 |"], []),
    "html-faq-accordion.html": (
        ["When is the deposit returned?", "Within three months.", "May I keep a dog?", "written consent"], [],
    ),
    "html-image-alt.html": (["Plan of the cellar: the main valve is behind the third door on the left"], []),
    "html-katex.html": (["The rent rises by r=1.02x each year."], ["r=1.02xr"]),
    "html-ruby.html": (["東京(とうきょう)に住む。"], []),
    "html-soft-hyphens.html": (["Haftpflichtversicherung"], ["\u00ad"]),
    "pdf-adobe-japan1-no-tounicode.pdf": (["Deposit: あいう"], []),
    "pdf-columns-row-by-row.pdf": (
        ["account of its own and is returned within three months of moving out. A dog needs the written"], [],
    ),
    "pdf-compound-at-line-end.pdf": (["high-dimensional", "well-known", "cooperation", "long-term"], []),
    "pdf-letterhead-three-lines.pdf": (
        ["Hillside", "Quarry Lane", "Telephone", "The deposit", "Confidential", "Page 1 of 4", "Small repairs"], [],
    ),
    "pdf-no-space-glyph.pdf": (
        ["The tenant may leave early if three months have passed and the deposit is returned."], [],
    ),
    "pdf-odd-even-headers.pdf": (["A Guide to Renting", "The deposit", "Chapter 2", "Small repairs"], []),
    "pdf-split-word.pdf": (["certain technical amendments to the old law for the treaties", "work of their"], []),
    "pdf-table-rows.pdf": (
        ["Layoffs in July", "Company | City | Jobs | Kind\nNorthwind Bakery | San Diego | 121 | Closure\nBlue"], [],
    ),
    "pdf-toc-dot-leaders.pdf": (["Contents", "1. Deposit and its return … 3\n2. Notice"], ["..", ". ."]),
    "pdf-two-pages-same-header.pdf": (["Hillside", "The deposit", "Small repairs"], []),
    "pdf-without-startxref.pdf": (["Notice period", "Three months to the end of a quarter"], []),
    "txt-cp1252-german.txt": (["beträgt", "Rückgabe", "Schlüssel – spätestens"], []),
    "txt-cyrillic-cp1251.txt": (["Подвал закрывается"], []),
    "txt-latin1-one-accent.txt": (["The café in the cellar"], []),
    "txt-page-furniture.txt": (["Rule 1.", "Rule 5.", "the key hangs at the door."], ["\f", "[Page 4]"]),
    "txt-polish-cp1250.txt": (["dziesiątej", "Żółć, gęśl, jaźń"], []),
    "txt-sjis.txt": (["地下室は十時に閉まります。"], []),
    "txt-utf16le-nobom.txt": (["The cellar is locked at ten."], []),
}  # fmt: skip


def read(name: str) -> Document:
    document, *_ = read_documents(CASES / name, name=name)
    assert isinstance(document, Document)
    return document


@pytest.mark.parametrize("name", RIGHT)
def test_a_file_is_read_as_people_see_it(name: str) -> None:
    text, (there, absent) = read(name).text, RIGHT[name]
    position = 0
    for words in there:
        assert words in text[position:], f"{words!r} is not there, or not in its place:\n{text}"
        position = text.index(words, position) + len(words)
    for words in absent:
        assert words not in text


def test_an_attachment_is_a_document_of_its_own() -> None:
    name = "pdf-portfolio.pdf"
    cover, attached = read_documents(CASES / name, name=name, key="k")
    assert isinstance(attached, Document)
    assert (attached.path, attached.key, attached.title) == (f"{name}/terms.txt", "k/terms.txt", "terms")
    assert attached.text not in cover.text


ONCE = {
    "pdf-letterhead-three-lines.pdf": [
        "Hillside",
        "Quarry Lane",
        "Telephone",
        "Confidential",
        "Registered",
        "Page",
    ],
    "pdf-odd-even-headers.pdf": ["A Guide to Renting", "Chapter 2"],
    "pdf-two-pages-same-header.pdf": ["Hillside Housing Ltd"],
}


@pytest.mark.parametrize("name", ONCE)
def test_what_repeats_on_every_page_stands_once(name: str) -> None:
    text = read(name).text
    assert [text.count(words) for words in ONCE[name]] == [1] * len(ONCE[name])


def test_letters_that_cannot_be_known_are_refused() -> None:
    with pytest.raises(NoTextError, match="do not tell which letters"):
        read("pdf-unknown-glyphs.pdf")


def test_a_table_of_contents_is_one_passage() -> None:
    (chunk,) = Chunker(whitespace_tokenizer(), 160).chunks(read("pdf-toc-dot-leaders.pdf"))
    assert chunk.text.endswith("10. Subletting … 30")


def test_a_file_without_a_title_is_called_by_its_name() -> None:
    assert read("docx-without-core-properties.docx").title == "docx-without-core-properties"


def test_a_picture_within_markdown_is_what_it_is_called(tmp_path: Path) -> None:
    picture = base64.b64encode(bytes(range(256)) * 600).decode()
    (tmp_path / "a.md").write_text(
        f"# Plan\n\nThe valve.\n\n![plan](data:image/png;base64,{picture})\n\nThe end.\n"
    )
    (document,) = read_documents(tmp_path / "a.md", name="a.md")
    assert document.text == "Plan\n\nThe valve.\n\nplan\n\nThe end."


@pytest.mark.parametrize("name", ["docx-long-table.docx", "md-long-table.md"])
def test_each_passage_of_a_table_is_read_with_the_names_of_its_columns(name: str) -> None:
    chunks = Chunker(whitespace_tokenizer(), 60).chunks(read(name))
    assert len(chunks) > 3
    assert all("Flat | Tenant | Rent | Deposit" in chunk.passage for chunk in chunks)
    assert all("Deposit" not in chunk.text for chunk in chunks[1:]), "what is cited is the text alone"


def test_no_passage_begins_or_ends_within_a_mark_of_citation() -> None:
    chunks = Chunker(whitespace_tokenizer(), 40).chunks(read("html-citation-marks.html"))
    assert len(chunks) > 3
    assert all(chunk.text.count("[") == chunk.text.count("]") for chunk in chunks)
    assert not any(chunk.text[0] in "[]0123456789" for chunk in chunks)


HEADED = ["docx-heading-before-long-paragraph.docx", "docx-numbered-clauses.docx", "html-faq-accordion.html"]


@pytest.mark.parametrize("name", HEADED)
@pytest.mark.parametrize("tokens", [24, 40, 160])
def test_a_heading_opens_the_passage_of_its_section_and_stands_in_none_alone(name: str, tokens: int) -> None:
    document = read(name)
    assert document.headings
    for chunk in Chunker(whitespace_tokenizer(), tokens).chunks(document):
        last_line = chunk.text.rstrip().rpartition("\n")[2]
        assert last_line not in {heading.text for heading in document.headings}, "a heading without its text"


def test_the_line_with_a_page_number_is_no_title() -> None:
    assert read("txt-page-furniture.txt").title == "txt-page-furniture"
