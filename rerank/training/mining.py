"""Hard negatives: what the bi-encoder or BM25 ranks high and is not the answer.

Documents are embedded once (title and opening words), queries searched by exact inner product and by words. Ranks 2
to 50 of both give the negatives, since that is what a reranker will be asked to tell apart; positives and
near duplicates of a positive are filtered out: a false negative teaches the wrong thing.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rerank.scorers.windowed import words
from rerank.training.data import Entry, LabelledSet, Query
from rerank.training.lexical import BM25
from rerank.training.windows import first_words

OPENING_WORDS = 90  # what the bi-encoder sees of a document: about one chunk of the product
DEEPEST_RANK = 50
Ranks = tuple[int, int]
RANKS: Ranks = (1, DEEPEST_RANK)  # first and last rank that negatives are taken from, in either order
NEAR_DUPLICATE = 0.95
BLOCK = 512  # queries multiplied with all documents at once


class TextEncoder(Protocol):
    """What mining needs of a bi-encoder: rows of unit length, so that inner product is cosine."""

    def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (n, dim) of passages."""

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (n, dim) of queries."""


@dataclass(frozen=True, slots=True)
class MinedQuery:
    """A training query with its positives and its hard negatives, hardest first (document ids).

    ``is_title`` marks a query that is the title of its positives: such passages lose their title. ``judged``
    are negatives that people judged so; they are not among the mined ``negatives``.
    """

    text: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    is_title: bool = False
    judged: tuple[str, ...] = ()


def opening(entry: Entry) -> str:
    """The passage that stands for a document while mining: its title and its opening words."""
    text = first_words(entry.text, OPENING_WORDS)
    return f"{entry.title}\n{text}" if entry.title else text


def title_queries(labelled: LabelledSet, allowed: frozenset[str], limit: int, seed: int) -> list[Query]:
    """At most ``limit`` queries that are titles, each with all ``allowed`` documents under it.

    Short names of things are what labelled sets lack; a title over a tenth of the set names the set.
    """
    titles: dict[str, list[str]] = defaultdict(list)
    for name, entry in labelled.documents.items():
        if name in allowed and entry.title.strip():
            titles[entry.title.strip()].append(name)
    usable = [t for t, names in titles.items() if 10 * len(names) < len(labelled.documents) and len(t) < 100]
    random.Random(f"{seed}:titles:{labelled.name}").shuffle(usable)
    return [Query(f"title:{t}", t, dict.fromkeys(titles[t], 1)) for t in usable[:limit]]


def mine(
    labelled: LabelledSet,
    queries: Sequence[Query],
    allowed: frozenset[str],
    encoder: TextEncoder,
    depth: int,
    ranks: Ranks | None = RANKS,
) -> list[MinedQuery]:
    """Each query with up to ``depth`` mined negatives among the ``allowed`` documents; never empty-handed ones.

    ``ranks`` are the first and last rank to take, counted in the order of the bi-encoder and in that of BM25; their
    finds alternate, hardest first. Where positives are incomplete, first ranks hold unlabelled answers: begin
    deeper, or give ``None`` to mine nothing. Documents that people judged not relevant come beside them, unmined and
    unfiltered: a person knew better.

    All documents are embedded, the ones held out too, so that held-out queries find their vectors ready.
    """
    names = sorted(labelled.documents)
    everything = encoder.passages([opening(labelled.documents[name]) for name in names])
    allowed_rows = [row for row, name in enumerate(names) if name in allowed]
    pool = Pool(labelled, [names[row] for row in allowed_rows], everything[allowed_rows])
    query_vectors = encoder.queries([query.text for query in queries])
    relevant = _relevant_by_text(queries)
    mined = []
    for start in range(0, len(queries), BLOCK):
        block = queries[start : start + BLOCK]
        orders = (
            pool.orders([query.text for query in block], query_vectors[start : start + BLOCK])
            if ranks
            else []
        )
        for number, query in enumerate(block):
            judged = tuple(name for name in query.not_relevant if name in pool.rows)
            negatives = list[str]()
            if ranks:
                by_order = [
                    pool.negatives(order[number], relevant[_key(query.text)], ranks) for order in orders
                ]
                negatives = [name for name in _alternate(by_order) if name not in judged][:depth]
            positives = tuple(name for name in query.grades if name in pool.rows)
            if positives and (negatives or judged):
                is_title = query.id.startswith("title:")
                mined.append(MinedQuery(query.text, positives, tuple(negatives), is_title, judged))
    return mined


class Pool:
    """The documents that negatives may come from, searched by vectors and by words."""

    def __init__(self, labelled: LabelledSet, names: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """``vectors`` (n, dim) are of unit length and belong to ``names``."""
        self._labelled, self._names, self._vectors = labelled, names, vectors
        self.rows = {name: row for row, name in enumerate(names)}
        self._words = BM25([opening(labelled.documents[name]) for name in names])

    def orders(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> list[NDArray[np.int64]]:
        """The rows (queries, ranks) of the best documents by the bi-encoder, and by BM25."""
        deepest = min(DEEPEST_RANK, len(self._names))
        return [_best(vectors @ self._vectors.T, deepest), _best(self._words.scores(texts), deepest)]

    def negatives(self, order: NDArray[np.int64], positives: set[str], ranks: Ranks) -> list[str]:
        """Documents of ``order`` within ``ranks`` that are none of ``positives`` and no near duplicate of one."""
        anchors = [self.rows[name] for name in positives if name in self.rows]
        texts = {self._labelled.documents[name].text for name in positives}
        alike = np.zeros(len(order), dtype=bool)
        if anchors:
            alike = (self._vectors[order] @ self._vectors[anchors].T).max(axis=1) >= NEAR_DUPLICATE
        names = [self._names[row] for row in order]
        usable = [
            (rank, name)
            for rank, (name, near) in enumerate(zip(names, alike, strict=True), 1)
            if name not in positives and not near and self._labelled.documents[name].text not in texts
        ]
        # Rank 1 of a query without its positive there is as often an unlabelled answer as a mistake.
        first = max(ranks[0], 2)
        return [name for rank, name in usable if first <= rank <= ranks[1]]


def _best(scores: NDArray[np.float32], deepest: int) -> NDArray[np.int64]:
    """The columns of each row's ``deepest`` highest scores, in falling order."""
    top = np.argpartition(-scores, deepest - 1, axis=1)[:, :deepest]
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    best: NDArray[np.int64] = np.take_along_axis(top, order, axis=1)
    return best


def _alternate(lists: Sequence[Sequence[str]]) -> list[str]:
    """The names of all ``lists`` in turns, each once."""
    return list(dict.fromkeys(name for name in chain.from_iterable(zip_longest(*lists)) if name is not None))


def _key(text: str) -> str:
    return " ".join(words(text))


def _relevant_by_text(queries: Sequence[Query]) -> dict[str, set[str]]:
    """Relevant documents by normalised query: the same question asked twice shares its answers."""
    relevant: dict[str, set[str]] = defaultdict(set)
    for query in queries:
        relevant[_key(query.text)].update(query.grades)
    return relevant
