"""Quality of both looks on labelled sets, through the product's own library and search.

    .venv/bin/python -m tests.benchmarks.quality SET… [--fp32 DIR] [--candidates 100] [--queries N] [--work DIR]

SET is a folder in BEIR's layout whose qrels/test.tsv (or the only file there) is used, or a folder of
documents with queries.jsonl and qrels/, as data/sample is. Documents count by their best passage. For
each set: nDCG@10, MRR@10 and recall of the first look and of the second, the paired randomisation test of
the difference, and how many queries got better and worse. With --fp32 the folder of a training run is
scored on the same candidates, which says what int8 costs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import pickle
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from ingest.encoder import SentenceTransformerEncoder
from ingest.hub import Hub
from ingest.library import Library, Manifest
from ingest.models import resolve_encoder
from ingest.pipeline import ingest, walk
from rerank.models import resolve_reranker
from rerank.records import SearchResult
from rerank.scorers import open_scorer
from rerank.search import Searcher
from rerank.training.evaluate import ndcg, paired_randomisation
from rerank.training.model import load_base, score_pairs
from retrieval.records import Candidate
from retrieval.retriever import Retriever


@dataclass(frozen=True, slots=True)
class Labelled:
    """Queries of a set: ``(id, text)``, their grades by document id, and the files to ingest."""

    name: str
    queries: list[tuple[str, str]]
    grades: dict[str, dict[str, int]]
    files: list[Path]


def read_set(folder: Path) -> Labelled:
    """Reads the labels; the documents stay files."""
    tables = sorted((folder / "qrels").glob("*.tsv"))
    table = next((path for path in tables if path.stem == "test"), tables[0])
    grades: dict[str, dict[str, int]] = {}
    with table.open(encoding="utf-8") as lines:
        for row in csv.reader(lines, delimiter="\t"):
            if len(row) == 3 and row[2].lstrip("-").isdigit() and int(row[2]) > 0:
                grades.setdefault(row[0], {})[row[1]] = int(row[2])
    with (folder / "queries.jsonl").open(encoding="utf-8") as lines:
        found = [(str(row["_id"]), str(row["text"])) for row in map(json.loads, lines)]
    corpus = folder / "corpus.jsonl"
    files = [corpus] if corpus.is_file() else [folder / "documents"]
    return Labelled(folder.name, [pair for pair in found if pair[0] in grades], grades, files)


def document_of(candidate: Candidate) -> str:
    """The id by which qrels name the candidate's document: a corpus entry's, else the file's name."""
    path = candidate.chunk.path
    return path.rpartition("#")[2] if "#" in path else Path(path).name


def documents(candidates: Sequence[Candidate]) -> list[str]:
    """Documents in the order of their best passage."""
    return list(dict.fromkeys(document_of(candidate) for candidate in candidates))


def figures(order: Sequence[str], grades: dict[str, int]) -> tuple[float, float, float]:
    """nDCG@10 (linear gains), MRR@10 and recall over all of ``order``."""
    ideal = np.array(sorted(grades.values(), reverse=True), dtype=np.int64)
    gains = np.array([grades.get(name, 0) for name in order], dtype=np.int64)
    first = next((1 / (rank + 1) for rank, gain in enumerate(gains[:10]) if gain), 0.0)
    return ndcg(gains, ideal), first, sum(name in grades for name in order) / len(grades)


def library_of(labelled: Labelled, encoder: SentenceTransformerEncoder, work: Path) -> Library:
    """The set's library under ``work``, made on first use."""
    folder = work / labelled.name
    if Library.exists(folder):
        return Library(folder)
    library = Library.create(folder, Manifest.of(encoder.model.spec))
    ingest(list(walk(labelled.files)), library, encoder)
    return library


def answer(searcher: Searcher, query_id: str, text: str, candidates: int, kept: Path) -> SearchResult:
    """The answer to one query, kept in a folder, so that a run that was stopped goes on where it was."""
    path = kept / f"{query_id}.pickle"
    if path.is_file():
        found: SearchResult = pickle.loads(path.read_bytes())
        return found
    result = searcher.search(text, candidates)
    kept.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_bytes(pickle.dumps(result))
    partial.replace(path)
    return result


