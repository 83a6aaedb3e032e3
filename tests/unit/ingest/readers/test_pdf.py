from __future__ import annotations

import io
import logging
import os
from pathlib import Path

import pytest
from fpdf import FPDF
from pypdf import PdfReader, PdfWriter

from ingest.errors import (
    DamagedFileError,
    EncryptedFileError,
    NoTextError,
    PasswordNeededError,
    ReadError,
    TooLargeError,
)
from ingest.readers.pdf import opening
from ingest.readers.pdf import pdf as pdf_module
from ingest.readers.registry import read_documents
from ingest.readers.source import Limits
from ingest.records import Document

PAGES = [
    [
        "# The common crane",
        "In autumn the cranes gather in their thousands on the mudflats, where they rest and feed be-",
        "fore the long flight to the south. Well-known resting places lie on the coast of the Baltic; a well-",
        "known one is the lagoon of Rügen.",
        "They fly in wedges. When the wind is from the north, the whole flock may leave within a single",
    ],
    ["hour of the morning.", "1 Height and weight", "A grown bird is 1.2 m high."],
    [],
    ["It weighs up to 6 kg."],
]
TEXT = (
    "The common crane\n\n"
    "In autumn the cranes gather in their thousands on the mudflats, where they rest and feed before the long "
    "flight to the south. Well-known resting places lie on the coast of the Baltic; a well-known one is the "
    "lagoon of Rügen.\n\n"
    "They fly in wedges. When the wind is from the north, the whole flock may leave within a single"
    " hour of the morning.\n\n"
    "1 Height and weight\n\n"
    "A grown bird is 1.2 m high.\n\n"
    "It weighs up to 6 kg."
)


def encrypted(data: bytes, user: str, owner: str, algorithm: str = "AES-256") -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(user, owner, algorithm=algorithm)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def test_a_small_document_to_the_letter(read_one, make_pdf):
    document = read_one("crane.pdf", make_pdf(PAGES, title="Cranes"))
    assert document.text == TEXT
    assert document.title == "Cranes"
    pages = [document.text[page.start : page.end] for page in document.pages]
    assert pages[0].startswith("The common crane\n\nIn autumn")
    assert pages[0].endswith("within a single")
    assert pages[1:] == [
        "hour of the morning.\n\n1 Height and weight\n\nA grown bird is 1.2 m high.", "", "It weighs up to 6 kg.",
    ]  # fmt: skip
    assert document.pages_without_text == (3,)
    assert document.page_count == 4


@pytest.mark.parametrize(
    ("metadata", "title"),
    [
        ("Cranes\x00 of\tEurope", "Cranes of Europe"),
        ("", "The common crane"),
        ("untitled", "The common crane"),
        ("Untitled-1", "The common crane"),
        ("Microsoft Word - report final.doc", "The common crane"),
        ("scan_0012.pdf", "The common crane"),
        ("PowerPoint Presentation", "The common crane"),
    ],
)
def test_titles(read_one, make_pdf, metadata, title):
    assert read_one("crane.pdf", make_pdf(PAGES, title=metadata)).title == title


@pytest.mark.parametrize("lines", [PAGES[0][1:], ["Notice Date", *PAGES[0][1:]]])
def test_a_first_line_like_all_others_leaves_the_title_to_the_name(read_one, make_pdf, lines):
    assert read_one("crane.pdf", make_pdf([lines])).title == "crane"


def test_the_outline_gives_headings_where_their_words_stand(tmp_path, make_pdf):
    sections = {1: "The common crane", 2: "Height and Weight", 4: "Not in the text"}
    (tmp_path / "a.pdf").write_bytes(make_pdf(PAGES, sections=sections))
    (document,) = read_documents(tmp_path / "a.pdf")
    starts = {heading.text: heading.start for heading in document.headings}
    assert starts == {"The common crane": 0, "1 Height and weight": TEXT.index("1 Height")}
    kinds = [(block.kind.value, block.level) for block in document.blocks[:2]]
    assert kinds == [("heading", 1), ("paragraph", 0)]


ALGORITHMS = ["RC4-40", "RC4-128", "AES-128", "AES-256-R5", "AES-256"]  # revisions 2, 3, 4, 5 and 6


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_pdf_guarded_only_against_printing_opens(read_one, make_pdf, algorithm):
    data = encrypted(make_pdf(PAGES), "", "owner", algorithm)
    assert read_one("a.pdf", data).text == TEXT


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_pdf_with_a_password_opens_with_either_of_its_two(tmp_path, refusal, make_pdf, algorithm):
    data = encrypted(make_pdf(PAGES), "hunter2", "correct horse", algorithm)
    sentence = refusal(PasswordNeededError, "a.pdf", data)
    assert "none was given" in sentence
    for passwords in (["hunter2"], ["wrong", "correct horse"]):
        (document,) = read_documents(tmp_path / "a.pdf", passwords=passwords)
        assert document.text == TEXT
    with pytest.raises(PasswordNeededError, match="the one that was given does not open it") as caught:
        list(read_documents(tmp_path / "a.pdf", passwords=["hunter3"]))
    assert "hunter3" not in str(caught.value)


