from __future__ import annotations

import gzip
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from ingest.errors import (
    DamagedFileError,
    EmptyFileError,
    EncryptedFileError,
    ReadError,
    TooLargeError,
    UnknownFormatError,
)
from ingest.readers.registry import FORMATS, SUFFIXES, read_documents
from ingest.readers.source import Limits

GIF = b"GIF89a" + bytes(64)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)


def zipped(**files: str) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)
    return buffer.getvalue()


def test_every_suffix_of_the_promise_is_there():
    promised = (
        "pdf txt md html htm docx csv tsv jsonl xlsx pptx odt ods odp epub rtf eml mbox msg mhtml ipynb json"
    )
    promised += " xml yaml rst tex srt vtt log py zip"
    assert {f".{suffix}" for suffix in promised.split()} <= SUFFIXES


def test_every_format_has_a_reader_and_stands_in_the_guide():
    guide = Path(__file__).parents[4].joinpath("docs", "guide.md").read_text(encoding="utf-8")
    for format in FORMATS:
        assert callable(format.read)
        assert format.name in guide, f"{format.name} is not in docs/guide.md"


def test_name_and_key_are_the_path_unless_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.txt").write_text("Cranes fly.")
    monkeypatch.chdir(tmp_path)
    (document,) = read_documents(Path("a.txt"))
    assert (document.path, document.key) == ("a.txt", str(tmp_path / "a.txt"))


def test_an_upload_is_known_by_its_name_not_its_temporary_path(tmp_path: Path):
    path = tmp_path / "tmp8f3a"
    path.write_text("# Cranes\n\nThey fly.")
    (document,) = read_documents(path, name="Birds.MD", key="upload:Birds.MD")
    assert (document.path, document.key, document.format, document.title) == (
        "Birds.MD", "upload:Birds.MD", "markdown", "Cranes",
    )  # fmt: skip


def test_nothing_is_read_before_the_first_document_is_asked_for(tmp_path: Path):
    read_documents(tmp_path / "missing.txt")


def test_missing_files_and_folders_are_refused_in_a_sentence(tmp_path: Path):
    with pytest.raises(ReadError, match=r"gone\.txt cannot be opened \(No such file"):
        next(read_documents(tmp_path / "gone.txt", name="gone.txt"))
    with pytest.raises(ReadError, match="is a folder"):
        next(read_documents(tmp_path))


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_empty_files_of_every_kind(refusal, suffix):
    assert "0 bytes" in refusal(EmptyFileError, f"a{suffix}", b"")


@pytest.mark.parametrize("suffix", [".txt", ".md", ".html", ".csv", ".tsv", ".jsonl"])
def test_white_space_only(refusal, suffix):
    refusal(EmptyFileError, f"a{suffix}", " \n\t\r\n\n")


@pytest.mark.parametrize(
    ("name", "content"), [("a.exe", b"MZ\x90\x00" + bytes(99)), ("a", bytes(range(256)))]
)
def test_unknown_kinds_are_told_what_can_be_read(refusal, name, content):
    sentence = refusal(UnknownFormatError, name, content)
    assert all(format.name in sentence for format in FORMATS)


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("README", "Cellar rules.\n", "text"),
        ("notes.2026", "Żółć, gęśl, jaźń dziesiątej.\n".encode("cp1250"), "text"),
        ("page", "<!DOCTYPE html><title>a</title><p>Locked.", "html"),
        ("feed", "<?xml version='1.0'?><a><p>Locked.</p></a>", "xml"),
        ("start", "#!/bin/sh\necho locked\n", "code"),
        ("1700000000.M1.host:2,S", "Received: by x\nFrom: a@b\nSubject: Cellar\n\nLocked.\n", "mail"),
        ("a.html", b"{\\rtf1 Hello}", "rtf"),
        ("letter.doc", b"{\\rtf1 Hello}", "rtf"),
    ],
)
def test_a_file_is_read_as_what_it_is_where_its_name_does_not_say(read_one, name, content, format):
    assert read_one(name, content).format == format


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.pdf", GIF, "named like PDF but is a GIF picture"),
        ("a.docx", GIF, "named like DOCX but is a GIF picture"),
        ("a.txt", gzip.compress(b"text", mtime=0), "is a gzip archive"),
        ("a.csv", zipped(**{"xl__workbook.xml": "<x/>"}), "is a ZIP archive"),
        ("a.docx", zipped(readme="hello"), "without a Word document"),
        ("a.xlsx", zipped(readme="hello"), "without an Excel workbook"),
        ("a.doc", OLE + "WordDocument".encode("utf-16-le"), "save it as .docx"),
        ("a.docx", OLE, "save it as .docx"),
        ("a.txt", bytes(range(256)) * 40, "no text in any known encoding"),
        ("a.md", b"\x00\x01\x02\x03" * 500, "no text in any known encoding"),
    ],
)
def test_content_that_contradicts_the_name(refusal, name, content, says):
    assert says in refusal(UnknownFormatError, name, content)


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx"])
def test_a_document_of_office_behind_a_password(refusal, name):
    sentence = refusal(EncryptedFileError, name, OLE + "EncryptedPackage".encode("utf-16-le"))
    assert "password" in sentence


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.xlsx", "a.odt", "a.epub", "a.rtf", "a.msg", "a.zip"])
def test_a_name_without_the_content(refusal, name):
    refusal(DamagedFileError, name, "only words")


@pytest.mark.parametrize("name", ["report.txt", "report", "report.bin"])
def test_a_pdf_is_read_as_one_whatever_it_is_called(read_one, make_pdf, name):
    document = read_one(name, make_pdf([["Cranes fly south in autumn."]]))
    assert (document.format, document.text) == ("pdf", "Cranes fly south in autumn.")


def test_a_text_about_pdf_stays_text(read_one):
    assert read_one("a.txt", "A PDF begins with %PDF-1.7 and a line end.\n").format == "text"


@pytest.mark.parametrize("suffix", [".txt", ".md", ".html", ".csv"])
def test_both_sizes_are_named_when_a_file_is_too_large(refusal, suffix):
    sentence = refusal(TooLargeError, f"a{suffix}", "word " * 300, Limits(max_bytes=1000))
    assert "1.5 kB" in sentence
    assert "limit is 1 kB" in sentence
    sentence = refusal(TooLargeError, f"a{suffix}", "word " * 300, Limits(max_characters=1000))
    assert "limit is 1,000" in sentence
