"""TREC's run files: ``query Q0 document rank score tag``, a line a document."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import ir_measures
import numpy as np

from ingest.errors import DamagedFileError, UsageError
from rerank.evaluation.comparison import Comparison, compare_orders
from rerank.evaluation.systems import System
from rerank.judged.dataset import numbered_lines, read_qrels
from rerank.judged.measures import falling_scores
from rerank.judged.records import QueryRun

Orders = Mapping[str, Sequence[str]]


def run_paths(path: Path) -> tuple[Path, Path]:
    """Where the two orders go: ``run.txt`` → ``run.before.txt`` and ``run.after.txt``."""
    return path.with_suffix(f".before{path.suffix}"), path.with_suffix(f".after{path.suffix}")


def write_runs(path: Path, runs: Mapping[str, QueryRun]) -> tuple[Path, Path]:
    """Write both orders beside ``path`` (see `run_paths`) and say where.

    Raises `UsageError` where nothing can be written there, or an id holds white space.
    """
    before, after = run_paths(path)
    write_run(before, "first-look", {query: run.before for query, run in runs.items()})
    write_run(after, "second-look", {query: run.after for query, run in runs.items()})
    return before, after


def write_systems(path: Path, systems: Sequence[System]) -> list[Path]:
    """Write a run a system beside ``path``, ``run.txt`` → ``run.bundled-100.txt`` say, and say where.

    Raises as `write_runs`.
    """
    written = []
    for system in systems:
        tag = run_tag(f"{system.title} {system.depth or ''}")
        written.append(path.with_suffix(f".{tag}{path.suffix}"))
        write_run(written[-1], tag, system.orders)
    return written


def run_tag(title: str) -> str:
    """What a run goes by, of a system's ``title``: one word that is safe in the name of a file."""
    return re.sub(r"[^\w.]+", "-", title).strip("-.") or "run"


def write_run(path: Path, tag: str, orders: Orders) -> None:
    """Write one run; raises as `write_runs`."""
    text = "".join(line for query, order in orders.items() for line in _lines(query, order, tag))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"The run cannot be written to {path}: {error.strerror}. Choose another place."
        ) from error


def read_run(path: Path) -> dict[str, tuple[str, ...]]:
    """``{query id: document ids, best first}``, ordered as trec_eval does.

    By falling score in single precision, equals by falling id; the rank column is passed over. Raises
    `DamagedFileError` for a line that cannot be read or a document that a query lists twice, and
    `UsageError` where the file cannot be read.
    """
    scores: dict[str, dict[str, float]] = {}
    for number, line in numbered_lines(path):
        try:
            found = next(ir_measures.read_trec_run(f"{line}\n"))  # type: ignore[no-untyped-call]
        except ValueError as error:
            raise DamagedFileError(
                f"Line {number} of {path} is not “query Q0 document rank score tag”: “{line[:80]}”. Mend it and "
                "evaluate again."
            ) from error
        row = scores.setdefault(found.query_id, {})
        if found.doc_id in row or math.isnan(found.score):
            raise DamagedFileError(
                f"Line {number} of {path} lists {found.doc_id} a second time for the query {found.query_id}, or "
                "without a score that is a number. Take the line out and evaluate again."
            )
        row[found.doc_id] = float(np.float32(found.score))
    if not scores:
        raise DamagedFileError(f"{path} holds no run; nothing can be measured with it.")
    return {
        query: tuple(sorted(row, key=lambda d: (row[d], d), reverse=True)) for query, row in scores.items()
    }


def compare_run_files(qrels: Path, runs: Sequence[Path], *, pairs: bool = False) -> Comparison:
    """The first run of ``runs`` measured, and every other one held against it. No model is asked.

    Raises as `read_run`, and `UsageError` where runs share a name or judge none of the queries.
    """
    names = (
        [path.name for path in runs]
        if len({path.name for path in runs}) == len(runs)
        else list(map(str, runs))
    )
    judged = read_qrels(qrels)
    systems = [System(name, read_run(path), {}) for name, path in zip(names, runs, strict=True)]
    for system in systems:
        if not judged.keys() & system.orders.keys():
            raise UsageError(
                f"{system.name} answers none of the {len(judged)} queries that {qrels} judges (“{next(iter(judged))}”, "
                "say). Are they of the same set?"
            )
    found = compare_orders(qrels.name, judged, systems[0], systems[1:], pairs=pairs)
    return replace(
        found,
        notices=tuple(_gaps(system, judged) for system in systems if judged.keys() - system.orders.keys()),
    )


def _gaps(system: System, judged: Mapping[str, object]) -> str:
    silent = len(judged.keys() - system.orders.keys())
    return f"{system.name} does not answer {silent} of {len(judged)} judged queries; they count as 0."


def _lines(query: str, order: Sequence[str], tag: str) -> Iterator[str]:
    """Scores fall with the rank, since trec_eval reads them and passes over the rank."""
    for rank, (document, score) in enumerate(falling_scores(order).items(), start=1):
        for name in (query, document):
            if len(name.split()) != 1:
                raise UsageError(f"A TREC run cannot hold the id “{name}”: it has white space. Rename it.")
        yield f"{query} Q0 {document} {rank} {score:.0f} {tag}\n"
