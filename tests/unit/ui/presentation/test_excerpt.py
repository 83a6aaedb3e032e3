"""Excerpts quote exactly, mark exactly, and cut between words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.presentation.excerpt import EXCERPT, LONGEST, SLACK, excerpt, whole


def quoted(parts: Any) -> str:
    return "".join(part["text"] for part in parts if not part["ellipsis"])


WORDS = " ".join(f"word{n}" for n in range(200))


def test_an_excerpt_shows_the_mark_whole_and_cuts_at_words() -> None:
    start = WORDS.index("word100")
    end = WORDS.index("word108") - 1
    parts = excerpt(WORDS, (start, end))
    assert [part["text"] for part in parts if part["mark"]] == [WORDS[start:end]]
    assert parts[0]["ellipsis"]
    assert parts[-1]["ellipsis"]
    assert set(quoted(parts).split()) <= set(WORDS.split())
    assert abs(len(quoted(parts)) - EXCERPT) <= 2 * SLACK


def test_an_excerpt_without_a_mark_is_the_beginning() -> None:
    parts = excerpt(WORDS, None)
    assert WORDS.startswith(quoted(parts))
    assert [part["ellipsis"] for part in parts] == [False, True]


@pytest.mark.parametrize("mark", [(-1, 5), (0, 10_000), (5, 5), (9, 3)])
def test_no_highlight_rather_than_a_wrong_one(mark: tuple[int, int]) -> None:
    assert not any(part["mark"] for part in [*excerpt(WORDS, mark), *whole(WORDS, mark)])


LONG = st.text(alphabet="ab \n\u0301\u200d", min_size=EXCERPT, max_size=3 * LONGEST)


@given(text=st.text(max_size=100) | LONG, data=st.data())
def test_nothing_is_quoted_that_the_document_does_not_say(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(-5, len(text) + 5))
    mark = (start, start + data.draw(st.integers(-5, 600)))
    parts = excerpt(text, mark)
    assert quoted(parts) in text
    assert quoted(whole(text, mark)) == text
    valid = 0 <= mark[0] < mark[1] <= len(text)
    marked = "".join(part["text"] for part in parts if part["mark"])
    assert bool(marked) == valid
    assert text[slice(*mark)].startswith(marked) if valid else not marked
