"""Pictures of text, and what hangs on a PDF beside its text."""

from __future__ import annotations

import io

import pypdfium2 as pdfium
import pytest
from fpdf import FPDF
from PIL import Image
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, FloatObject, NameObject, TextStringObject

from ingest.chunker import Chunker
from ingest.errors import DamagedFileError, NoTextError, OcrNeededError, TooLargeError, UnknownFormatError
from ingest.readers.pdf import pdf as pdf_module
from ingest.readers.pdf import picture, scans
from ingest.readers.pdf.recognition import Recognized
from ingest.readers.registry import read_documents
from ingest.readers.source import Limits
from tests.fakes import whitespace_tokenizer

LINES = [
    "Notice period",
    "The tenant may leave early if three months have passed",
    "and the deposit is returned.",
]


@pytest.fixture(scope="module")
def scan() -> Image.Image:
    """A page of three lines as a picture."""
    pdf = FPDF()
    pdf.set_font("Helvetica", size=12)
    pdf.add_page()
    for line in LINES:
        pdf.cell(text=line, new_x="LMARGIN", new_y="NEXT")
    with pdfium.PdfDocument(bytes(pdf.output())) as document:
        image = document[0].render(scale=150 / 72).to_pil().convert("L")
    return image.crop((0, 0, image.width, 250))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def mixed_without(scan: Image.Image) -> bytes:
    """The same without the second page."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(mixed(scan))))
    writer.remove_page(1)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def mixed(scan: Image.Image) -> bytes:
    """A page of letters, then one that is a picture."""
    pdf = FPDF()
    pdf.set_font("Helvetica", size=11)
    pdf.add_page()
    pdf.cell(text="House rules of the cellar, edition of May.")
    pdf.add_page()
    pdf.image(scan, 0, 0, 210)
    return bytes(pdf.output())


def test_of_a_mixed_pdf_only_the_page_without_text_is_recognized(read_one, scan):
    document = read_one("a.pdf", mixed(scan))
    assert document.text.startswith("House rules of the cellar, edition of May.")
    assert (
        "The tenant may leave early if three months have passed and the deposit is returned." in document.text
    )
    assert (document.pages_by_ocr, document.pages_without_text) == ((2,), ())
    assert document.remarks[0] == "Page 2: read by OCR."
    chunks = Chunker(whitespace_tokenizer(), 16).chunks(document)
    assert chunks[-1].page_end == 2
    assert all(chunk.by_ocr is (chunk.page_end == 2) for chunk in chunks)
    (plain,) = Chunker(whitespace_tokenizer(), 16).chunks(read_one("b.pdf", mixed_without(scan)))
    assert not plain.by_ocr


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.jpeg", "JPEG")])
def test_a_picture_is_a_document(read_one, scan, name, kind):
    document = read_one(name, saved(scan, kind))
    assert "leave early if three months have passed and the deposit is returned." in document.text
    assert (document.title, document.pages_by_ocr) == ("a", (1,))


def test_a_tiff_has_pages_and_each_is_told(tmp_path, scan, monkeypatch):
    told = []
    monkeypatch.setattr(
        scans, "recognize", lambda image, points: Recognized(text_of(image.shape[1]), ("tenont",))
    )
    (tmp_path / "a.tif").write_bytes(
        saved(scan, "TIFF", save_all=True, append_images=[scan.crop((0, 0, 600, 250))])
    )
    (document,) = read_documents(tmp_path / "a.tif", on_page=lambda page, pages: told.append((page, pages)))
    assert told == [(1, 2), (2, 2)]
    assert document.page_count == 2
    assert document.remarks == ("Pages 1–2: read by OCR.", "Doubtful: “tenont”.")


def text_of(width: int):
    from ingest.readers.pdf.runs import PageText, Run

    return PageText([[Run(f"a picture {width} wide", 0, 100, 700, 10, False, False, 0)]])


def test_what_is_no_picture_or_too_large_is_refused(refusal, monkeypatch, scan):
    assert "is an MP3" in refusal(UnknownFormatError, "a.png", b"ID3" + bytes(50))
    refusal(DamagedFileError, "a.png", b"nothing known")
    refusal(DamagedFileError, "a.png", saved(scan, "PNG")[:60])
    monkeypatch.setattr(picture, "MOST_PIXELS", 1_000)
    assert "pixels" in refusal(TooLargeError, "a.png", saved(scan, "PNG"))


def test_a_picture_without_text_is_refused(refusal):
    assert "no text was recognized" in refusal(
        NoTextError, "a.png", saved(Image.new("L", (300, 200), 255), "PNG")
    )


def test_without_the_extra_what_it_would_read_is_told(refusal, read_one, monkeypatch, scan):
    for module in (pdf_module, picture, scans):
        monkeypatch.setattr(module, "ocr_is_installed", lambda: False)
    assert "is not installed here" in refusal(OcrNeededError, "a.png", saved(scan, "PNG"))
    assert read_one("a.pdf", mixed(scan)).pages_without_text == (2,)


def test_no_page_is_recognized_after_the_limit_of_time(read_one, scan):
    document = read_one("a.pdf", mixed(scan), Limits(max_ocr_seconds=-1.0))
    assert document.pages_without_text == (2,)
    (remark,) = document.remarks
    assert remark.startswith("Page 2: not recognized, as the time")


def annotated(**entries: object) -> bytes:
    pdf = FPDF()
    pdf.set_font("Helvetica", size=11)
    pdf.add_page()
    pdf.cell(text="Application for a flat")
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(bytes(pdf.output()))))
    rect = ArrayObject([FloatObject(number) for number in (100, 600, 200, 620)])
    annotation = DictionaryObject({NameObject("/Type"): NameObject("/Annot"), NameObject("/Rect"): rect})
    for key, value in entries.items():
        kind = NameObject if str(value).startswith("/") else TextStringObject
        annotation[NameObject(f"/{key}")] = kind(value)
    writer.pages[0][NameObject("/Annots")] = ArrayObject([writer._add_object(annotation)])
    writer.add_attachment("terms.txt", b"The terms.")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ({"Subtype": "/Widget", "FT": "/Tx", "T": "Tenant", "V": "Amara Lind"}, "Tenant: Amara Lind"),
        ({"Subtype": "/Widget", "FT": "/Btn", "T": "Pets", "V": "/Yes", "AS": "/Yes"}, "Pets: yes"),
        ({"Subtype": "/Widget", "FT": "/Btn", "T": "Pets", "V": "/Off", "AS": "/Off"}, ""),
        ({"Subtype": "/Text", "Contents": "Ask the owner first."}, "Ask the owner first."),
        ({"Subtype": "/Link", "Contents": "to the end"}, ""),
    ],
)
def test_filled_fields_and_notes_stand_after_the_text_of_their_page(tmp_path, entries, text):
    (tmp_path / "a.pdf").write_bytes(annotated(**entries))
    document, attached = read_documents(tmp_path / "a.pdf", name="a.pdf")
    assert document.text == "\n\n".join(filter(None, ("Application for a flat", text)))
    assert (attached.path, attached.text) == ("a.pdf/terms.txt", "The terms.")


def test_what_lies_outside_of_the_crop_box_is_not_read(read_one, make_pdf):
    writer = PdfWriter(
        clone_from=PdfReader(io.BytesIO(make_pdf([["Printed", " ", " ", " ", "Trimmed off"]])))
    )
    page = writer.pages[0]
    page.cropbox.lower_left = (0, page.mediabox.top - 50)
    file = io.BytesIO()
    writer.write(file)
    assert read_one("a.pdf", file.getvalue()).text == "Printed"


def test_letters_drawn_twice_are_read_once(read_one):
    pdf = FPDF()
    pdf.set_font("Helvetica", size=14)
    pdf.add_page()
    for shift in (0, 0.1):
        pdf.text(20 + shift, 20, "Layoffs all in one well-lit hall")
    assert read_one("a.pdf", bytes(pdf.output())).text == "Layoffs all in one well-lit hall"
