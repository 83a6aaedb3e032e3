"""TREC's run files: ``query Q0 document rank score tag``, a line a document."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import ir_measures
import numpy as np

from ingest.errors import DamagedFileError, UsageError
from rerank.judged.beir import numbered_lines
from rerank.judged.measures import falling_scores

Orders = Mapping[str, Sequence[str]]


def run_tag(title: str) -> str:
    """What a run goes by, of a system's ``title``: one word that is safe in the name of a file."""
    return re.sub(r"[^\w.]+", "-", title).strip("-.") or "run"


def write_run(path: Path, tag: str, orders: Orders) -> None:
    """Write one run. Raises `UsageError` where nothing can be written there, or an id holds white space."""
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
            entry = next(ir_measures.read_trec_run(f"{line}\n"))  # type: ignore[no-untyped-call]
        except ValueError as error:
            raise DamagedFileError(
                f"Line {number} of {path} is not “query Q0 document rank score tag”: “{line[:80]}”. Mend it and "
                "evaluate again."
            ) from error
        row = scores.setdefault(entry.query_id, {})
        if entry.doc_id in row or math.isnan(entry.score):
            raise DamagedFileError(
                f"Line {number} of {path} lists {entry.doc_id} a second time for the query {entry.query_id}, or "
                "without a score that is a number. Take the line out and evaluate again."
            )
        row[entry.doc_id] = float(np.float32(entry.score))
    if not scores:
        raise DamagedFileError(f"{path} holds no run; nothing can be measured with it.")
    return {
        query: tuple(sorted(row, key=lambda d: (row[d], d), reverse=True)) for query, row in scores.items()
    }


def _lines(query: str, order: Sequence[str], tag: str) -> Iterator[str]:
    """Scores fall with the rank, since trec_eval reads them and passes over the rank."""
    for rank, (document, score) in enumerate(falling_scores(order).items(), start=1):
        for name in (query, document):
            if len(name.split()) != 1:
                raise UsageError(f"A TREC run cannot hold the id “{name}”: it has white space. Rename it.")
        yield f"{query} Q0 {document} {rank} {score:.0f} {tag}\n"