@pytest.mark.parametrize("password", ["пароль €", "\u200f🔑", "x" * 500, "a\x00b"])
@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_a_password_that_cannot_be_is_refused_and_not_quoted(tmp_path, make_pdf, password, algorithm):
    (tmp_path / "a.pdf").write_bytes(encrypted(make_pdf(PAGES), "hunter2", "owner", algorithm))
    with pytest.raises(EncryptedFileError) as caught:
        list(read_documents(tmp_path / "a.pdf", passwords=[password]))
    assert password not in str(caught.value)
    assert caught.value.__cause__ is None


def test_pages_with_nothing_on_them_are_refused(refusal, make_pdf):
    assert "its 2 pages hold neither letters nor pictures" in refusal(
        NoTextError, "a.pdf", make_pdf([[], []])
    )


@pytest.mark.parametrize("cut", [0.02, 0.3])
def test_a_torn_download_is_damaged(refusal, make_pdf, cut):
    data = make_pdf(PAGES)
    refusal(DamagedFileError, "a.pdf", data[: int(len(data) * cut)])


def outcome(path: Path) -> Document | str:
    """The document, or the sentence with which it is refused; any other exception gets through."""
    try:
        return next(read_documents(path))
    except ReadError as error:
        return str(error)


@pytest.mark.parametrize("start", [0.1, 0.5, 0.9])
def test_rubbish_in_the_middle_never_ends_in_a_bare_exception(tmp_path, make_pdf, start):
    data = bytearray(make_pdf(PAGES))
    place = int(len(data) * start)
    data[place : place + 200] = bytes(range(200))
    (tmp_path / "a.pdf").write_bytes(data)
    result = outcome(tmp_path / "a.pdf")
    assert result.text if isinstance(result, Document) else "a.pdf" in result


def test_a_page_that_fails_counts_as_one_without_text(read_one, make_pdf, monkeypatch):
    fail_on_pages(monkeypatch, {1})
    document = read_one("a.pdf", make_pdf(PAGES))
    assert document.pages_without_text == (1, 3)
    assert document.text.startswith("hour of the morning.")


def test_when_every_page_fails_the_file_is_damaged_and_the_page_named(refusal, make_pdf, monkeypatch):
    fail_on_pages(monkeypatch, {1, 2, 4})
    sentence = refusal(DamagedFileError, "a.pdf", make_pdf(PAGES))
    assert "a.pdf, page 1," in sentence
    assert "RuntimeError" in sentence


def fail_on_pages(monkeypatch: pytest.MonkeyPatch, numbers: set[int]) -> None:
    """The reader's own extraction, but for the pages that are to fail as damaged ones do."""
    original = pdf_module._text_of

    def extract(document, index: int, seconds: float):
        if index + 1 in numbers:
            raise RuntimeError("failed to load page")
        return original(document, index, seconds)

    monkeypatch.setattr(pdf_module, "_text_of", extract)


def test_a_page_that_takes_too_long_is_given_up(refusal, make_pdf):
    sentence = refusal(DamagedFileError, "a.pdf", make_pdf(PAGES), Limits(max_page_seconds=0.0))
    assert "longer than its limit" in sentence


def test_limits_of_pages_and_characters(refusal, make_pdf):
    assert "limit of 3" in refusal(TooLargeError, "a.pdf", make_pdf(PAGES), Limits(max_pages=3))
    assert "limit is 100" in refusal(TooLargeError, "a.pdf", make_pdf(PAGES), Limits(max_characters=100))


def test_warnings_of_the_parser_go_to_our_log(tmp_path, make_pdf, caplog):
    # A wrong startxref makes pypdf warn and search for the table itself.
    (tmp_path / "a.pdf").write_bytes(make_pdf(PAGES).replace(b"startxref\n", b"startxref\n9"))
    with caplog.at_level(logging.DEBUG, opening.__name__):
        assert next(read_documents(tmp_path / "a.pdf")).text == TEXT
    assert "pypdf: incorrect startxref" in caplog.text


def test_right_to_left_and_ligatures(read_one):
    font = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    if not font.exists():
        pytest.skip("DejaVu Sans is not installed; apt-get install fonts-dejavu-core")
    pdf = FPDF()
    pdf.add_font(fname=font)
    pdf.set_font("DejaVuSans", size=11)
    pdf.add_page()
    pdf.cell(text="ﬁlled ﬂat → Ελλάδα Журавль", new_x="LMARGIN", new_y="NEXT")
    assert read_one("a.pdf", bytes(pdf.output())).text == "filled flat → Ελλάδα Журавль"


def awkward() -> list[Path]:
    folder = os.environ.get("SECONDLOOK_AWKWARD_PDFS")
    return sorted(Path(folder).glob("*.pdf")) if folder else []


@pytest.mark.skipif(not awkward(), reason="SECONDLOOK_AWKWARD_PDFS names no folder of PDFs to try")
def test_awkward_pdfs_are_read_or_refused_in_a_sentence():
    outcomes = {path.name: outcome(path) for path in awkward()}
    assert all(name in result for name, result in outcomes.items() if isinstance(result, str))
    documents = [result for result in outcomes.values() if isinstance(result, Document)]
    assert documents
    for document in documents:
        empty = [page.number for page in document.pages if not document.text[page.start : page.end].strip()]
        assert tuple(empty) == document.pages_without_text
        assert len(empty) < document.page_count
