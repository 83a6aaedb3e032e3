"""What the second look knows after each slice, and what ending it early saves and costs.

    .venv/bin/python -m tests.benchmarks.anytime SET… [--queries N] [--documents N] [--held-out] [--reranker NAME]

SET is a folder in BEIR's layout, or a folder of documents with queries.jsonl and qrels/, as data/sample is; the
test split is used where there is one, else the only one. With --held-out only those queries are asked that
`secondlook train` holds out with seed 0: sets that a reranker was trained on are then fit to choose by.

Each query's candidates are scored once; the slices, and the rules that end them early, are then replayed from
the kept logits through the product's own code. Times are measured on a few queries, in slices and in one call in
turn. Libraries are kept in the user's cache folder.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ingest.cache_folder import kept_in_cache
from ingest.encoders.onnx import open_encoder
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.records import digest
from ingest.sources import Source
from rerank.evaluation.corpus import default_folder, fill_library
from rerank.factory import ModelChoice, open_searcher, resolve_models
from rerank.judged.beir import CORPUS, QRELS
from rerank.judged.dataset import document_id, read_judged_set
from rerank.judged.measures import measure
from rerank.judged.records import JudgedSet
from rerank.records import FirstLook, SearchResult
from rerank.request import SearchRequest, SecondLookPlan, StableRule
from rerank.scorers.base import Scores
from rerank.search import Searcher
from rerank.second_look import score_in_slices, slices
from rerank.training.data import read_labelled_set
from rerank.training.split import split_by_document
from tests.benchmarks.machine import machine

TOP = 10
RULES = (1, 2, 3, 4)
SEED, HELD_OUT_SHARE = 0, 0.1  # those of `secondlook train`


@dataclass(frozen=True, slots=True)
class Answered:
    """A query whose candidates are all scored: its id, and its result."""

    query: str
    result: SearchResult

    @property
    def first(self) -> FirstLook:
        """The first look that it was made from."""
        found = self.result
        return FirstLook(found.query, found.before, found.timings, found.models)


class Replay:
    """A scorer that gives the logits of an earlier result again, by passage."""

    def __init__(self, result: SearchResult) -> None:
        assert result.models.reranker is not None
        self.model = result.models.reranker
        self._logits = {hit.candidate.chunk.passage: hit.logit for hit in result.after}

    def score(
        self, query: str, passages: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> Scores:
        """The kept logits; nothing is known of tokens."""
        logits = np.array([self._logits[passage] for passage in passages], dtype=np.float32)
        return Scores(logits, np.zeros(len(passages), np.int64), np.zeros(len(passages), np.bool_))


def choose_queries(folder: Path, options: argparse.Namespace) -> JudgedSet:
    """The set of ``folder`` with the queries to ask: held out if wanted, then at most so many, by the seed."""
    splits = sorted(path.stem for path in (folder / QRELS).glob("*.tsv"))
    judged = read_judged_set(folder, "test" if "test" in splits else splits[0])
    names = list(judged.queries)
    if options.held_out:
        held_out = split_by_document(read_labelled_set(folder), HELD_OUT_SHARE, SEED).held_out
        names = [query.id for query in held_out if query.id in judged.queries]
    if 0 < options.queries < len(names):
        names = random.Random(SEED).sample(names, options.queries)
    return replace(
        judged,
        queries={name: judged.queries[name] for name in names},
        qrels={name: judged.qrels[name] for name in names},
    )


def reduced(judged: JudgedSet, count: int) -> JudgedSet:
    """The set with ``count`` of its documents: those that are judged for its queries, and others by the seed."""
    corpus = judged.folder / CORPUS
    if not count or not corpus.is_file():
        return judged
    lines = {str(json.loads(line)["_id"]): line for line in corpus.read_text("utf-8").splitlines() if line}
    kept = {name for grades in judged.qrels.values() for name in grades} & lines.keys()
    others = sorted(lines.keys() - kept)
    kept |= set(random.Random(SEED).sample(others, min(max(count - len(kept), 0), len(others))))
    name = digest(str(judged.folder), *sorted(kept))[:12]
    folder = kept_in_cache("anytime", name, judged.name)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CORPUS
    path.write_text("\n".join(line for key, line in lines.items() if key in kept) + "\n", encoding="utf-8")
    return replace(judged, folder=folder, corpus=(Source.of_path(path),))


def answer_all(judged: JudgedSet, searcher: Searcher, candidates: int, timed: int) -> list[Answered]:
    """Every query answered whole; the first ``timed`` ones in slices too, and the times printed."""
    answers, rows, same = [], [], 0
    for number, (query, text) in enumerate(judged.queries.items()):
        first = searcher.first_look(SearchRequest(text, candidates))
        if number >= timed:
            answers.append(Answered(query, searcher.second_look(first)))
            continue
        partial: list[SearchResult] = []
        if number % 2:
            whole = searcher.second_look(first)
            sliced = searcher.second_look(first, on_partial=partial.append)
        else:
            sliced = searcher.second_look(first, on_partial=partial.append)
            whole = searcher.second_look(first)
        answers.append(Answered(query, whole))
        soonest = (partial or [sliced])[0].timings
        rows.append([soonest.total, soonest.rerank, sliced.timings.rerank, whole.timings.rerank])
        same += [h.candidate for h in sliced.after] == [h.candidate for h in whole.after]
    if rows:
        asked, soon, sliced_ms, whole_ms = (statistics.median(column) for column in zip(*rows, strict=True))
        ratio = sum(row[2] for row in rows) / sum(row[3] for row in rows)
        print(
            f"  {len(rows)} queries timed: first order {asked:.0f} ms after the question, {soon:.0f} ms of them its "
            f"slice; all slices {sliced_ms:.0f} ms, one call {whole_ms:.0f} ms (medians); slices ÷ one call "
            f"{ratio:.3f}; the same order in {same} of {len(rows)}"
        )
    return answers


def ndcg(judged: JudgedSet, results: Mapping[str, SearchResult]) -> float:
    """Mean nDCG@10 of documents by their best passage, over all queries."""
    orders = {
        query: tuple(dict.fromkeys(document_id(candidate.chunk.path) for candidate in result.reordered))
        for query, result in results.items()
    }
    return statistics.fmean(measure(judged.qrels, orders)["nDCG@10"].values())


def replayed(answer: Answered, rule: StableRule | None = None) -> list[SearchResult]:
    """The order after every slice, as the product gives it; the last one is the result under ``rule``."""
    scorer, orders = Replay(answer.result), list[SearchResult]()
    spec = replace(scorer.model.spec, bi_weight=0.0)  # the kept numbers hold the cosine's share already
    last = score_in_slices(
        answer.first, scorer, spec, SecondLookPlan(stop_when_stable=rule), on_partial=orders.append
    )
    return [*orders, last]


def top(result: SearchResult, count: int = TOP) -> list[int]:
    """The chunk ids of the first ``count`` places."""
    return [candidate.chunk.id for candidate in result.reordered[:count]]


def report_slices(judged: JudgedSet, answers: Sequence[Answered], candidates: int) -> None:
    """What stands after each slice. A set of ten that stands has its order too: a logit does not change later."""
    orders = {answer.query: replayed(answer) for answer in answers}
    ends = np.cumsum(slices(candidates)).tolist()
    print("  passages scored       " + "".join(f"{end:>8}" for end in ends))
    rows: dict[str, list[str]] = {
        "top 10 stands": [],
        "of it found": [],
        "first place stands": [],
        "nDCG@10": [],
    }
    for end in ends:
        at = {
            query: next((r for r in found if r.scored >= end), found[-1]) for query, found in orders.items()
        }
        final = {query: found[-1] for query, found in orders.items()}
        same = statistics.fmean(top(at[q]) == top(final[q]) for q in at)
        share = statistics.fmean(len({*top(at[q])} & {*top(final[q])}) / len(top(final[q])) for q in at)
        first = statistics.fmean(top(at[q], 1) == top(final[q], 1) for q in at)
        cells = [f"{same:.0%}", f"{share:.0%}", f"{first:.0%}", f"{ndcg(judged, at):.4f}"]
        for row, cell in zip(rows.values(), cells, strict=True):
            row.append(cell)
    for name, row in rows.items():
        print(f"  {name:<22}" + "".join(f"{cell:>8}" for cell in row))


def report_rules(judged: JudgedSet, answers: Sequence[Answered]) -> list[tuple[float, float]]:
    """What each rule scores and loses; (share of passages scored, change of nDCG@10) for each of `RULES`."""
    whole = ndcg(judged, {answer.query: answer.result for answer in answers})
    rows = []
    for number in RULES:
        ended = {answer.query: replayed(answer, StableRule(number, TOP))[-1] for answer in answers}
        share = statistics.fmean(result.scored / len(result.before) for result in ended.values())
        early = sum(not result.complete for result in ended.values())
        loss = ndcg(judged, ended) - whole
        rows.append((share, loss))
        print(
            f"  stable for {number} {'slice ' if number == 1 else 'slices'}: {share:6.1%} of the passages scored, "
            f"{early} of {len(ended)} queries ended early, nDCG@10 {loss:+.4f}"
        )
    return rows


def report_set(
    folder: Path, searcher_of: Callable[[JudgedSet], Searcher], options: argparse.Namespace
) -> list[tuple[float, float]]:
    """Everything about one set; the rows of `report_rules`."""
    judged = reduced(choose_queries(folder, options), options.documents)
    searcher = searcher_of(judged)
    held_out = ", held out" if options.held_out else ""
    print(f"\n{judged.name}, split {judged.split}{held_out}: {len(judged.queries)} queries", flush=True)
    answers = answer_all(judged, searcher, options.candidates, options.timed)
    before = {a.query: replace(a.result, after=(), stopped=None) for a in answers}
    whole = {a.query: a.result for a in answers}
    print(f"  nDCG@10: first look {ndcg(judged, before):.4f}, second look {ndcg(judged, whole):.4f}")
    report_slices(judged, answers, options.candidates)
    return report_rules(judged, answers)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="+", type=Path, metavar="SET")
    parser.add_argument("--reranker", default="bundled")
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--queries", type=int, default=0, help="at most so many a set, drawn by seed 0")
    parser.add_argument("--documents", type=int, default=0, help="at most so many of each corpus.jsonl")
    parser.add_argument("--held-out", action="store_true", help="only queries that training holds out")
    parser.add_argument("--timed", type=int, default=10, help="queries a set that are timed (default 10)")
    options = parser.parse_args()
    encoder = open_encoder(resolve_encoder("bundled", Hub(allow_downloads=False)))

    def searcher_of(judged: JudgedSet) -> Searcher:
        library, _ = fill_library(judged, default_folder(judged, encoder.model.spec), encoder)
        choice = ModelChoice(None, options.reranker, allow_downloads=False)
        return open_searcher(library, resolve_models(choice, library, encoder), keep_scores=False)

    print(machine())
    rows = [report_set(folder, searcher_of, options) for folder in options.sets]
    print(f"\nmean of {len(rows)} sets")
    for number, found in zip(RULES, zip(*rows, strict=True), strict=True):
        share, loss = (statistics.fmean(column) for column in zip(*found, strict=True))
        print(f"  stable for {number}: {share:6.1%} of the passages scored, nDCG@10 {loss:+.4f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
