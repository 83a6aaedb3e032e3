"""Question–passage pairs out of documentation."""

from __future__ import annotations

import gzip
from pathlib import Path

from rerank.training.data import read_labelled_set
from tests.parts.make_files import derive

BODY = "A tablespace is a place on disk where the files of tables lie, and it can be moved. " * 2
PAGE = f"""<html><nav><h2>Menu</h2><p>{BODY}</p></nav><h1>22.6. Tablespaces¶</h1>
<p>{BODY}</p><ul><li><p>First <b>point</b> .</p></li></ul><h2>Notes</h2><p>{BODY} Again.</p></html>"""


def test_a_heading_is_the_query_of_what_stands_below_it(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(PAGE, encoding="utf-8")
    first, second = derive.html_pairs(path, "The book")
    assert first == derive.Pair("Tablespaces", "The book", f"{BODY.strip()} First point.")
    assert second.query == "Notes"


def test_headings_that_say_nothing_and_texts_too_short_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(PAGE + "<h2>Vacuum</h2><p>Short.</p>", encoding="utf-8")
    source = derive.Source("book", "book-doc", "*.html", "html", "The book", "CC0", 10)
    assert [pair.query for pair in derive.source_pairs(source, tmp_path)] == ["Tablespaces"]


def test_terms_and_their_definitions(tmp_path: Path) -> None:
    path = tmp_path / "words.dict.dz"
    text = b"flippy\n\n   <hardware> A single-sided {disk}\n   used on both sides.\n\nnext\n   Then.\n"
    path.write_bytes(gzip.compress(text))
    assert next(derive.dict_pairs(path, "")) == derive.Pair(
        "flippy", "", "A single-sided disk used on both sides."
    )


def test_the_first_sense_of_a_noun(tmp_path: Path) -> None:
    path = tmp_path / "wn.dict.dz"
    text = b"mint\n    n 1: a place where money is coined [syn: {mint}]\n    2: a plant\nend\n    v 1: to stop\nx\n"
    path.write_bytes(gzip.compress(text))
    assert list(derive.wordnet_pairs(path, "")) == [derive.Pair("mint", "", "a place where money is coined")]


def test_what_is_written_can_be_trained_on(tmp_path: Path) -> None:
    pairs = [
        derive.Pair("one", "Book", "a text"),
        derive.Pair("uno", "Book", "a text"),
        derive.Pair("two", "Book", "another"),
    ]
    derive.write_beir(pairs, tmp_path / "book")
    labelled = read_labelled_set(tmp_path / "book")
    assert len(labelled.documents) == 2
    assert [set(query.grades) for query in labelled.queries] == [{"d0"}, {"d0"}, {"d1"}]
