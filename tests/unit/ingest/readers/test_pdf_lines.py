from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.readers.blocks import Blocks
from ingest.readers.furniture import EdgeLine, furniture, without_furniture
from ingest.readers.pdf.flow import flow
from ingest.readers.pdf.layout import Line
from ingest.readers.source import Limits, Source
from ingest.records import Page

FULL = "this line is as wide as the column it was set in, and so it goes on in the next one"
words = st.text(st.sampled_from("abcXYZ.-,!7 \u00ad漢字é•"), max_size=60)


def page(*texts: str, gap: float = 12.0) -> list[Line]:
    """Lines of one column, as wide as their letters are many; "" leaves a line free."""
    lines = []
    y = 700.0
    for text in texts:
        y -= gap
        if text:
            lines.append(
                Line(text, 72.0, 72.0 + 5 * len(text), y, 10.0, fill=min(1.0, len(text) / len(FULL)))
            )
    for above, line in pairwise(lines):
        line.gap = above.y - line.y
    return lines


def flowed(*pages: list[Line]) -> tuple[str, list[Page]]:
    blocks = Blocks(Source(Path("a.pdf"), "a.pdf", "a", Limits()))
    places = flow(pages, blocks)
    return blocks.text, places


def joined(*lines: str) -> str:
    return flowed(page(FULL, *lines))[0].removeprefix(FULL)


@given(st.lists(st.lists(words.map(str.strip).filter(bool), max_size=6), max_size=6))
def test_pages_slice_the_text_in_order_and_no_letter_is_lost(pages):
    text, places = flowed(*(page(*lines) for lines in pages))
    assert [place.number for place in places] == list(range(1, len(pages) + 1))
    previous = 0
    for place, lines in zip(places, pages, strict=True):
        assert previous <= place.start <= place.end <= len(text)
        previous = place.end
        letters = "".join(filter(str.isalnum, "".join(lines)))
        assert "".join(filter(str.isalnum, text[place.start : place.end])) == letters


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["and ends here."], " and ends here."),
        (["ends here.", "A new paragraph, " + FULL], " ends here.\n\nA new paragraph, " + FULL),
        (["in a short line", "that goes on"], " in a short line that goes on"),
        (["A list:", "• one", "• two"], " A list:\n\n• one\n• two"),
        (["of 1945.", "2.1 On cranes", "T" + FULL], " of 1945.\n\n2.1 On cranes\n\nT" + FULL),
        (["", "apart"], "\n\napart"),
    ],
)
def test_line_ends(lines, expected):
    assert joined(*lines) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["the exam-", "ple of words"], "the example of words"),
        (["soft\u00ad", "ware"], "software"),
        (["Anglo-", "Saxon"], "Anglo-Saxon"),
        (["a well-known bird, as well-", "known as any"], "a well-known bird, as well-known as any"),
        (["re-sort the list, then go to the resort; re-", "sort"], "re-sort the list, then go to the resort; resort"),
    ],
)  # fmt: skip
def test_hyphens_at_line_ends(lines, expected):
    assert flowed(page(*lines))[0] == expected


def test_a_word_broken_over_a_page_is_whole_and_its_pages_meet():
    text, pages = flowed(page("the lagoon of the Bal-"), page("tic coast."))
    assert text == "the lagoon of the Baltic coast."
    assert [text[page.start : page.end] for page in pages] == ["the lagoon of the Bal", "tic coast."]


def test_a_short_line_that_ends_a_page_is_not_gone_on_with():
    text, _ = flowed(page("Workshop of 2006"), page("Outline of the talk"))
    assert text == "Workshop of 2006\n\nOutline of the talk"


def test_chinese_lines_join_without_a_space():
    line = Line("北京是中华人民共和国的首都是全国的政治中心文化中心国际交往中心", 72, 500, 700, 10)
    last = Line("科技创新中心。", 72, 180, 688, 10, fill=0.3, gap=12)
    assert flowed([line, last])[0] == line.text + last.text


def test_page_numbers_and_running_titles_go_but_stay_once():
    pages = [["Handbook of cranes", f"Text of {word}.", f"Page {number} of 9"]
             for number, word in enumerate(["one", "two", "three", "four"], 1)]  # fmt: skip
    assert without_furniture(pages) == [
        ["Handbook of cranes", "Text of one.", "Page 1 of 9"], ["Text of two."], ["Text of three."], ["Text of four."],
    ]  # fmt: skip


def test_roman_page_numbers_go():
    numbers = zip("abcd", ["v", "vi", "vii", "viii"], strict=True)
    pages = [[f"Text of {word}.", f"Policy {number}"] for word, number in numbers]
    assert without_furniture(pages) == [
        ["Text of a.", "Policy v"],
        ["Text of b."],
        ["Text of c."],
        ["Text of d."],
    ]


def test_two_pages_have_a_running_title_where_it_stands_in_the_same_place():
    edges = [[EdgeLine("House rules", "31 804"), EdgeLine(f"Text {word}", "31 700")] for word in "ab"]
    assert furniture(edges) == ({(1, 0)}, {(0, 0)})
    assert furniture([[EdgeLine(line.text) for line in own] for own in edges])[0] == set()


def test_figures_that_do_not_count_pages_stay():
    pages = [
        ["Invoice A", "Total 300"],
        ["Invoice B", "Total 450"],
        ["Invoice C", "Total 120"],
        ["Invoice D", "4711"],
    ]
    assert without_furniture(pages) == pages


def test_a_page_keeps_its_only_line():
    assert without_furniture([["Background"]] * 5) == [["Background"]] * 5
    assert without_furniture([["1"], ["2"], ["3"]]) == [["1"], ["2"], ["3"]]


def test_front_matter_shifts_page_numbers():
    pages = [[f"Text of {word}.", str(number)] for number, word in enumerate(["one", "two", "three"], 15)]
    assert without_furniture(pages) == [["Text of one."], ["Text of two."], ["Text of three."]]
