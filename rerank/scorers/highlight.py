"""Which sentence of a passage answers best: the sentence whose vector is nearest to the query's."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from sentencex import segment

from ingest.encoders.base import Encoder
from ingest.records import Chunk

# Shorter pieces ("Yes.") have vectors that say little; they are not marked.
MIN_SENTENCE_CHARACTERS = 20
# A sentence is marked only when its cosine beats the mean of its passage's sentences by this much: where all
# are equally near, marking one would claim to know better. In a passage of one sentence nothing is marked.
MIN_LEAD = 0.05

_ENDS = frozenset(".!?…:;。！？؟।")
_PARAGRAPH = re.compile(r"(?:[^\n]|\n(?![ \t]*\n))+")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Character spans ``[start, end)`` of the sentences of ``text``, white space around them left out."""
    spans = []
    for paragraph in _PARAGRAPH.finditer(text):
        # A line end inside a paragraph is white space to a reader, but the end of a sentence to the segmenter.
        line = paragraph.group().replace("\n", " ")
        at = 0
        for sentence in segment("en", line):
            bare = sentence.strip()
            place = line.find(bare, at) if bare else -1
            if place >= 0:
                at = place + len(bare)
                spans.append((paragraph.start() + place, paragraph.start() + at))
    return spans


def best_sentences(query: str, chunks: Sequence[Chunk], encoder: Encoder) -> dict[int, tuple[int, int]]:
    """Chunk id → span within ``chunk.text`` of the sentence that answers best.

    A chunk without a clear best sentence is left out: no mark rather than a wrong one.
    """
    spans = {chunk.id: _candidates(chunk) for chunk in chunks}
    sentences = [chunk.text[start:end] for chunk in chunks for start, end in spans[chunk.id]]
    if not sentences:
        return {}
    cosines = encoder.encode_passages(sentences) @ encoder.encode_query(query)
    marks = {}
    at = 0
    for chunk in chunks:
        mine = cosines[at : at + len(spans[chunk.id])]
        at += len(mine)
        if len(mine) > 1 and float(mine.max() - mine.mean()) >= MIN_LEAD:
            marks[chunk.id] = spans[chunk.id][int(np.argmax(mine))]
    return marks


def _candidates(chunk: Chunk) -> list[tuple[int, int]]:
    return [span for span in sentence_spans(chunk.text) if _is_sentence(chunk.text[slice(*span)])]


def _is_sentence(text: str) -> bool:
    """Whether a piece says something by itself: headings, rows of tables and bare list items do not."""
    if len(text) < MIN_SENTENCE_CHARACTERS or text[0] in "#|":
        return False
    return text.rstrip("\"'”’)*_")[-1:] in _ENDS
