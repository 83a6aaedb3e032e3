"""Marked sentences: the right one, or none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.records import Chunk
from rerank.scorers.highlight import best_sentences, sentence_spans
from tests.fakes import WordEncoder


def chunk(number: int, text: str) -> Chunk:
    return Chunk(number, "d", "t", "p", None, None, (), 0, len(text), text)


def test_sentences_end_where_sentences_end() -> None:
    text = "# Care\n\nDr. Lund keeps cranes. They eat 3.5 kg\na day. Why?\n\n- Fresh water"
    spans = [text[start:end] for start, end in sentence_spans(text)]
    assert spans == ["# Care", "Dr. Lund keeps cranes.", "They eat 3.5 kg\na day.", "Why?", "- Fresh water"]


@given(st.text(max_size=300))
def test_spans_lie_within_the_text_in_order_and_hold_no_outer_space(text: str) -> None:
    position = 0
    for start, end in sentence_spans(text):
        assert position <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        position = end


def test_the_sentence_nearest_to_the_question_is_marked() -> None:
    text = "The bank holds money for people. The river bank may flood. Steel is a metal that is hard."
    marks = best_sentences("river flood", [chunk(7, text)], WordEncoder())
    start, end = marks[7]
    assert text[start:end] == "The river bank may flood."


def test_a_heading_is_never_marked_however_near_it_is() -> None:
    text = "# The river bank and the river flood\n\nMoney lies in a bank here. Steel is hard, and so is code."
    marks = best_sentences("river bank flood", [chunk(1, text)], WordEncoder())
    assert all(not text[start:end].startswith("#") for start, end in marks.values())


def test_where_all_sentences_are_equally_near_none_is_marked() -> None:
    text = "The river bank one two three. The river bank four five six."
    assert (
        best_sentences(
            "river bank", [chunk(1, text), chunk(2, "One river sentence only here.")], WordEncoder()
        )
        == {}
    )
    assert best_sentences("river", [], WordEncoder()) == {}
