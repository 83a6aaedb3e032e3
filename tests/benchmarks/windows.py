"""What does it cost to read only a part of each passage, and which part? Measured on held-out questions.

    python -m tests.benchmarks.windows [--squad FOLDER] [--medquad FOLDER] --work DIR

Folders in BEIR's layout, of which the bundled reranker was trained on other documents than are asked for here
(the recipe's own split). Passages of up to 300 tokens: SQuAD's paragraphs are joined into their articles again, and a
passage's grade is the tenths of the answering paragraph that it holds; MedQuAD's answers are documents that count by
their best passage. The same candidates are ordered by the bundled reranker that reads

    whole     every token
    head N    the first N tokens
    window N  the window of N tokens that suits the query best (rerank.scorers.windowed)
    MaxP N    every window of N tokens, the best one counts: what whole costs, or more

each by itself and mixed with the bi-encoder's cosine as the product does it. Seconds are those of one thread. "whole,
fewer" is the whole text of the first candidates only, as many as cost no more tokens than window N.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ingest.chunker import Chunker
from ingest.encoders.base import Encoder
from ingest.encoders.onnx import open_encoder
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.records import Document
from rerank.judged.measures import measure
from rerank.judged.records import VERDICT_MEASURE
from rerank.registry import resolve_reranker
from rerank.scorers.base import Scorer, Scores
from rerank.scorers.onnx_cross_encoder import OnnxCrossEncoderScorer
from rerank.scorers.windowed import Cut, Window, WindowedScorer, fitting
from rerank.training.data import LabelledSet, Query, read_labelled_set
from rerank.training.split import limited, split_by_document
from tests.benchmarks.chunk_size import Labelled, articles, embed
from tests.benchmarks.machine import machine
from tests.parts.make_files import recipe

CHUNK_TOKENS = 300
HELD_OUT_SHARE, SEED = 0.1, 0  # what the bundled reranker's recipe held out


@dataclass(frozen=True)
class Ground:
    """Passages with their vectors, what each counts as, and queries with the grades of those names."""

    name: str
    passages: list[str]
    vectors: NDArray[np.float32]
    counts_as: list[str]
    queries: list[Query]
    grades: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Read:
    """What one way of reading gave for one query: logits (n,), tokens read in all, seconds."""

    logits: NDArray[np.float32]
    tokens: int
    seconds: float


Made = TypeVar("Made", Ground, Read)


def held_out(folder: Path, name: str, others: int) -> tuple[LabelledSet, list[Query], set[str]]:
    """The set as the recipe used it, its held-out queries, and their documents with about ``others`` more."""
    labelled = limited(read_labelled_set(folder), recipe.LIMITS.get(name, 0), SEED)
    split = split_by_document(labelled, HELD_OUT_SHARE, SEED)
    titles = sorted({e.title for k, e in labelled.documents.items() if k not in split.held_out_documents})
    random.Random(SEED).shuffle(titles)
    kept = set(split.held_out_documents)
    for title in titles:
        if len(kept) >= len(split.held_out_documents) + others:
            break
        kept |= {k for k, e in labelled.documents.items() if e.title == title}
    return labelled, list(split.held_out), kept


def sample(queries: list[Query], count: int) -> list[Query]:
    return random.Random(SEED).sample(queries, min(count, len(queries)))


def squad(folder: Path, count: int, others: int, encoder: Encoder) -> Ground:
    """Articles joined again; a passage's grade is the tenths of the answering paragraph that it holds."""
    labelled, queries, kept = held_out(folder, "squad", others)
    rows = {k: {"title": e.title, "text": e.text} for k, e in labelled.documents.items() if k in kept}
    documents, places = articles(Labelled(rows, {}, {}))
    chunks, vectors = embed(documents, Chunker(encoder.tokenizer, CHUNK_TOKENS), encoder)
    queries = sample(queries, count)
    grades: dict[str, dict[str, int]] = {}
    for query in queries:
        document, start, end = places[next(iter(query.grades))]
        held = {
            str(row): round(10 * (min(end, c.end) - max(start, c.start)) / (end - start))
            for row, c in enumerate(chunks)
            if c.document_id == document and c.start < end and c.end > start
        }
        grades[query.id] = {name: grade for name, grade in held.items() if grade > 0}
    names = [str(row) for row in range(len(chunks))]
    return Ground("squad", [c.passage for c in chunks], vectors, names, queries, grades)


def medquad(folder: Path, count: int, others: int, encoder: Encoder) -> Ground:
    """Answers are documents, which count by their best passage."""
    labelled, queries, kept = held_out(folder, "medquad", others)
    documents = [
        Document(k, labelled.documents[k].title, k, "text", labelled.documents[k].text) for k in sorted(kept)
    ]
    chunks, vectors = embed(documents, Chunker(encoder.tokenizer, CHUNK_TOKENS), encoder)
    queries = sample(queries, count)
    names = [c.path for c in chunks]
    return Ground(
        "medquad", [c.passage for c in chunks], vectors, names, queries, {q.id: q.grades for q in queries}
    )


