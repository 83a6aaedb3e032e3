"""Windows: of a passage that is longer than the reranker is given, the part that suits the query best is scored.

Reading the head and dropping the rest loses an answer that stands at the end. Scoring every window and taking the
best (MaxP; Dai and Callan, 2019) reads everything, and so saves nothing. Here the window is chosen by the query's
words, which costs next to nothing, and one window is read.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ingest.chunker import MAX_TITLE_CHARACTERS
from ingest.encoders.base import counting_tokenizer
from ingest.models.spec import ResolvedModel
from rerank.scorers.base import OnBatch, Scorer, Scores
from rerank.scorers.highlight import sentence_spans
from retrieval.records import Candidate
from retrieval.sparse import STOP_WORDS

WORD = re.compile(r"[^\W_]+")
# Words count as the same where they begin with the same letters: a stemmer for any language with suffixes.
STEM_CHARACTERS = 6
WHOLE = 0  # for a window's size: as many tokens as there is room for
# Passages whose cutting is remembered, because a library's passages come again with the next query: some 3 KB each.
REMEMBERED = 4096

Span = tuple[int, int]


def words(text: str) -> list[str]:
    """Lower-cased words, in order."""
    return WORD.findall(text.lower())


def stems(text: str) -> set[str]:
    """What the words of ``text`` begin with, stop words left out."""
    return {word[:STEM_CHARACTERS] for word in words(text) if word not in STOP_WORDS}


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a passage that is scored: characters ``[start, end)``, and the passage's first ``head`` before it.

    The head is the line with the title, without which a part from the middle does not say what it is about.
    """

    head: int
    start: int
    end: int

    def of(self, passage: str) -> str:
        """What the reranker reads."""
        return passage[: self.head] + passage[self.start : self.end]


class WindowedScorer(Scorer):
    """A reranker that is given at most a window of each passage; passages that fit are scored whole.

    Which window it is depends on the query and on the passage alone, never on the other candidates, so that a passage
    has the same score however many are scored, and in whatever slices.
    """

    def __init__(self, inner: Scorer, tokens: int | None = None) -> None:
        """``tokens`` of a passage are read at most, its title included; ``None``: as many as the model has room for.

        Raises `ModelError` where the model has no tokenizer.json, `ValueError` for fewer than one token.
        """
        if tokens is not None and tokens < 1:
            raise ValueError(f"a window of {tokens} tokens holds nothing; the least is 1")
        self._inner = inner
        self._tokens = tokens
        self._tokenizer = counting_tokenizer(inner.model)
        self.cut: Callable[[str], Cut] = lru_cache(REMEMBERED)(self._cut_of)

    @property
    def model(self) -> ResolvedModel:
        """The reranker's model."""
        return self._inner.model

    @property
    def window(self) -> int | None:
        """How many tokens of a passage are read at most, ``None`` for as many as the model has room for."""
        return self._tokens

    @property
    def engine(self) -> str:
        """What runs it, with the size of the window, which changes the scores."""
        size = "as long as the model has room for" if self._tokens is None else f"of {self._tokens} tokens"
        return f"{self._inner.engine}, windows {size}"

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        """Score every passage, by its best window where it is too long; `Scores.windows` says which were."""
        room = self.room(query)
        wanted = stems(query)
        windows = [best_window(wanted, self.cut(passage), room) for passage in passages]
        texts = [
            passage if window is None else window.of(passage)
            for passage, window in zip(passages, windows, strict=True)
        ]
        scores = self._inner.score(query, texts, on_batch)
        if not any(windows):
            return scores
        spans = tuple(None if window is None else (window.start, window.end) for window in windows)
        return replace(scores, windows=spans)

    def room(self, query: str) -> int:
        """Tokens of a passage that are read beside ``query``."""
        limits = [limit for limit in (self._inner.room(query), self._tokens) if limit is not None]
        return min(limits, default=self.model.spec.max_length)

    def _cut_of(self, passage: str) -> Cut:
        encoding = self._tokenizer.encode(passage, add_special_tokens=False)
        return Cut(passage, np.array([start for start, _ in encoding.offsets], dtype=np.int32))


def windowed(scorer: Scorer, tokens: int | None = None) -> Scorer:
    """``scorer`` with windows for passages that are too long for it; as it is where its tokens cannot be counted here.

    That is so for a model behind an API, which cuts what is too long by itself. ``tokens`` of a passage are read at
    most: `WHOLE` for as many as the model has room for, ``None`` for as many as its specification says.
    """
    if not (scorer.model.folder / "tokenizer.json").is_file():
        return scorer
    wanted = scorer.model.spec.window if tokens is None else tokens
    return WindowedScorer(scorer, wanted or None)


