"""Runs in TREC's form: ``query Q0 document rank score tag``, a line a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ingest.errors import UsageError
from rerank.evaluation.measures import falling_scores
from rerank.evaluation.records import QueryRun


def run_paths(path: Path) -> tuple[Path, Path]:
    """Where the two orders go: ``run.txt`` → ``run.before.txt`` and ``run.after.txt``."""
    return path.with_suffix(f".before{path.suffix}"), path.with_suffix(f".after{path.suffix}")


def write_runs(path: Path, runs: Mapping[str, QueryRun]) -> tuple[Path, Path]:
    """Write both orders beside ``path`` (see `run_paths`) and say where.

    Raises `UsageError` where nothing can be written there, or an id holds white space.
    """
    before, after = run_paths(path)
    _write(before, "first-look", {query: run.before for query, run in runs.items()})
    _write(after, "second-look", {query: run.after for query, run in runs.items()})
    return before, after


def _write(path: Path, tag: str, orders: Mapping[str, Sequence[str]]) -> None:
    text = "".join(line for query, order in orders.items() for line in _lines(query, order, tag))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"The run cannot be written to {path}: {error.strerror}. Choose another place."
        ) from error


def _lines(query: str, order: Sequence[str], tag: str) -> Iterator[str]:
    """Scores fall with the rank, since trec_eval reads them and passes over the rank."""
    for rank, (document, score) in enumerate(falling_scores(order).items(), start=1):
        for name in (query, document):
            if len(name.split()) != 1:
                raise UsageError(f"A TREC run cannot hold the id “{name}”: it has white space. Rename it.")
        yield f"{query} Q0 {document} {rank} {score:.0f} {tag}\n"
