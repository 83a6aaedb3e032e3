"""Files as people have them and as nobody should: each with what must become of it.

A case is a name, its bytes (or what makes them), and either words that its text must hold, or the kind of refusal
with words of its sentence.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from ingest.errors import (
    DamagedFileError,
    EmptyFileError,
    EncryptedFileError,
    NoTextError,
    PasswordNeededError,
    ReadError,
    TooLargeError,
    UnknownFormatError,
)
from tests.integration.ingest.readers import raw
from tests.integration.ingest.readers.raw import WORDS, deflated, docx, encrypted, paragraph, pdf, stream

Refused = tuple[type[ReadError], str]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)
DEEP = 20_000
ALGORITHMS = ("RC4-40", "RC4-128", "AES-128", "AES-256-R5", "AES-256")
CHINESE = "北京是中华人民共和国的首都，是全国的政治中心、文化中心。今天天气很好。"
HEBREW = "ירושלים היא עיר הבירה של ישראל. היום מזג האוויר יפה מאוד."


@dataclass(frozen=True)
class Case:
    """One awkward file. ``label`` names it in the tests' output."""

    label: str
    name: str
    content: bytes | str | Callable[[], bytes]
    outcome: str | Refused

    @property
    def data(self) -> bytes:
        made = self.content() if callable(self.content) else self.content
        return made.encode("utf-8", "surrogatepass") if isinstance(made, str) else made


def _image_page() -> bytes:
    image = stream(bytes(300), b"/Type /XObject /Subtype /Image /Width 10 /Height 10 /ColorSpace /DeviceRGB "
                   b"/BitsPerComponent 8")  # fmt: skip
    return pdf(
        {
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R /Resources << /XObject "
            b"<< /I 6 0 R >> >> >>",
            6: image,
        },
        content=stream(b"q 612 0 0 792 0 0 cm /I Do Q"),
    )


def _nested_tree(depth: int) -> bytes:
    """A page tree in which each node has one child, and the page hangs at the very bottom."""
    objects = {2: b"<< /Type /Pages /Kids [10 0 R] /Count 1 >>"}
    for n in range(depth):
        parent, child = (2 if n == 0 else 9 + n), (3 if n == depth - 1 else 11 + n)
        objects[10 + n] = b"<< /Type /Pages /Parent %d 0 R /Kids [%d 0 R] /Count 1 >>" % (parent, child)
    return pdf(objects)


def _to_unicode(text: str) -> bytes:
    """A page whose font maps codes 1, 2, 3… to the characters of ``text``."""
    rows = "".join(f"<{n:02x}> <{c.encode('utf-16-be').hex()}>\n" for n, c in enumerate(text, 1))
    cmap = f"begincmap\n1 begincodespacerange <00> <ff> endcodespacerange\n{len(text)} beginbfchar\n{rows}endbfchar\n"
    codes = bytes(range(1, len(text) + 1)).hex().encode()
    return pdf(
        {4: b"<< /Type /Font /Subtype /Type1 /BaseFont /X /ToUnicode 6 0 R >>", 6: stream(cmap.encode())},
        content=stream(b"BT /F 12 Tf 72 700 Td <" + codes + b"> Tj ET"),
    )