class Cut:
    """A passage with the places at which it may be cut: its tokens, its title's end and its sentences."""

    def __init__(self, passage: str, starts: NDArray[np.int32]) -> None:
        """``starts`` has shape (tokens,): the character at which each token begins, rising."""
        self.starts = starts
        self._passage = passage
        self._sentences: list[tuple[Span, frozenset[str]]] | None = None
        line = passage.find("\n") + 1
        self.head = line if 0 < line <= MAX_TITLE_CHARACTERS + 1 else 0

    def tokens(self, start: int, end: int) -> int:
        """How many tokens begin within characters ``[start, end)``."""
        first, last = np.searchsorted(self.starts, (start, end))
        return int(last - first)

    def parts(self, room: int) -> Iterator[tuple[Span, frozenset[str]]]:
        """Sentences after the head, each with its stems; longer ones than ``room`` tokens in pieces of half."""
        for span, stems in self._sentences_after_head():
            if self.tokens(*span) <= room:
                yield span, stems
            else:
                yield from ((piece, self._stems(piece)) for piece in self._pieces(span, max(1, room // 2)))

    def _sentences_after_head(self) -> list[tuple[Span, frozenset[str]]]:
        """Found when they are first needed: most passages fit."""
        if self._sentences is None:
            spans = sentence_spans(self._passage[self.head :])
            moved = [(self.head + start, self.head + end) for start, end in spans]
            self._sentences = [(span, self._stems(span)) for span in moved]
        return self._sentences

    def _pieces(self, span: Span, tokens: int) -> Iterator[Span]:
        start, end = span
        while start < end:
            following = min(end, self.end_after(start, tokens))
            yield start, following
            start = following

    def _stems(self, span: Span) -> frozenset[str]:
        return frozenset(stems(self._passage[slice(*span)]))

    def end_after(self, start: int, tokens: int) -> int:
        """The character before which exactly ``tokens`` tokens begin, counted from ``start``."""
        last = int(np.searchsorted(self.starts, start)) + tokens
        return int(self.starts[last]) if last < len(self.starts) else len(self._passage)


def best_window(wanted: set[str], cut: Cut, room: int) -> Window | None:
    """The window of at most ``room`` tokens in which most of the ``wanted`` stems stand; ``None`` where all fits.

    A stem counts by how rare it is among the passage's own sentences (one that is everywhere says nothing about
    where to look): log(1 + sentences / sentences with it). The earliest of equal windows is taken. A window is as
    many whole sentences as fit.
    """
    if len(cut.starts) <= room:
        return None
    head = cut.head if 2 * cut.tokens(0, cut.head) <= room else 0
    left = room - cut.tokens(0, head)
    parts = [(span, stems & wanted) for span, stems in cut.parts(left)]
    counts = Counter(stem for _, stems in parts for stem in stems)
    weights = {stem: math.log1p(len(parts) / count) for stem, count in counts.items()}
    best, most = Window(head, head, cut.end_after(head, left)), 0.0
    for first, last in fitting(cut, [span for span, _ in parts], left):
        covered = frozenset[str]().union(*(stems for _, stems in parts[first : last + 1]))
        weight = math.fsum(weights[stem] for stem in covered)  # exact, so that equal windows come out equal
        if weight > most:
            best, most = Window(head, parts[first][0][0], parts[last][0][1]), weight
    return best


def window_places(candidates: Sequence[Candidate], windows: Sequence[Span | None]) -> dict[int, Span]:
    """Chunk id → characters ``[start, end)`` of the chunk's text, of those candidates that a window was read of.

    ``windows`` count characters of the passage, which has the title in front (see `Scores`); empty for none.
    """
    places = {}
    for candidate, window in zip(candidates, windows, strict=bool(windows)):
        if window is not None:
            chunk = candidate.chunk
            before = len(chunk.passage) - len(chunk.text)
            places[chunk.id] = (max(0, window[0] - before), max(0, window[1] - before))
    return places


def fitting(cut: Cut, spans: Sequence[Span], room: int) -> Iterator[tuple[int, int]]:
    """First and last of ``spans`` of every window that has no room for the next one."""
    last = 0
    for first, (start, _) in enumerate(spans):
        last = max(last, first)
        while last + 1 < len(spans) and cut.tokens(start, spans[last + 1][1]) <= room:
            last += 1
        yield first, last
