from __future__ import annotations

import time

import pytest

from ingest.errors import EmptyFileError

PAGE = """<!DOCTYPE html>
<html><head><title>Cranes &amp; birds</title><style>p { color: red }</style></head>
<body>
<header><a href="/">Home</a></header>
<nav><ul><li>Menu</li></ul></nav>
<main><header><h1>Cranes</h1></header>
<p>They <b>fly</b>
   far.<br>And high.</p>
<script>alert("no")</script><p hidden>secret</p><p style="display: none">secret</p>
<h2>Kinds</h2>
<ul><li>Common crane</li><li>Blue <i>crane</i></li></ul>
<p>Sizes:</p>
<table><caption>In metres</caption><tr><th>Kind</th><th>Height</th></tr>
<tr><td><p>Common</p></td><td>1.2</td></tr></table>
<pre>  code
    kept</pre>
<!-- a comment --></main>
<aside>Advertising</aside><footer>Imprint</footer>
</body></html>"""
TEXT = """Cranes

They fly far.
And high.

Kinds
- Common crane
- Blue crane

Sizes:

In metres
Kind | Height
Common | 1.2

  code
    kept"""


def test_a_page_as_people_read_it(read_one):
    document = read_one("a.html", PAGE)
    assert document.text == TEXT
    assert document.title == "Cranes & birds"
    assert [(heading.level, heading.text) for heading in document.headings] == [(1, "Cranes"), (2, "Kinds")]
    assert all(document.text.startswith(heading.text, heading.start) for heading in document.headings)


@pytest.mark.parametrize(
    ("markup", "title"),
    [
        ("<title>\n </title><h1>The <i>heading</i></h1><p>x", "The heading"),
        ("<title>Untitled document</title><p>x", "a"),
        ("<p>x", "a"),
    ],
)
def test_titles(read_one, markup, title):
    assert read_one("a.html", markup).title == title


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<meta charset="windows-1251">', "cp1251"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-5">', "iso8859-5"),
        ('<meta charset="no-such-encoding">', "utf-8"),
        ('<meta charset="iso-8859-1">', "utf-8"),  # a declaration that the bytes belie
        ("", "utf-16"),
        ('<meta charset="utf-16">', "utf-8"),  # no one could have read it if it were
    ],
)
def test_charsets_declared_marked_and_belied(read_one, head, encoding):
    assert read_one("a.html", f"<html>{head}<p>Журавли летят".encode(encoding)).text == "Журавли летят"


def test_iso_8859_1_means_windows_1252(read_one):
    raw = '<meta charset="iso-8859-1"><p>“Don’t”'.encode("cp1252")
    assert read_one("a.html", raw).text == "“Don’t”"


def test_nesting_without_bound(read_one):
    deep = 100_000
    started = time.monotonic()
    document = read_one("a.html", "<div>" * deep + "down here" + "</div>" * deep + "<p>after</p>")
    assert document.text.split() == ["down", "here", "after"]
    assert time.monotonic() - started < 60


def test_nested_tables_lay_out_and_are_read_cell_by_cell(read_one):
    markup = "<table><tr><td><h1>News</h1></td><td><table><tr><td>a</td><td>b</td></tr></table></td></tr></table>end"
    assert read_one("a.html", markup).text == "News\n\na | b\n\nend"


def test_a_page_inside_one_form_or_header_is_read(read_one):
    assert read_one("a.html", "<form><p>Words</p><input value=no></form>").text == "Words"
    assert read_one("b.html", "<body><footer>Only this</footer>").text == "Only this"


def test_markup_in_text_stays_literal_and_scripts_right_to_left_intact(read_one):
    text = "<b>$x$ :red[x]</b> שלום 👩‍👧"
    assert read_one("a.html", f"<p>{text.replace('<', '&lt;')}").text == text


def test_a_page_that_scripts_fill_has_no_text(refusal):
    assert "scripts" in refusal(EmptyFileError, "a.html", "<div id=app></div><script>run()</script>")


def test_what_unfolds_is_a_question_where_it_says_something(read_one):
    buttons = (
        "<button aria-expanded='false'>Menu</button><button aria-controls='a'>May I keep a dog?</button>"
    )
    page = f"<main>{buttons}<p>Yes.</p>"
    assert read_one("a.html", page).text == "May I keep a dog?\n\nYes."
