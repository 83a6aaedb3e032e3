"""A judged set small enough to work out by hand, on disk, in a real library, with scorers that are planted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ingest.library.library import Library
from rerank.evaluation.corpus import fill_library
from rerank.judged.dataset import read_judged_set
from rerank.judged.records import JudgedSet
from rerank.scorers.base import Scores
from rerank.search import Searcher
from retrieval.retriever import Retriever
from tests.fakes import WORD_SCORER, WordEncoder, WordScorer

Judge = Callable[[str, Sequence[str]], Sequence[float]]


class Planted(WordScorer):
    """Scores by a function of the query and its passages, under a name of its own."""

    def __init__(self, name: str, judge: Judge) -> None:
        super().__init__(replace(WORD_SCORER, name=name))
        self._judge = judge

    def score(
        self, query: str, passages: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> Scores:
        counts = super().score(query, passages, on_batch)
        return replace(counts, logits=np.array(self._judge(query, passages), dtype=np.float32))


def as_before(query: str, passages: Sequence[str]) -> list[float]:
    """Keeps the bi-encoder's order."""
    return [-float(place) for place in range(len(passages))]


def reversed_order(query: str, passages: Sequence[str]) -> list[float]:
    """Turns the bi-encoder's order round."""
    return [float(place) for place in range(len(passages))]


def write_set(
    folder: Path,
    corpus: Mapping[str, str],
    queries: Mapping[str, str],
    qrels: Sequence[tuple[str, str, int]],
    split: str = "test",
) -> Path:
    """A folder in BEIR's layout."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, rows in (("corpus.jsonl", corpus), ("queries.jsonl", queries)):
        lines = [json.dumps({"_id": key, "title": "", "text": text}) for key, text in rows.items()]
        (folder / name).write_text("\n".join(lines) + "\n")
    table = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in qrels)]
    (folder / "qrels" / f"{split}.tsv").write_text("\n".join(table) + "\n")
    return folder


TOPICS = ("snake", "venom", "python", "code", "bank", "river", "money", "flood", "crane", "bird", "steel")


def write_topics(folder: Path) -> Path:
    """A query a topic; of its four documents the bi-encoder ranks the relevant one second, by word counts."""
    corpus, qrels = {}, []
    for topic in TOPICS:
        texts = [topic, f"{topic} answer", f"{topic} other other", f"{topic} more more more"]
        corpus |= {f"{topic}{place}": text for place, text in enumerate(texts)}
        qrels += [(topic, f"{topic}1", 2), (topic, f"{topic}3", 0)]
    return write_set(folder, corpus, {topic: topic for topic in TOPICS}, qrels)


def knows(query: str, passages: Sequence[str]) -> list[float]:
    """Puts the answer first, and leaves the others as they are."""
    return [2.0 * (f"{query} answer" in passage) - place / 100 for place, passage in enumerate(passages)]


def open_set(folder: Path, library: Path) -> tuple[JudgedSet, Library, WordEncoder]:
    """The set of ``folder``, and its library in ``library``, made with the word encoder."""
    judged, encoder = read_judged_set(folder, "test"), WordEncoder()
    return judged, fill_library(judged, library, encoder)[0], encoder


def searcher(library: Library, encoder: WordEncoder, scorer: WordScorer | None) -> Searcher:
    return Searcher(Retriever(library, encoder), scorer)
