"""As `awkward`: files of the formats that are packed or structured, a sound one of each and hostile ones."""

from __future__ import annotations

import json

from ingest.errors import DamagedFileError, NoTextError, TooLargeError
from tests.integration.ingest.readers.awkward import Case
from tests.integration.ingest.readers.raw import WORDS
from tests.parts import make_documents as made

_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 11))
    + "]>"
)


def _damaged(data: bytes) -> bytes:
    """The archive with the packed bytes of its first member overwritten."""
    return data[:45] + b"\xff" * 8 + data[53:]


_NESTED_MAIL = b"From: a@b\nContent-Type: message/rfc822\n\n" * 1_000 + b"\n" + WORDS.encode()
_NESTED_PARTS = (
    b"From: a@b\n"
    + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(400))
    + b"\n"
    + WORDS.encode()
)
_PAGE = f"<html><body><h1>a</h1><p>{WORDS}</p></body></html>"
PACKED = [
    Case("a workbook", "a.xlsx", made.workbook(), "Rent: 420.5"),
    Case("a billion laughs", "a.xlsx", made.packed(
        {"[Content_Types].xml": "<x/>", "xl/workbook.xml": f"{_LAUGHS}<a>&a10;</a>"}), (DamagedFileError, "an entity")),
    Case("a presentation", "a.pptx", made.presentation(), "Notes: Show the plan here."),
    Case("a text of LibreOffice", "a.odt", made.open_document("text", made.TEXT), "Nine in winter."),
    Case("a kind that cannot be unpacked", "a.odt", _damaged(made.packed(
        {"mimetype": "application/vnd.oasis.opendocument.text" * 9, "content.xml": "<a/>"})),
        (DamagedFileError, "damaged")),
    Case("a flat one", "a.fodt", made.open_document("text", made.TEXT, flat=True), "Nine in winter."),
    Case("a billion laughs", "a.odt", made.packed(
        {"content.xml": f"{_LAUGHS}<a>&a10;</a>"}, first="application/vnd.oasis.opendocument.text"),
        (TooLargeError, "unfold to too much")),
    Case("sections 200 deep", "a.odt", made.open_document(
        "text", "<text:section>" * 200 + f"<text:p>{WORDS}</text:p>" + "</text:section>" * 200), WORDS),
    Case("a workbook of LibreOffice", "a.ods", made.open_document("spreadsheet", made.SHEETS), "2024-05-01"),
    Case("cells that are repeated without end", "a.ods", made.open_document(
        "spreadsheet", "<table:table>" + '<table:table-row table:number-rows-repeated="999999999"><table:table-cell '
        'table:number-columns-repeated="999999999"><text:p>x</text:p></table:table-cell></table:table-row>' * 9
        + "</table:table>"), "column 250: x"),
    Case("a presentation of LibreOffice", "a.odp", made.open_document("presentation", made.SLIDES), "Show the plan."),
    Case("a book", "a.epub", made.book({"a.xhtml": _PAGE, "b.xhtml": _PAGE}), WORDS),
    Case("a book whose chapters are not there", "a.epub", made.packed(
        {"META-INF/container.xml": '<a><rootfile full-path="../../x.opf"/></a>'}, first="application/epub+zip"),
        (DamagedFileError, "has lost ../../x.opf")),
    Case("plain", "a.rtf", rb"{\rtf1\ansi " + WORDS.encode() + rb"\par \trowd a\cell b\cell\row}", WORDS),
    Case("braces 100,000 deep", "a.rtf", b"{\\rtf1 " + b"{" * 100_000 + WORDS.encode() + b"}" * 100_000, WORDS),
]  # fmt: skip
MAILS = [
    Case("a mail", "a.eml", made.mail(page=_PAGE).as_bytes(), "locked at ten"),
    Case("mails 1,000 deep", "a.eml", _NESTED_MAIL, (TooLargeError, "deeper than is read")),
    Case("parts 400 deep", "a.eml", _NESTED_PARTS, (TooLargeError, "deeper than is read")),
    Case("20,000 receivers", "a.eml", "From: a@b\nTo: " + "a@b, " * 20_000 + f"\n\n{WORDS}", WORDS),
    Case("fields against the rules", "a.eml", b"From: \xff<(@,;:\nSubject: =?x?y?z?=\n\n" + WORDS.encode(), WORDS),
    Case("a page alone", "a.mhtml", b"MIME-Version: 1.0\nContent-Type: text/html\n\n" + _PAGE.encode(), WORDS),
    Case("no page", "a.mhtml", "MIME-Version: 1.0\n\n" + WORDS, (DamagedFileError, "has no page")),
    Case("a message of Outlook", "a.msg", made.outlook_message(
        {"__properties_version1.0": bytes(32), "__substg1.0_1000001F": WORDS.encode("utf-16-le")}), WORDS),
    Case("a mailbox", "a.mbox", f"From a\nFrom: a@b\n\n{WORDS}\n", WORDS),
    Case("an archive", "a.zip", made.packed({"a/b.txt": WORDS}), WORDS),
    Case("an archive of itself, as it were", "a.zip", made.packed({"a.zip": made.packed({"a.zip": made.packed(
        {"a.zip": made.packed({"a.zip": made.packed({"a.zip": made.packed({"a.zip": made.packed({"b.zip": made.packed(
            {"c.txt": WORDS})})})})})})})}), (NoTextError, "lies deeper")),
    Case("a bomb", "a.zip", lambda: made.packed({"a.txt": bytes(60_000_000)}), (TooLargeError, "unpacks from")),
]  # fmt: skip
STRUCTURED = [
    Case("records", "a.json", json.dumps({"a": [{"b": WORDS, "c": [{"d": 1}]}]}), WORDS),
    Case("brackets 100,000 deep", "a.json", "[" * 100_000, (TooLargeError, "deeper than is read")),
    Case("a document", "a.xml", f"<a><title>t</title><p>{WORDS}</p><b c='d'>e</b></a>", WORDS),
    Case("a billion laughs", "a.xml", f"{_LAUGHS}<a>&a10;</a>", (TooLargeError, "unfold to too much")),
    Case("elements 100,000 deep", "a.xml", "<a>" * 100_000, (TooLargeError, "nests its parts too deep")),
    Case("a billion laughs", "a.yaml", "a: &a [x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(f'*{chr(97 + n)}' for _ in range(9))}]\n"
        for n in range(20)), "*a"),
    Case("settings", "a.yaml", f"a:\n  - {WORDS}\n", WORDS),
    Case("a notebook", "a.ipynb", json.dumps({"cells": [{"cell_type": "markdown", "source": [WORDS]}]}), WORDS),
    Case("subtitles", "a.srt", f"1\n00:00:01,000 --> 00:00:02,000\n<i>{WORDS}</i>\n", WORDS),
    Case("subtitles of the web", "a.vtt", f"WEBVTT\n\n00:01.000 --> 00:02.000\n<v A>{WORDS}\n", WORDS),
    Case("a page", "a.rst",
         f"T\n==\n\n{WORDS}\n\n.. note:: a\n\n==  ==\na   b\n==  ==\nc   d\n==  ==\n", WORDS),
    Case("a paper", "a.tex", f"\\title{{t}}\\begin{{document}}\\section{{a}} {WORDS} $x$\\end{{document}}", WORDS),
    Case("what begins without end", "a.tex", WORDS + "\\begin{equation}$\\[" * 10_000, WORDS),
    Case("code", "a.py", f"def a():\n    return '{WORDS}'\n", WORDS),
]  # fmt: skip

CASES = [*PACKED, *MAILS, *STRUCTURED]