def report_set(labelled: Labelled, results: Sequence[SearchResult]) -> None:
    """Prints one set's table."""
    pairs = list(zip(labelled.queries, results, strict=True))
    before = np.array([figures(documents(r.before), labelled.grades[q]) for (q, _), r in pairs])
    after = np.array(
        [figures(documents([h.candidate for h in r.after]), labelled.grades[q]) for (q, _), r in pairs]
    )
    alone = [figures(_cross_alone(r), labelled.grades[q])[0] for (q, _), r in pairs]
    p = paired_randomisation(before[:, 0].tolist(), after[:, 0].tolist(), seed=0)
    gains = after[:, 0] - before[:, 0]
    print(
        f"\n{labelled.name}: {len(pairs)} queries, {np.mean([len(r.before) for r in results]):.0f} candidates"
    )
    print("                 nDCG@10   MRR@10   recall of the candidates")
    for name, rows in (("first look", before), ("second look", after)):
        print(f"  {name:14} {rows[:, 0].mean():7.4f}  {rows[:, 1].mean():7.4f}  {rows[:, 2].mean():7.4f}")
    print(f"  cross-encoder's own logit alone: nDCG@10 {np.mean(alone):.4f}")
    print(
        f"  difference {gains.mean():+.4f} nDCG@10, p = {p:.4f} (paired randomisation, 10,000 rounds); "
        f"{(gains > 1e-9).sum()} queries better, {(gains < -1e-9).sum()} worse"
    )
    sys.stdout.flush()


def _cross_alone(result: SearchResult) -> list[str]:
    hits = sorted(result.after, key=lambda hit: -hit.cross_logit)
    return documents([hit.candidate for hit in hits])


def report_int8(labelled: Labelled, results: Sequence[SearchResult], fp32: Path, weight: float) -> None:
    """Prints what int8 changes against the same weights in fp32, on the same candidates."""
    model = load_base(fp32, 320)
    taus, before, after = [], [], []
    for (query_id, text), result in zip(labelled.queries, results, strict=True):
        ours = {hit.candidate.chunk.id: hit.cross_logit for hit in result.after}
        logits = _fp32_logits(model, text, [candidate.chunk.passage for candidate in result.before])
        mixed = [x + weight * c.score for x, c in zip(logits, result.before, strict=True)]
        small = [ours[c.chunk.id] + weight * c.score for c in result.before]
        taus.append(float(kendalltau(mixed, small).statistic))
        order = [result.before[row] for row in np.argsort([-x for x in mixed], kind="stable")]
        before.append(figures(documents(order), labelled.grades[query_id])[0])
        shown = [hit.candidate for hit in result.after]
        after.append(figures(documents(shown), labelled.grades[query_id])[0])
    print(
        f"  int8 against fp32: nDCG@10 {np.mean(before):.4f} (fp32) and {np.mean(after):.4f} (int8), "
        f"{np.mean(after) - np.mean(before):+.4f}; Kendall's tau of the candidates {np.mean(taus):.4f} "
        f"(lowest {np.min(taus):.4f}), {len(taus)} queries"
    )


def _fp32_logits(model: object, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
    import torch

    with torch.no_grad():
        order = np.argsort([len(text) for text in passages])
        logits = np.empty(len(passages), dtype=np.float32)
        for rows in np.array_split(order, max(1, len(order) // 16)):
            logits[rows] = score_pairs(model, [(query, passages[row]) for row in rows], 320).numpy()  # type: ignore[arg-type]
    return logits


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--reranker", default="bundled")
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--queries", type=int, default=0, help="at most so many, drawn by seed 0")
    parser.add_argument("--fp32", type=Path, help="folder of the training run, to compare with int8")
    parser.add_argument("--part", default="1/1", help="K/N: answer that share of the queries, report nothing")
    parser.add_argument("--work", type=Path, help="keep the libraries here")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="second-look-quality-"))
    encoder = SentenceTransformerEncoder(resolve_encoder("bundled", Hub(allow_downloads=False)))
    scorer = open_scorer(resolve_reranker(options.reranker, Hub(allow_downloads=False)))
    print(f"encoder {encoder.model.name}; reranker {scorer.model.name} {scorer.model.spec.revision}")
    for folder in options.sets:
        labelled = read_set(folder)
        if 0 < options.queries < len(labelled.queries):
            labelled.queries[:] = random.Random(0).sample(labelled.queries, options.queries)
        searcher = Searcher(Retriever(library_of(labelled, encoder, work), encoder), scorer)
        kept = work / f"{labelled.name}-{scorer.model.spec.revision}-{options.candidates}"
        part, parts = (int(number) for number in options.part.split("/"))
        mine = labelled.queries[part - 1 :: parts]
        found = {query: answer(searcher, query, text, options.candidates, kept) for query, text in mine}
        if parts > 1:
            continue
        results = [found[query] for query, _ in labelled.queries]
        report_set(labelled, results)
        if options.fp32:
            report_int8(labelled, results, options.fp32, scorer.model.spec.bi_weight)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
