"""Laws of the chunker, over many sizes and texts."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunker import MAX_CHUNK_CHARACTERS, MAX_TITLE_CHARACTERS, Chunker
from ingest.encoders.base import counting_tokenizer
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.records import Block, BlockKind, Document, Heading, Page
from tests.fakes import whitespace_tokenizer

PROSE = """# Cranes

Cranes are tall birds. They migrate twice a year, Dr. Lund says, at about 3.5 km up!

## Care

Feed them grain. Keep the water at 12 °C.

| tower | load |
|-------|------|
| A     | 5 t  |

```python
# not a heading
print("crane")
```

## کرکی

یک پرنده است. 鹤是一种鸟。 🐦‍⬛ naïve café
"""


@pytest.fixture(scope="module")
def bundled_tokenizer():
    return counting_tokenizer(resolve_encoder("bundled", Hub(allow_downloads=False)))


def check_laws(chunker: Chunker, document: Document) -> None:
    """Slices are exact, in order, apart, cover everything but white space, and fit."""
    chunks = chunker.chunks(document)
    position = 0
    for chunk in chunks:
        assert document.text[chunk.start : chunk.end] == chunk.text
        assert chunk.text.strip(), "a chunk of nothing"
        assert chunk.start >= position, "chunks overlap or are out of order"
        assert not document.text[position : chunk.start].strip(), "text was lost between two chunks"
        assert len(chunker.tokenizer.encode(chunk.text, add_special_tokens=False).ids) <= chunker.tokens
        position = chunk.end
    assert not document.text[position:].strip(), "text was lost at the end"


@pytest.mark.parametrize("tokens", [16, 24, 40, 96, 160, 400])
@pytest.mark.parametrize("headed", [False, True])
def test_laws_with_the_real_tokenizer(tokens: int, headed: bool, bundled_tokenizer) -> None:
    text = PROSE * 7
    starts = [match.start() for match in re.finditer("^#+ ", text, re.MULTILINE)] if headed else []
    headings = tuple(Heading(1 + (place % 3), start, "") for place, start in enumerate(starts))
    document = Document("k", "Cranes", "cranes.md", "text", text, headings=headings)
    check_laws(Chunker(bundled_tokenizer, tokens), document)


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=600), st.integers(16, 60), st.lists(st.tuples(st.integers(1, 6), st.integers(0, 600)))
)
def test_laws_for_any_text(text: str, tokens: int, places: list[tuple[int, int]]) -> None:
    starts = sorted((start, level) for level, start in places if start <= len(text))
    headings = tuple(Heading(level, start, text[start : start + 5]) for start, level in starts)
    check_laws(
        Chunker(whitespace_tokenizer(), tokens), Document("k", "t", "p", "text", text, headings=headings)
    )


def test_a_chunk_knows_its_pages_and_its_headings() -> None:
    text = "one two three. " * 10 + "\n\n" + "four five six. " * 10
    second = text.index("four")
    document = Document(
        "k", "T", "p.pdf", "pdf", text,
        pages=(Page(1, 0, second - 2), Page(2, second, len(text))),
        headings=(
            Heading(1, 0, "Numbers"), Heading(2, 0, "Low"), Heading(2, second, "High"), Heading(1, len(text), "End"),
        ),
    )  # fmt: skip
    chunks = Chunker(whitespace_tokenizer(), 45).chunks(document)
    assert [(chunk.page, chunk.page_end) for chunk in chunks] == [(1, 1), (2, 2)]
    assert [chunk.heading for chunk in chunks] == [("Numbers", "Low"), ("Numbers", "High")]


def test_a_chunk_over_a_page_break_names_both_pages() -> None:
    document = Document("k", "T", "p.pdf", "pdf", "one two three four", pages=(Page(4, 0, 8), Page(5, 8, 18)))
    (chunk,) = Chunker(whitespace_tokenizer(), 20).chunks(document)
    assert (chunk.page, chunk.page_end) == (4, 5)


def test_an_endless_title_does_not_push_the_passage_out() -> None:
    document = Document("k", "title " * 500, "p", "text", "The crane is a bird.")
    (chunk,) = Chunker(whitespace_tokenizer(), 20).chunks(document)
    assert len(chunk.title) <= MAX_TITLE_CHARACTERS
    assert chunk.passage.endswith("The crane is a bird.")


def test_a_size_that_holds_no_sentence_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no sentence"):
        Chunker(whitespace_tokenizer(), 8)


HOSTILE = {
    "Chinese without a stop": "鹤" * 60_000,
    "one word": "x" * 300_000,
    "emoji": "👩‍👩‍👧" * 20_000,
    "combining marks": "e" + "\u0301" * 100_000,
    "base64": "QUJDREVG/+" * 10_000,
    "quotes in quotes": (">" * 3_000 + " crane\n") * 20,
    "lists in lists": "".join("  " * depth + "- a\n" for depth in range(400)),
    "a line of prose": "The crane flies over the river bank. " * 3_000,
    "a list of links": "".join(f"[a{n}]: /u\n" for n in range(20_000)) + "\nThe crane.\n",
    "white space": " " * 100_000 + "crane" + "\n" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_texts_that_would_take_the_splitter_minutes(name: str, bundled_tokenizer) -> None:
    chunker = Chunker(bundled_tokenizer)
    started = time.process_time()
    check_laws(chunker, Document("k", "t", "p", "text", HOSTILE[name]))
    assert time.process_time() - started < 30
    assert max(end - start for start, end in chunker.spans(HOSTILE[name])) <= MAX_CHUNK_CHARACTERS


def test_a_long_line_of_prose_is_cut_between_words(bundled_tokenizer) -> None:
    text = HOSTILE["a line of prose"]
    for start, end in Chunker(bundled_tokenizer).spans(text):
        assert start == 0 or text[start - 1] == " "
        assert end == len(text) or text[end] == " " or text[end - 1] == " "


@pytest.mark.parametrize("words", ["Deposit and its return ", "賃貸契約の敷金と返還", "Nr. 4711/2024-XK, "])
def test_what_models_read_of_a_passage_fits_into_the_encoder(words: str) -> None:
    """By its own tokenizer, which counts what the encoder reads: an end that is cut off is searched by nobody."""
    tokenizer = counting_tokenizer(resolve_encoder("bundled", Hub(allow_downloads=False)))
    lines = [f"{words * 20}{n}" for n in range(3)]
    rows = [f"{words * 3} | {n}" for n in range(60)]
    text = "\n\n".join([*lines, "\n".join(rows)])
    headings = [Heading(n + 1, text.index(line), line) for n, line in enumerate(lines)]
    blocks, position = [], text.index(rows[0])
    for n, row in enumerate(rows):
        blocks.append(Block(BlockKind.TABLE_ROW, position, position + len(row), int(n == 0)))
        position += len(row) + 1
    document = Document(
        "k", words * 30, "a.md", "markdown", text, headings=tuple(headings), blocks=tuple(blocks)
    )
    chunks = Chunker(tokenizer).chunks(document)
    assert len(chunks) > 3
    assert any(chunk.context for chunk in chunks)
    sizes = [len(tokenizer.encode(chunk.passage, add_special_tokens=True).ids) for chunk in chunks]
    assert max(sizes) <= 256