class HeadScorer:
    """Reads the first ``tokens`` tokens of each passage."""

    def __init__(self, inner: Scorer, tokens: int) -> None:
        self._inner, self._tokens = inner, tokens
        self._cutter = WindowedScorer(inner, tokens)

    def score(self, query: str, passages: Sequence[str]) -> Scores:
        cuts = [self._cutter.cut(passage) for passage in passages]
        return self._inner.score(
            query, [p[: c.end_after(0, self._tokens)] for p, c in zip(passages, cuts, strict=True)]
        )


class MaxPScorer:
    """Reads each passage in windows of ``tokens`` tokens, one beside the other; the best one counts."""

    def __init__(self, inner: Scorer, tokens: int) -> None:
        self._inner, self._tokens = inner, tokens
        self._cutter = WindowedScorer(inner, tokens)

    def score(self, query: str, passages: Sequence[str]) -> Scores:
        texts, owners = [], []
        for row, passage in enumerate(passages):
            for text in tiles(passage, self._cutter.cut(passage), self._tokens):
                texts.append(text)
                owners.append(row)
        scores = self._inner.score(query, texts)
        logits = np.full(len(passages), -np.inf, dtype=np.float32)
        tokens = np.zeros(len(passages), dtype=np.int64)
        np.maximum.at(logits, owners, scores.logits)
        np.add.at(tokens, owners, scores.tokens)
        return Scores(logits, tokens, np.zeros(len(passages), dtype=np.bool_))


def tiles(passage: str, cut: Cut, tokens: int) -> Iterator[str]:
    """The passage in windows of at most ``tokens`` tokens, each with the title, that do not overlap."""
    if len(cut.starts) <= tokens:
        yield passage
        return
    left = tokens - cut.tokens(0, cut.head)
    spans = [span for span, _ in cut.parts(left)]
    following = 0
    for first, last in fitting(cut, spans, left):
        if first == following:
            following = last + 1
            yield Window(cut.head, spans[first][0], spans[last][1]).of(passage)


def measured(score: Callable[[str, Sequence[str]], Scores], query: str, passages: Sequence[str]) -> Read:
    started = time.perf_counter()
    scores = score(query, passages)
    return Read(scores.logits, int(scores.tokens.sum()), time.perf_counter() - started)


def kept_or_made(path: Path, make: Callable[[], Made], load: Callable[[Any, dict[str, Any]], Made]) -> Made:
    """What ``make`` gave before, so that a run that was stopped goes on where it was: arrays, and JSON of the rest."""
    if path.is_file():
        with np.load(path, allow_pickle=False) as kept:
            return load(kept, json.loads(str(kept["facts"])))
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {name: value for name, value in asdict(made).items() if not isinstance(value, np.ndarray)}
    arrays = {name: value for name, value in asdict(made).items() if isinstance(value, np.ndarray)}
    with path.open("wb") as handle:
        np.savez(handle, facts=np.array(json.dumps(facts)), **arrays)
    return made


def ground_of(arrays: Any, facts: dict[str, Any]) -> Ground:
    queries = [Query(**query) for query in facts.pop("queries")]
    return Ground(vectors=arrays["vectors"], queries=queries, **facts)


def read_of(arrays: Any, facts: dict[str, Any]) -> Read:
    return Read(logits=arrays["logits"], **facts)


def gain(ground: Ground, query: Query, rows: Sequence[int]) -> float:
    """nDCG@10 (linear gains) of the passages ``rows`` in this order."""
    grades = ground.grades[query.id]
    order = dict.fromkeys(ground.counts_as[row] for row in rows)
    return measure({query.id: grades}, {query.id: list(order)}, (VERDICT_MEASURE,))[VERDICT_MEASURE][query.id]


def ordered(
    candidates: NDArray[np.int64], logits: NDArray[np.float32], cosines: NDArray[np.float32], weight: float
) -> list[int]:
    """Candidates by falling mix; those beyond the scored ones keep their order behind them."""
    scored = np.argsort(-(logits + weight * cosines[: len(logits)]), kind="stable")
    return [*candidates[scored].tolist(), *candidates[len(logits) :].tolist()]


