from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.readers.pdf_lines import clean_lines, flow, without_furniture

FULL = "this line is as wide as the column it was set in, and so it goes on in the next one"
words = st.text(st.sampled_from("abcXYZ.-,!7 \u00ad漢字é•"), max_size=60)


def joined(*lines: str) -> str:
    return flow([[FULL, *lines]])[0].removeprefix(FULL)


@given(st.lists(st.lists(words.map(str.strip).filter(bool), max_size=6), max_size=6))
def test_pages_slice_the_text_in_order_and_no_letter_is_lost(pages):
    text, places = flow(pages)
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
        (["of 1945.", "2.1 On cranes", "T" + FULL], " of 1945.\n\n2.1 On cranes\nT" + FULL),
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
        (
            ["re-sort the list, then go to the resort; re-", "sort"],
            "re-sort the list, then go to the resort; resort",
        ),
        (["pages 3-", "7"], "pages 3-\n7"),
    ],
)
def test_hyphens_at_line_ends(lines, expected):
    assert flow([lines])[0] == expected


def test_a_word_broken_over_a_page_is_whole_and_its_pages_meet():
    text, pages = flow([["the lagoon of the Bal-"], ["tic coast."]])
    assert text == "the lagoon of the Baltic coast."
    assert [text[page.start : page.end] for page in pages] == ["the lagoon of the Bal", "tic coast."]


def test_chinese_lines_join_without_a_space():
    line = "北京是中华人民共和国的首都是全国的政治中心文化中心国际交往中心"
    assert flow([[line, "科技创新中心。"]])[0] == f"{line}科技创新中心。"


def test_page_numbers_and_running_titles_go_but_stay_once():
    pages = [["Handbook of cranes", f"Text of {word}.", f"Page {number} of 9"]
             for number, word in enumerate(["one", "two", "three", "four"], 1)]  # fmt: skip
    assert without_furniture(pages) == [
        ["Handbook of cranes", "Text of one.", "Page 1 of 9"], ["Text of two."], ["Text of three."], ["Text of four."],
    ]  # fmt: skip


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


def test_clean_lines():
    assert clean_lines("  ﬁrst\u00a0line  \n\n two   words \n") == ["first line", "", "two words"]
