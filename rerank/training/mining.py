"""Hard negatives: what the bi-encoder ranks high and is not the answer.

Documents are embedded once (title and opening words), queries searched by exact inner product. Ranks 2
to 50 give the negatives; positives, documents of the same title where titles name subjects closely, and
near duplicates of a positive are filtered out: a false negative teaches the wrong thing.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rerank.training.beir import Entry, LabelledSet, Query
from rerank.training.windows import first_words, words

OPENING_WORDS = 90  # what the bi-encoder sees of a document: about one chunk of the product
DEEPEST_RANK = 50
NEAR_DUPLICATE = 0.95
BLOCK = 512  # queries multiplied with all documents at once


class TextEncoder(Protocol):
    """What mining needs of a bi-encoder: rows of unit length, so that inner product is cosine."""

    def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (n, dim) of passages."""

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (n, dim) of queries."""


@dataclass(frozen=True, slots=True)
class Mined:
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
    labelled: LabelledSet, queries: Sequence[Query], allowed: frozenset[str], encoder: TextEncoder, depth: int
) -> list[Mined]:
    """Each query with up to ``depth`` mined negatives among the ``allowed`` documents; never empty-handed ones.

    Documents that people judged not relevant come beside them, unmined and unfiltered: a person knew better.

    All documents are embedded, the ones held out too, so that held-out queries find their vectors ready.
    """
    names = sorted(labelled.documents)
    everything = encoder.passages([opening(labelled.documents[name]) for name in names])
    kept = [row for row, name in enumerate(names) if name in allowed]
    pool, vectors = [names[row] for row in kept], everything[kept]
    rows = {name: row for row, name in enumerate(pool)}
    asked = encoder.queries([query.text for query in queries])
    relevant = _relevant_by_text(queries)
    mined = []
    for start in range(0, len(queries), BLOCK):
        scores = asked[start : start + BLOCK] @ vectors.T
        for query, row in zip(queries[start : start + BLOCK], scores, strict=True):
            known = relevant[_key(query.text)]
            judged = tuple(name for name in query.not_relevant if name in rows)
            found = _negatives(labelled, row, pool, rows, vectors, known)
            negatives = tuple(name for name in found if name not in judged)[:depth]
            positives = tuple(name for name in query.grades if name in rows)
            if positives and (negatives or judged):
                is_title = query.id.startswith("title:")
                mined.append(Mined(query.text, positives, negatives, is_title, judged))
    return mined


def _key(text: str) -> str:
    return " ".join(words(text))


def _relevant_by_text(queries: Sequence[Query]) -> dict[str, set[str]]:
    """Relevant documents by normalised query: the same question asked twice shares its answers."""
    relevant: dict[str, set[str]] = defaultdict(set)
    for query in queries:
        relevant[_key(query.text)].update(query.grades)
    return relevant


def _negatives(
    labelled: LabelledSet,
    scores: NDArray[np.float32],
    pool: Sequence[str],
    rows: dict[str, int],
    vectors: NDArray[np.float32],
    known: set[str],
) -> list[str]:
    """Document ids at ranks 2 to 50 by ``scores`` that are no positive and no near duplicate of one."""
    deepest = min(DEEPEST_RANK, len(pool))
    top = np.argpartition(-scores, deepest - 1)[:deepest]
    order = top[np.argsort(-scores[top], kind="stable")]
    anchors = [rows[name] for name in known if name in rows]
    texts = {labelled.documents[name].text for name in known}
    if anchors:
        alike = (vectors[order] @ vectors[anchors].T).max(axis=1) >= NEAR_DUPLICATE
    else:
        alike = np.zeros(len(order), dtype=bool)
    kept = [
        pool[row]
        for row, twin in zip(order, alike, strict=True)
        if pool[row] not in known and not twin and labelled.documents[pool[row]].text not in texts
    ]
    # Rank 1 of a query without its positive there is as often an unlabelled answer as a mistake.
    return kept[1:] if kept and pool[order[0]] == kept[0] else kept
