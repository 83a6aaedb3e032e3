"""Reading one small file and holding what came out to the laws that every document keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fpdf import FPDF

from ingest.errors import ReadError
from ingest.readers.registry import read_documents
from ingest.readers.source import Limits
from ingest.records import Document

Content = bytes | str
ReadOne = Callable[..., Document]
Refusal = Callable[..., str]
MakePdf = Callable[..., bytes]


def _write(folder: Path, name: str, content: Content) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _check_laws(document: Document) -> None:
    text = document.text
    ends = [0, *(page.end for page in document.pages)]
    for previous, page in zip(ends, document.pages, strict=False):
        assert previous <= page.start <= page.end <= len(text)
        assert text[page.start : page.end] == text[page.start : page.end].strip()
        assert page.start == page.end or page.number not in document.pages_without_text
        assert page.start < page.end or document.format != "pdf" or page.number in document.pages_without_text
    assert [page.number for page in document.pages] == list(range(1, len(document.pages) + 1))
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(starts)
    for heading in document.headings:
        assert heading.text in text[heading.start : heading.start + len(heading.text) + 60]
    assert "\x00" not in text
    assert "\r" not in text
    text.encode("utf-8")


@pytest.fixture
def read_one(tmp_path: Path) -> ReadOne:
    """``read_one(name, content, limits=…)`` → the only document of that file, its laws checked."""

    def read(name: str, content: Content, limits: Limits | None = None) -> Document:
        path = _write(tmp_path, name, content)
        (document,) = read_documents(path, name=name, limits=limits)
        _check_laws(document)
        return document

    return read


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    """``refusal(kind, name, content, limits=…)`` → the sentence with which exactly that error refuses it."""

    def refuse(kind: type[ReadError], name: str, content: Content, limits: Limits | None = None) -> str:
        path = _write(tmp_path, name, content)
        with pytest.raises(ReadError) as caught:
            list(read_documents(path, name=name, limits=limits))
        assert type(caught.value) is kind, caught.value
        sentence = str(caught.value)
        assert name in sentence
        assert str(tmp_path) not in sentence
        assert sentence.endswith(".")
        return sentence

    return refuse


@pytest.fixture
def make_pdf() -> MakePdf:
    """``make_pdf([lines of page 1, …], title=…, sections={page: title})`` → a PDF, a cell a line; “# ”: large."""

    def make(
        pages: Sequence[Sequence[str]], title: str = "", sections: dict[int, str] | None = None
    ) -> bytes:
        pdf = FPDF()
        pdf.set_font("Helvetica", size=11)
        if title:
            pdf.set_title(title)
        for number, lines in enumerate(pages, 1):
            pdf.add_page()
            if sections and number in sections:
                pdf.start_section(sections[number])
            for line in lines:
                pdf.set_font(size=18 if line.startswith("# ") else 11)
                pdf.cell(text=line.removeprefix("# "), new_x="LMARGIN", new_y="NEXT")
        return bytes(pdf.output())

    return make