TREE_OF_ITSELF = {2: b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"}
TREE_IN_A_RING = {
    2: b"<< /Type /Pages /Kids [6 0 R] /Count 1 >>",
    6: b"<< /Type /Pages /Parent 2 0 R /Kids [2 0 R] /Count 1 >>",
}
PAGE_THEN_RING = {2: b"<< /Type /Pages /Kids [3 0 R 2 0 R] /Count 2 >>"}
SELF_FORM = {
    3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R "
    b"/Resources << /XObject << /X 6 0 R >> >> >>",
    6: stream(b"/X Do " + raw.TEXT, b"/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources "
              b"<< /XObject << /X 6 0 R >> /Font << /F 4 0 R >> >>"),
}  # fmt: skip
OUTLINE_RING = {
    1: b"<< /Type /Catalog /Pages 2 0 R /Outlines 6 0 R >>",
    6: b"<< /Type /Outlines /First 7 0 R /Last 7 0 R >>",
    7: b"<< /Title (Cranes) /Parent 6 0 R /Next 7 0 R /First 7 0 R /Dest [3 0 R /Fit] >>",
}
LAUNCH = {
    1: b"<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >> /Names << "
    b"/EmbeddedFiles << /Names [(a.exe) 6 0 R] >> >> >>",
    6: b"<< /Type /Filespec /F (../../a.exe) /EF << /F 7 0 R >> >>",
    7: stream(b"MZ attached words"),
}

PDFS = [
    *(Case(f"password {a}", "a.pdf", lambda a=a: encrypted("u", "o", a), (PasswordNeededError, "none was given"))
      for a in ALGORITHMS),
    *(Case(f"owner's password {a}", "a.pdf", lambda a=a: encrypted("", "o", a), WORDS) for a in ALGORITHMS),
    Case("unknown encryption", "a.pdf", pdf(trailer=b"/ID [<00> <00>] /Encrypt << /Filter /Own /V 9 /R 9 >>"),
         (EncryptedFileError, "cannot be opened here")),
    Case("encryption of nothing", "a.pdf", pdf(trailer=b"/Encrypt 99 0 R"), WORDS),
    Case("a scan", "a.pdf", _image_page(), (NoTextError, "only pictures")),
    Case("no content", "a.pdf", pdf(content=stream(b"")), (NoTextError, "its page holds")),
    Case("offsets that are off", "a.pdf", pdf(shift=7), WORDS),
    Case("offsets beyond the end", "a.pdf", pdf(shift=100_000), WORDS),
    Case("offsets before the start", "a.pdf", pdf(shift=-20), WORDS),
    Case("no table and no trailer", "a.pdf", pdf(table=False), (DamagedFileError, "damaged")),
    Case("no startxref", "a.pdf", pdf().replace(b"startxref", b"startnull"), WORDS),
    Case("words after the end", "a.pdf", pdf() + b"\n" + b"rubbish " * 1000, WORDS),
    Case("words before the start", "a.pdf", b"HTTP/1.1 200 OK\r\n" * 30 + pdf(), WORDS),
    Case("far too many words before the start", "a.pdf", b"x" * 3000 + pdf(), (DamagedFileError, "does not begin")),
    Case("two files in one", "a.pdf", pdf() + pdf(), WORDS),
    Case("cut in the middle", "a.pdf", pdf()[:200], (DamagedFileError, "damaged")),
    Case("a header and nothing", "a.pdf", b"%PDF-1.7\n", (DamagedFileError, "damaged")),
    Case("one byte", "a.pdf", b"%", (DamagedFileError, "does not begin")),
    Case("a picture", "a.pdf", PNG, (DamagedFileError, "no picture can be made out")),
    Case("a web page", "a.pdf", b"<html><body>Sign in to download", (DamagedFileError, "does not begin")),
    Case("a page tree of itself", "a.pdf", pdf(TREE_OF_ITSELF), (DamagedFileError, "damaged")),
    Case("a page tree in a ring", "a.pdf", pdf(TREE_IN_A_RING), (DamagedFileError, "damaged")),
    Case("a page, then a ring", "a.pdf", pdf(PAGE_THEN_RING), WORDS),
    Case("a parent that is the page", "a.pdf", pdf(page=b" /Parent 3 0 R"), WORDS),
    Case("a page tree 900 deep", "a.pdf", lambda: _nested_tree(900), WORDS),
    Case("a page tree 20,000 deep", "a.pdf", lambda: _nested_tree(DEEP), (DamagedFileError, "damaged")),
    Case("a page tree 50 deep", "a.pdf", lambda: _nested_tree(50), WORDS),
    Case("a count of a billion", "a.pdf", pdf({2: b"<< /Type /Pages /Kids [3 0 R] /Count 1000000000 >>"}), WORDS),
    Case("a negative count", "a.pdf", pdf({2: b"<< /Type /Pages /Kids [3 0 R] /Count -1 >>"}), WORDS),
    Case("no pages", "a.pdf", pdf({2: b"<< /Type /Pages /Kids [] /Count 0 >>"}), (DamagedFileError, "no pages")),
    Case("pages that are not there", "a.pdf", pdf({2: b"<< /Type /Pages /Kids [77 0 R] /Count 1 >>"}),
         (DamagedFileError, "damaged")),
    Case("a page of 1,000 km", "a.pdf", pdf(page=b" /MediaBox [0 0 3e9 3e9] /UserUnit 75000"), WORDS),
    Case("a page turned inside out", "a.pdf", pdf(page=b" /MediaBox [612 792 0 0] /Rotate 45"), WORDS),
    Case("a page of no size", "a.pdf", pdf(page=b" /MediaBox [0 0 0 0]"), WORDS),
    Case("a page box of words", "a.pdf", pdf(page=b" /MediaBox (a) /CropBox [null null]"), WORDS),
    Case("a picture of itself", "a.pdf", pdf(SELF_FORM, content=stream(b"/X Do")), WORDS),
    Case("an outline in a ring", "a.pdf", pdf(OUTLINE_RING), WORDS),
    Case("scripts and attachments", "a.pdf", pdf(LAUNCH), WORDS),
    Case("text of 100,000 open states", "a.pdf", lambda: pdf(content=stream(b"q " * 100_000 + raw.TEXT)), WORDS),
    Case("text of 100,000 closed states", "a.pdf", lambda: pdf(content=stream(b"Q " * 100_000 + raw.TEXT)), WORDS),
    Case("10,000 times the same stream", "a.pdf",
         lambda: pdf({3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents [%s] %s >>"
                      % (b"5 0 R " * 10_000, raw.RESOURCES)}), WORDS),
    Case("arrays 20,000 deep", "a.pdf", lambda: pdf({6: b"[" * DEEP + b"]" * DEEP}, page=b" /Annots 6 0 R"), WORDS),
    Case("arrays 20,000 deep in the text", "a.pdf", lambda: pdf(content=stream(b"[" * DEEP + b" TJ")),
         (NoTextError, "neither letters nor pictures")),
    Case("a stream whose length is itself", "a.pdf", pdf(content=stream(raw.TEXT, length=b"5 0 R")), WORDS),
    Case("a stream longer than the file", "a.pdf", pdf(content=stream(raw.TEXT, length=b"999999")), WORDS),
    Case("a stream of negative length", "a.pdf", pdf(content=stream(raw.TEXT, length=b"-5")), WORDS),
    Case("packed text that is not packed", "a.pdf", pdf(content=stream(raw.TEXT, b"/Filter /FlateDecode")), WORDS),
    Case("an unknown filter", "a.pdf",
         pdf(content=stream(raw.TEXT, b"/Filter /Zstd")), WORDS),
    Case("a bomb of 300 MB", "a.pdf",
         lambda: pdf(content=deflated(bytes(300_000_000))), (NoTextError, "neither letters nor pictures")),
    Case("a bomb packed twice", "a.pdf",
         lambda: pdf(content=stream(zlib.compress(zlib.compress(bytes(300_000_000), 9), 9),
                                    b"/Filter [/FlateDecode /FlateDecode]")),
         (NoTextError, "neither letters nor pictures")),
    Case("a picture without an end", "a.pdf", pdf(content=stream(raw.TEXT + b" BI /W 9 /H 9 ID \x00\x01")), WORDS),
    Case("a string without an end", "a.pdf",
         pdf(content=stream(raw.TEXT + b" (((")), WORDS),
    Case("right to left, mapped", "a.pdf", _to_unicode("שלום"[::-1]), "שלום"),
    Case("emoji and combining marks, mapped", "a.pdf", _to_unicode("🐦e\u0301"), "🐦e\u0301"),
    Case("NUL, mapped", "a.pdf", _to_unicode("a\x00b cranes"), "a b cranes"),
    Case("a surrogate, mapped", "a.pdf", _to_unicode("cranes fly").replace(b"<0063>", b"<d800>"), "ranes fly"),
    Case("a title of control characters", "a.pdf", pdf({6: b"<< /Title (\\000\\001\\377) >>"}, trailer=b"/Info 6 0 R"),
         WORDS),
]  # fmt: skip

DOCXS = [
    Case("plain", "a.docx", docx(paragraph(WORDS)), WORDS),
    Case("right to left", "a.docx", docx(paragraph(HEBREW)), HEBREW),
    Case("emoji and combining marks", "a.docx", docx(paragraph("👩‍👩‍👧 e\u0301 fly")), "👩‍👩‍👧 e\u0301 fly"),
    Case("no words", "a.docx", docx("<w:p/>"), (EmptyFileError, "no text")),
    Case("one byte", "a.docx", b"P", (DamagedFileError, "does not begin")),
    Case("a picture", "a.docx", PNG, (DamagedFileError, "no picture can be made out")),
    Case("a spreadsheet", "a.docx", docx(without="word/document.xml", more=[("xl/workbook.xml", b"<x/>")]),
         (DamagedFileError, "damaged")),
    Case("an old Word file", "a.docx", OLE, (UnknownFormatError, "before 2007")),
    Case("behind a password", "a.docx", OLE + "EncryptedPackage".encode("utf-16-le"),
         (EncryptedFileError, "protected by a password")),
    Case("no main part", "a.docx", docx(without="word/document.xml", more=[("word/styles.xml", b"<x/>")]),
         (DamagedFileError, "damaged")),
    Case("no list of parts", "a.docx", docx(without="[Content_Types].xml"), (UnknownFormatError, "without a Word")),
    Case("no relations", "a.docx", docx(without="_rels/.rels"), (DamagedFileError, "damaged")),
    Case("cut", "a.docx", docx(paragraph(WORDS))[:300], (DamagedFileError, "damaged")),
    Case("not XML", "a.docx", docx(b"words"), (DamagedFileError, "damaged")),
    Case("XML of another kind", "a.docx", docx(b"<x/>"), (DamagedFileError, "damaged")),
    Case("XML in UTF-16", "a.docx",
         docx((f'<?xml version="1.0" encoding="utf-16"?><w:document {raw.W}><w:body>{paragraph(WORDS)}</w:body>'
               "</w:document>").encode("utf-16")), WORDS),
    Case("NUL in XML", "a.docx", docx(paragraph("a\x00b")), (DamagedFileError, "damaged")),
    Case("a file of the machine", "a.docx",
         docx(b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><w:document '
              + raw.W.encode() + b"><w:body><w:p><w:r><w:t>Cranes &e; fly</w:t></w:r></w:p></w:body></w:document>"),
         (DamagedFileError, "defines an entity")),
    Case("a billion laughs", "a.docx",
         docx(b'<!DOCTYPE x [<!ENTITY a "ha">' + b"".join(
             b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(10))
             + b"]><w:document " + raw.W.encode() + b"><w:body><w:p><w:r><w:t>&k;</w:t></w:r></w:p></w:body>"
             b"</w:document>"), (DamagedFileError, "damaged")),
    Case("a bomb", "a.docx", lambda: docx(paragraph(WORDS), more=[("word/x.bin", bytes(60_000_000))]),
         (TooLargeError, "unpacks from")),
    Case("a bomb in the document", "a.docx",
         lambda: docx(paragraph(" " * 60_000_000)), (TooLargeError, "unpacks from")),
    Case("a bomb in 50 parts", "a.docx",
         lambda: docx(paragraph(WORDS), more=[(f"word/{n}.bin", bytes(1_200_000)) for n in range(50)]),
         (TooLargeError, "unpacks from")),
    Case("an archive in the archive", "a.docx",
         docx(paragraph(WORDS), more=[("word/x.docx", docx(paragraph("inner")))]), WORDS),
    Case("names that climb", "a.docx",
         docx(paragraph(WORDS), more=[("../../etc/passwd", b"x"), ("/etc/passwd", b"x"), ("C:\\x", b"x")]), WORDS),
    Case("a part twice", "a.docx", docx(paragraph(WORDS), more=[("word/settings.xml", b"<x/>")] * 2), WORDS),
    Case("5,000 parts", "a.docx",
         lambda: docx(paragraph(WORDS), more=[(f"word/{n}.bin", b"x") for n in range(5_000)]), WORDS),
    Case("unpacked parts", "a.docx", lambda: raw.zipped(
        [(e, zipfile.ZipFile(io.BytesIO(docx(paragraph(WORDS)))).read(e))
         for e in ("[Content_Types].xml", "_rels/.rels", "word/document.xml")], zipfile.ZIP_STORED), WORDS),
    Case("words before and after the archive", "a.docx", docx(paragraph(WORDS)) + b"rubbish" * 100, WORDS),
    Case("tables 70 deep", "a.docx",
         docx("<w:tbl><w:tr><w:tc>" * 70 + paragraph(WORDS) + "</w:tc></w:tr></w:tbl>" * 70), WORDS),
    Case("tables 20,000 deep", "a.docx",
         lambda: docx("<w:tbl><w:tr><w:tc>" * DEEP + paragraph(WORDS) + "</w:tc></w:tr></w:tbl>" * DEEP),
         (DamagedFileError, "damaged")),
    Case("controls 60 deep", "a.docx",
         docx("<w:sdt><w:sdtContent>" * 60 + paragraph(WORDS) + "</w:sdtContent></w:sdt>" * 60), WORDS),
    Case("20,000 paragraphs", "a.docx", lambda: docx(paragraph(WORDS) * 20_000), f"{WORDS}\n\n{WORDS}"),
    Case("a table of 10,000 cells in a row", "a.docx",
         lambda: docx("<w:tbl><w:tr>" + f"<w:tc>{paragraph('crane')}</w:tc>" * 10_000 + "</w:tr></w:tbl>"),
         "crane | crane"),
]  # fmt: skip

HTMLS = [
    Case("nested 100,000 deep", "a.html", "<div>" * 100_000 + WORDS, WORDS),
    Case("bold 20,000 deep", "a.html", "<b>" * DEEP + WORDS, WORDS),
    # Fuzzing found that each looked at all that lay in it: over a minute for such tables, and now a second.
    Case("tables 20,000 deep", "a.html", "<table><tr><td>" * DEEP + WORDS, WORDS),
    Case("headers 20,000 deep", "a.html", "<article><header>" * DEEP + WORDS, WORDS),
    Case("forms 20,000 deep", "a.html", "<form><div>" * DEEP + f"<p>{WORDS}", WORDS),
    Case("tables 1,000 deep", "a.html", "<table><tr><td>" * 1_000 + WORDS, WORDS),
    Case("lists 5,000 deep", "a.html", "<ul><li>" * 5_000 + WORDS, WORDS),
    Case("nothing closed", "a.html",
         "<p>Cranes <i>fly <b>south<p>in <a href=x>autumn", "Cranes fly south\n\nin autumn"),
    Case("everything closed twice", "a.html",
         "</p></div></html>Cranes</p></p> fly</body></html>south", "Cranes"),
    Case("no markup", "a.html", WORDS, WORDS),
    Case("scripts only", "a.html", "<script>document.write('Cranes')</script>", (EmptyFileError, "scripts")),
    Case("an open comment", "a.html", f"<p>{WORDS}</p><!-- never closed <p>more", WORDS),
    Case("an open tag", "a.html", f"<p>{WORDS}</p><a href='never closed", WORDS),
    Case("numbers that are no characters", "a.html", "<p>Cranes &#0; &#xD800; &#x110000; &#x80; fly", "fly"),
    Case("unknown names of characters", "a.html",
         "<p>Cranes &nosuch; &amp fly", "Cranes &nosuch; & fly"),
    Case("an attribute of 1 MB", "a.html", f"<p title='{'x' * 1_000_000}'>{WORDS}", WORDS),
    Case("20,000 attributes", "a.html", f"<p {' '.join(f'a{n}=1' for n in range(20_000))}>{WORDS}", WORDS),
    Case("a picture in the page", "a.html", f"<img src='data:image/png;base64,{'QUJD' * 250_000}'>{WORDS}", WORDS),
    Case("NUL", "a.html", "<p>Cra\x00nes fly" + " far" * 50, "fly far"),
    Case("Latin-1", "a.html", "<p>Le garçon est allé à l'école".encode("latin-1"), "Le garçon est allé à l'école"),
    Case("GBK", "a.html", b"<meta charset=gbk><p>" + CHINESE.encode("gbk"), CHINESE),
    Case("UTF-16", "a.html", f"<p>{HEBREW}".encode("utf-16"), HEBREW),
    Case("declared wrongly", "a.html", f"<meta charset=koi8-r><p>{HEBREW}".encode(), HEBREW),
    Case("a declaration that is no encoding", "a.html", b"<meta charset='../../etc/passwd'><p>Cranes", "Cranes"),
    Case("a declaration of rot13", "a.html", b"<meta charset='rot13'><p>Cranes", "Cranes"),
    Case("hidden words", "a.html", f"<p hidden>secret</p><p>{WORDS}", WORDS),
    Case("a form around all", "a.xhtml", f"<?xml version='1.0'?><html><form><p>{WORDS}</form></html>", WORDS),
    Case("entities of its own", "a.xhtml", f"<!DOCTYPE html [<!ENTITY a '{'x' * 100}'>]><p>{WORDS} &a;", WORDS),
    Case("frames", "a.htm", "<frameset><frame src=x><noframes>Cranes</noframes></frameset>", "Cranes"),
    Case("plaintext", "a.html", f"<plaintext>{WORDS}<b>", WORDS),
    Case("right to left", "a.html", f"<p dir=rtl>{HEBREW}\u202e", HEBREW),
    Case("one byte", "a.html", "<", "<"),
    Case("markup as words", "a.html", "<p>&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>"),
]  # fmt: skip

TEXTS = [
    Case("UTF-8 with a mark", "a.txt", b"\xef\xbb\xbf" + WORDS.encode(), WORDS),
    *(Case(f"{encoding}", "a.txt", HEBREW.encode(encoding), HEBREW) for encoding in ("utf-16", "utf-32")),
    *(Case(f"{e} without a mark", "a.txt", f"{WORDS} {WORDS}".encode(e), WORDS) for e in ("utf-16-le", "utf-16-be")),
    Case("UTF-16 of an odd length", "a.txt", WORDS.encode("utf-16") + b"x", WORDS),
    Case("UTF-16 with half a pair", "a.txt", WORDS.encode("utf-16") + b"\x00\xd8", WORDS),
    Case("Latin-1", "a.txt", "Le garçon est allé à l'école.".encode("latin-1"), "Le garçon est allé à l'école."),
    Case("Windows-1252", "a.txt", "“Où êtes-vous allés à Noël ?”".encode("cp1252"), "“Où êtes-vous allés à Noël ?”"),
    Case("GBK", "a.txt", CHINESE.encode("gbk"), CHINESE),
    Case("Hebrew in Windows-1255", "a.txt", HEBREW.encode("cp1255"), HEBREW),
    Case("mixed encodings", "a.txt", ("Grüße aus Köln, schöne Mädchen. " * 9).encode() + "Straße".encode("latin-1"),
         "Stra\ufffde"),
    Case("right to left with overrides", "a.txt", f"{HEBREW} \u202eabc\u202c \u2067x\u2069", "\u202eabc\u202c"),
    Case("emoji", "a.txt", "👩‍👩‍👧 🇩🇪 🏴󠁧󠁢󠁳󠁣󠁴󠁿 fly", "👩‍👩‍👧 🇩🇪 🏴󠁧󠁢󠁳󠁣󠁴󠁿 fly"),
    Case("combining marks", "a.txt", "e" + "\u0301" * 5_000, "e" + "\u0301" * 5_000),
    Case("marks of layout only", "a.txt", "\u00a0\u2003\u3000\n\u2028", (EmptyFileError, "no text")),
    Case("a mark only", "a.txt", b"\xef\xbb\xbf", (EmptyFileError, "no text")),
    Case("empty", "a.txt", b"", (EmptyFileError, "0 bytes")),
    Case("one letter", "a.txt", b"a", "a"),
    Case("one NUL", "a.txt", b"\x00", "\ufffd"),
    Case("one byte that is no letter", "a.txt", b"\xff", "ÿ"),
    Case("some NULs", "a.txt", "Cranes\x00fly" + " far" * 50, "Cranes\ufffdfly"),
    Case("NULs only", "a.txt", bytes(5_000), (UnknownFormatError, "no text in any")),
    Case("random bytes", "a.txt", random.Random(7).randbytes(20_000), (UnknownFormatError, "no text in any")),
    Case("a packed file", "a.txt", gzip.compress(WORDS.encode()), (UnknownFormatError, "gzip")),
    Case("a program", "a.txt", b"\x7fELF" + bytes(100), (UnknownFormatError, "a program")),
    Case("overlong UTF-8", "a.txt", b"Cranes \xc0\xaf fly", "Cranes"),
    Case("surrogates in UTF-8", "a.txt", "Cranes \ud800 fly. Schöne Grüße aus Köln für Mädchen", "Cranes"),
    Case("characters that are none", "a.txt", "Cranes \ufffe \uffff fly", "fly"),
    Case("line ends of all kinds", "a.txt", "one\r\ntwo\rthree\nfour\u2028five\x0bsix", "one\ntwo\nthree\nfour"),
    Case("a line of 1 MB", "a.txt", "crane " * 170_000, "crane crane"),
    Case("a word of 1 MB", "a.txt", "x" * 1_000_000, "xxx"),
    Case("300,000 blank lines", "a.txt", "\n" * 300_000 + WORDS, WORDS),
    Case("escapes of a terminal", "a.txt", "\x1b[31mCranes\x1b[0m fly", "Cranes"),
    Case("hostile markup", "a.txt", "<script>alert(1)</script> :red[$x$] ![](http://x)", "<script>alert(1)</script>"),
    Case("21 million characters", "a.txt", lambda: b"crane " * 3_500_000, (TooLargeError, "limit is 20,000,000")),
]  # fmt: skip

MARKDOWNS = [
    Case("quotes 3,000 deep", "a.md", ">" * 3_000 + " " + WORDS, WORDS),
    Case("lists 500 deep", "a.md", "".join("  " * n + f"- item {n}\n" for n in range(500)), "item 499"),
    Case("50,000 brackets", "a.md", "[" * 50_000 + WORDS, WORDS),
    Case("50,000 stars", "a.md", "*a " * 50_000, "*a *a"),
    Case("50,000 back quotes", "a.md", "".join("`" * (n % 300) + "a" for n in range(500)), "``a"),
    Case("a heading of 100,000 letters", "a.md", "# " + "x" * 100_000 + f"\n\n{WORDS}", WORDS),
    Case("a heading of 20,000 brackets", "a.md", "# " + "[a](" * DEEP + f"\n\n{WORDS}", WORDS),
    Case("an open fence", "a.md", f"```\n# no heading\n{WORDS}", WORDS),
    Case("open front matter", "a.md", f"---\ntitle: Cranes\n{WORDS}", WORDS),
    Case("front matter that repeats itself", "a.md", "---\na: &a [x]\nb: &b [*a, *a]\ntitle: Cranes\n---\nfly", "fly"),
    Case("a table of 5,000 columns", "a.md", "|a" * 5_000 + "\n" + "|-" * 5_000 + f"\n{WORDS}", WORDS),
    Case("20,000 links", "a.md", "".join(f"[a{n}]: x\n" for n in range(DEEP)) + WORDS, WORDS),
    Case("HTML in it", "a.md", "<script>alert(1)</script>\n\n# Cranes", "Cranes"),
    Case("GBK", "a.markdown", f"# {CHINESE}".encode("gbk"), CHINESE),
]  # fmt: skip

CSVS = [
    Case("an open quote", "a.csv", 'name,note\ncrane,"never closed\nheron,x', "crane"),
    Case("a quote in the middle", "a.csv", 'name,note\ncr"ane,a "b" c\n', 'a "b" c'),
    Case("10,000 columns", "a.csv",
         ",".join(f"c{n}" for n in range(10_000)) + "\n" + ",".join(["crane"] * 10_000), "crane"),
    Case("a cell of 1 MB", "a.csv", "id,text\n1," + "crane " * 170_000, "text: crane"),
    Case("delimiters only", "a.csv", ",,,,\n,,,,\n", (EmptyFileError, "no text")),
    Case("names only", "a.csv", "name,height\n", "column 1: name"),
    Case("ragged", "a.csv", "a,b\n1\n1,2,3,4\n\nx,y", "column 4: 4"),
    Case("NUL", "a.csv", "name,note\ncra\x00ne,flies far and wide over the river bank\n", "cra\ufffdne"),
    Case("semicolons in Latin-1", "a.csv", "Name;Größe\nKranich;groß, schön\n".encode("latin-1"), "Größe: groß, schön"),
    Case("old line ends", "a.csv", "name,size\rcrane,tall\rheron,small", "size: tall"),
    Case("UTF-16 from Excel", "a.tsv", "name\tsize\ncrane\ttall\n".encode("utf-16"), "size: tall"),
    Case("30,000 rows", "a.csv", "name,n\n" + "".join(f"crane,{n}\n" for n in range(30_000)), "n: 29999"),
    Case("a picture", "a.csv", PNG, (DamagedFileError, "no picture can be made out")),
    Case("a formula", "a.csv", "name,n\n=cmd|' /C calc'!A0,1\n", "=cmd|"),
]  # fmt: skip


def _line(**entry: object) -> str:
    return json.dumps({"_id": "1", "text": WORDS, **entry}) + "\n"


JSONLS = [
    Case("brackets 100,000 deep", "a.jsonl",
         _line() + "[" * 100_000 + "\n", (DamagedFileError, "line 2 is not JSON")),
    Case("a number of 5,000 digits", "a.jsonl", '{"_id": ' + "9" * 5_000 + ', "text": "x"}\n',
         (DamagedFileError, "line 1 is not JSON")),
    Case("not a number", "a.jsonl", '{"_id": NaN, "text": "x"}\n', (DamagedFileError, "line 1 has no _id")),
    Case("surrogates", "a.jsonl", '{"_id": "\\ud800", "text": "Cranes \\ud83d fly"}\n', "Cranes \ufffd fly"),
    Case("an identity with a path", "a.jsonl", _line(_id="../../etc/passwd\n"), WORDS),
    Case("a key twice", "a.jsonl", '{"_id": "1", "text": "no", "text": "Cranes"}\n', "Cranes"),
    Case("two objects in a line", "a.jsonl", _line().strip() + _line(), (DamagedFileError, "line 1 is not JSON")),
    Case("one list", "a.jsonl", f"[{_line()}]", (DamagedFileError, "is not JSON")),
    Case("no last line end", "a.jsonl", _line().strip(), WORDS),
    Case("Latin-1", "a.jsonl",
         '{"_id": "1", "text": "Köln"}'.encode("latin-1"), (DamagedFileError, "is not in UTF-8")),
    Case("UTF-16", "a.jsonl", _line().encode("utf-16"), (DamagedFileError, "is not in UTF-8")),
    Case("a text of 1 MB", "a.jsonl", _line(text="crane " * 170_000), "crane crane"),
    Case("no text", "a.jsonl", _line(text=""), (EmptyFileError, "no entry with text")),
    Case("null", "a.jsonl", "null\n", (DamagedFileError, "not a JSON object")),
]  # fmt: skip

NAMES = [
    Case("a name that climbs", "../../../etc/passwd.txt", WORDS, WORDS),
    Case("a name of an absolute path", "/etc/shadow.txt", WORDS, WORDS),
    Case("a name with a line end", "two\nlines.txt", WORDS, WORDS),
    Case("a name of 255 bytes", "é" * 125 + "x.txt", WORDS, WORDS),
    Case("a name with NUL", "a\x00b.txt", WORDS, WORDS),
    Case("a name that turns around", "\u202efdp.txt", WORDS, WORDS),
    Case("a name of bytes that are no letters", b"\xff\xfe.txt".decode("utf-8", "surrogateescape"), WORDS, WORDS),
    Case("a name of markup", "<img src=x onerror=alert(1)>.txt", WORDS, WORDS),
    Case("a name that is a suffix", ".txt", WORDS, WORDS),
    Case("no suffix", "README", WORDS, WORDS),
    Case("bytes of no suffix", "README", bytes(range(256)), (UnknownFormatError, "without a suffix")),
    Case("a suffix in capitals", "A.TXT", WORDS, WORDS),
    Case("a suffix of a drive", "C:\\temp\\a.txt", WORDS, WORDS),
    Case("no name", "", WORDS, WORDS),
]  # fmt: skip

CASES = [*PDFS, *DOCXS, *HTMLS, *TEXTS, *MARKDOWNS, *CSVS, *JSONLS, *NAMES]

# Each takes long or much memory.
LARGE = [
    Case("5,000 pages", "a.pdf", lambda: raw.pages(5_000), "Crane number 5000 flies south."),
    Case("10,001 pages", "a.pdf", lambda: raw.pages(10_001), (TooLargeError, "limit of 10,000")),
    Case("200 MB of text", "a.txt", lambda: b"crane " * 33_333_333, (TooLargeError, "limit is 20,000,000")),
    Case("more than 200 MB", "a.txt", lambda: b"crane " * 33_333_400, (TooLargeError, "limit is 200 MB")),
    Case("a line of 50 MB", "a.md", lambda: b"x" * 50_000_000, (TooLargeError, "limit is 20,000,000")),
    Case("a web page of 100 MB", "a.html", lambda: b"<p>crane" * 12_500_000, (TooLargeError, "")),
    Case("a table of 50 MB in a line", "a.csv", lambda: b"crane," * 8_000_000, (TooLargeError, "limit is 20,000,000")),
    Case("an entry of 50 MB", "a.jsonl", lambda: _line(text="crane " * 8_000_000).encode(),
         (TooLargeError, "limit is 20,000,000")),
    Case("nested a million deep", "a.html", lambda: b"<div>" * 1_000_000 + WORDS.encode(), WORDS),
    Case("a bomb of 2 GB", "a.pdf", lambda: pdf(content=deflated(bytes(2_000_000_000))), (DamagedFileError, "damaged")),
]  # fmt: skip
