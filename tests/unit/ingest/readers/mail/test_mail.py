from __future__ import annotations

from pathlib import Path

import pytest

from ingest.errors import DamagedFileError, TooLargeError
from ingest.readers.registry import read_documents
from ingest.readers.source import Limits
from ingest.records import BlockKind, Document, Unread
from tests.parts import make_documents as make

HEAD = (
    "From: Amara Lind <amara@example.org>\nTo: Tomas Ferro <tomas@example.org>\nDate: Mon, 02 Mar 2026 10:00:00 +0100\n"
    "Subject: The cellar"
)


def parts(folder: Path, name: str, data: bytes, limits: Limits | None = None) -> list[Document | Unread]:
    path = folder / name
    path.write_bytes(data)
    return list(read_documents(path, name=name, key="k", limits=limits))


def test_a_mail_is_its_head_its_words_and_what_it_quotes(read_one):
    document = read_one("a.eml", make.mail().as_bytes())
    assert document.title == "The cellar"
    assert document.text == f"{HEAD}\n\nThe cellar is locked at ten.\n\nWhen is it locked?\n\nAmara"
    assert document.blocks[2].kind is BlockKind.QUOTE


def test_attachments_are_documents_of_their_own(tmp_path):
    files = {"rules.txt": b"The key hangs.", "flats.xlsx": make.workbook(), "a.exe": b"MZ\x90\x00"}
    mail, rules, flats, program = parts(tmp_path, "a.eml", make.mail(attachments=files).as_bytes())
    assert isinstance(mail, Document)
    assert mail.text.startswith(f"{HEAD}\nAttachments: rules.txt, flats.xlsx, a.exe\n\n")
    assert (rules.path, rules.key, rules.text) == ("a.eml/rules.txt", "k/rules.txt", "The key hangs.")
    assert (flats.path, flats.format) == ("a.eml/flats.xlsx", "xlsx")
    assert program == Unread("a.eml/a.exe", "a.eml/a.exe is a program, which is not read.")


@pytest.mark.parametrize(
    ("page", "words"),
    [("<p>The cellar is locked at ten.</p><p>Amara</p>", "When is it locked?"), ("<p>x</p>" * 99, "x\n\nx")],
)
def test_of_two_forms_of_a_mail_the_plain_one_unless_it_says_little(read_one, page, words):
    assert words in read_one("a.eml", make.mail(page=page).as_bytes()).text


def test_a_page_alone_is_read_as_a_page_and_its_pictures_are_none_of_the_attachments(tmp_path):
    data = (
        b"From: a@b\nSubject: =?utf-8?q?Caf=C3=A9?=\nMIME-Version: 1.0\nContent-Type: "
        b"multipart/related; boundary=B\n\n--B\n"
        b"Content-Type: text/html; charset=cp1252\nContent-Transfer-Encoding: quoted-printable\n"
        b"\n<h1>Caf=E9</h1><p>At ten.\n"
        b"--B\nContent-Type: image/png\nContent-ID: <x>\nContent-Disposition: inline; filename=logo.png\n\nxx\n--B--\n"
    )
    (document,) = parts(tmp_path, "a.eml", data)
    assert document.title == "Café"
    assert document.text == "From: a@b\nSubject: Café\n\nCafé\n\nAt ten."
    assert document.headings[0].text == "Café"


def test_a_mail_within_a_mail_is_a_document_of_its_own(tmp_path):
    outer = make.mail("Outer")
    outer.add_attachment(make.mail("Inner", attachments={"r.txt": b"Rules."}))
    found = parts(tmp_path, "a.eml", outer.as_bytes())
    assert [part.path for part in found] == ["a.eml", "a.eml/Inner.eml", "a.eml/Inner.eml/r.txt"]


def test_mails_nested_without_end_are_read_to_a_depth(tmp_path, refusal):
    def nested(depth: int) -> bytes:
        head = b"From: a@b\nSubject: %d\nContent-Type: message/rfc822\n\n"
        return b"".join(head % number for number in range(depth)) + b"From: a@b\n\nThe end.\n"

    found = parts(tmp_path, "a.eml", nested(20))
    assert len(found) == Limits().max_depth + 2
    assert "lies deeper within other files" in found[-1].reason
    assert "deeper than is read" in refusal(TooLargeError, "a.eml", nested(1500))


def test_what_is_no_mail(refusal):
    assert "none of the fields" in refusal(
        DamagedFileError, "a.eml", "The cellar is locked at ten.\n\nAt ten."
    )


def test_a_message_of_outlook(tmp_path):
    message, rules, inner = parts(tmp_path, "a.msg", make.outlook())
    assert message.text == (
        "From: Amara Lind <amara@example.org>\nTo: Tomas Ferro\nDate: Mon, 02 Mar 2026 09:00:00 "
        "+0000\nSubject: The cellar\n"
        "Attachments: rules.txt, Before.eml\n\nThe cellar is locked at ten.\n\nAmara"
    )
    assert (rules.path, rules.text) == ("a.msg/rules.txt", "The key hangs at the door.")
    assert inner.title == "Before"
    assert inner.text.endswith("When is it locked?")


def test_a_message_of_outlook_in_an_older_encoding_with_a_page(tmp_path):
    page = b"<html><body><h1>Caf\xe9</h1><p>At ten.</p></body></html>"
    streams = {
        "__properties_version1.0": bytes(32),
        "__substg1.0_0037001E": "Café".encode("cp1252"),
        "__substg1.0_10130102": page,
    }
    (message,) = parts(tmp_path, "a.msg", make.outlook_message(streams))
    assert (message.title, message.text) == ("Café", "Subject: Café\n\nCafé\n\nAt ten.")


def test_a_page_that_a_browser_saved_in_one_file(read_one):
    data = (
        b'From: <Saved by Blink>\nSubject: T\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary="B"\n\n--B\n'
        b"Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
        b"<title>The cellar</title>"
        b"<nav>Home</nav><h1>Rules</h1><p>Locked at t=\nen =E2=80=93 caf=C3=A9.</p>\n--B\n"
        b"Content-Type: image/png\n\nx\n--B--\n"
    )
    document = read_one("a.mhtml", data)
    assert (document.title, document.text) == ("The cellar", "Rules\n\nLocked at ten – café.")