def report(ground: Ground, read: Mapping[str, list[Read]], found: list[NDArray[np.int64]], asked: NDArray[np.float32],
           weight: float, tokens: Sequence[int]) -> None:  # fmt: skip
    """Prints a set's table, of the queries that all ways have read."""
    count = min(len(rows) for rows in read.values())
    queries = ground.queries[:count]
    cosines = [
        ground.vectors[rows] @ vector for rows, vector in zip(found[:count], asked[:count], strict=True)
    ]
    first = [gain(ground, q, rows.tolist()) for q, rows in zip(queries, found[:count], strict=True)]
    print(
        f"\n{ground.name}: {count} queries, {len(found[0])} candidates of {len(ground.passages)} passages; "
        f"first look alone: nDCG@10 {np.mean(first):.4f}"
    )
    print("              nDCG@10: logit  (to whole ± s.e.)     mix  (to whole ± s.e.)  tokens   seconds")
    ways = dict(read)
    for size in (size for size in tokens if f"window {size}" in read):
        ways[f"whole, fewer ({size})"] = [fewer(w, b) for w, b in zip(read["whole"], read[f"window {size}"])]  # noqa: B905
    base: dict[float, NDArray[np.float64]] = {}
    for name, rows in ways.items():
        line = f"  {name:18}"
        for used in (0.0, weight):
            gains = np.array([
                gain(ground, q, ordered(f, r.logits, c, used))
                for q, f, r, c in zip(queries, found[:count], rows[:count], cosines, strict=True)
            ])  # fmt: skip
            lost = gains - base.setdefault(used, gains)
            line += (
                f"  {gains.mean():.4f}  ({lost.mean():+.4f} ± {lost.std(ddof=1) / np.sqrt(len(lost)):.4f})  "
            )
        spent = np.median([r.seconds for r in rows[:count]])
        print(f"{line}  {np.mean([r.tokens for r in rows[:count]]):7.0f}  {spent:6.2f}", flush=True)


def fewer(whole: Read, window: Read) -> Read:
    """The share of the candidates whose whole text costs the tokens of the windows."""
    share = min(1.0, window.tokens / whole.tokens)
    kept = max(1, round(share * len(whole.logits)))
    return Read(whole.logits[:kept], window.tokens, whole.seconds * share)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--squad", type=Path)
    parser.add_argument("--medquad", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="what is found is kept here")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument(
        "--skip",
        type=int,
        default=0,
        help="report on none of the first so many queries: a size was chosen on those",
    )
    parser.add_argument("--candidates", type=int, default=30)
    parser.add_argument("--others", type=int, default=400, help="documents beside those held out, about")
    parser.add_argument("--tokens", type=int, nargs="+", default=[128, 64])
    parser.add_argument("--without", nargs="+", default=[], help="ways that are left out, as “MaxP 128”")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no further query after so long")
    options = parser.parse_args()
    print(machine(), flush=True)
    encoder = open_encoder(resolve_encoder("bundled", Hub(allow_downloads=False)))
    scorer = OnnxCrossEncoderScorer(resolve_reranker("bundled", Hub(allow_downloads=False)), threads=1)
    ways: dict[str, Callable[[str, Sequence[str]], Scores]] = {"whole": scorer.score}
    for size in options.tokens:
        ways[f"head {size}"] = HeadScorer(scorer, size).score
        ways[f"window {size}"] = WindowedScorer(scorer, size).score
    ways[f"MaxP {options.tokens[0]}"] = MaxPScorer(scorer, options.tokens[0]).score
    ways = {name: score for name, score in ways.items() if name not in options.without}
    grounds: list[Ground] = []
    for make, folder in ((squad, options.squad), (medquad, options.medquad)):
        if folder is not None:
            count = max(100, options.queries)  # the same sample for every smaller run
            path = options.work / f"{make.__name__}-{options.others}-{count}.npz"
            grounds.append(
                kept_or_made(path, partial(make, folder, count, options.others, encoder), ground_of)
            )
    asked = [np.stack([encoder.encode_query(q.text) for q in g.queries]) for g in grounds]
    found = [
        [np.argsort(-(g.vectors @ v), kind="stable")[: options.candidates] for v in vectors]
        for g, vectors in zip(grounds, asked, strict=True)
    ]
    read: list[dict[str, list[Read]]] = [{name: [] for name in ways} for _ in grounds]
    started = time.perf_counter()
    for number in range(options.queries):
        for ground, rows, kept in zip(grounds, found, read, strict=True):
            query, passages = (
                ground.queries[number].text,
                [ground.passages[row] for row in rows[number].tolist()],
            )
            for name, score in ways.items():
                path = (
                    options.work
                    / ground.name
                    / f"{options.others}-{options.candidates}-{number}-{name.replace(' ', '-')}.npz"
                )
                kept[name].append(kept_or_made(path, partial(measured, score, query, passages), read_of))
        if time.perf_counter() - started > options.seconds:
            break
    skip = options.skip
    for ground, rows, vectors, kept in zip(grounds, found, asked, read, strict=True):
        left = replace(ground, queries=ground.queries[skip:])
        shown = {name: all_read[skip:] for name, all_read in kept.items()}
        report(left, shown, rows[skip:], vectors[skip:], scorer.model.spec.bi_weight, options.tokens)


if __name__ == "__main__":
    main()
