"""An evaluation to take along: its table and its questions as CSV, all of it as JSON, the orders as TREC runs."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import dataclass

from ingest.errors import UsageError
from ingest.notices import Notice, NoticeKind
from ingest.workspace import Workspace
from rerank.evaluation.comparison import Comparison, Row
from rerank.evaluation.runs import write_systems
from rerank.judged.records import VERDICT_MEASURE, JudgedSet
from ui.files.results import harmless
from ui.presentation.evaluation.report import evaluation_report


@dataclass(frozen=True, slots=True)
class Export:
    """A file to take along: what its button says, its name, its MIME type and its bytes."""

    label: str
    name: str
    kind: str
    data: bytes


def exports(judged: JudgedSet, comparison: Comparison) -> tuple[tuple[Export, ...], tuple[Notice, ...]]:
    """The files of an evaluation, and notices of those that cannot be made."""
    name = f"evaluation-{comparison.name}"
    # A byte order mark, without which Excel takes UTF-8 for something else.
    table, questions = (
        text.encode("utf-8-sig") for text in (table_csv(comparison), questions_csv(judged, comparison))
    )
    files = (
        Export("Table as CSV", f"{name}.csv", "text/csv", table),
        Export("Questions as CSV", f"{name}-questions.csv", "text/csv", questions),
        Export("All as JSON", f"{name}.json", "application/json", report_json(comparison).encode()),
    )
    try:
        runs = Export("TREC runs", f"{name}-runs.zip", "application/zip", runs_zip(comparison))
    except UsageError as error:
        return files, (Notice(NoticeKind.DATASET, str(error), error.help),)
    return (*files, runs), ()


def report_json(comparison: Comparison) -> str:
    """What `secondlook evaluate --json` prints of several systems."""
    return json.dumps(evaluation_report(comparison), ensure_ascii=False, indent=2) + "\n"


def table_csv(comparison: Comparison) -> str:
    """A row a system; what is not known is empty. Times are milliseconds."""
    measures = list(comparison.before.figures)
    rows: list[list[object]] = [
        [
            "system", "depth", "candidates from", "weight", *measures, f"{VERDICT_MEASURE} difference", "ci95 low",
            "ci95 high", "p", "p (Holm)", "verdict", "ms p50", "ms p95", "on the frontier",
        ]
    ]  # fmt: skip
    for row, on_front in zip((comparison.before, *comparison.rows), comparison.front, strict=True):
        system, means = row.system, row.means
        rows.append(
            [
                harmless(system.title), system.depth or None, str(system.source), system.weight,
                *(means[name] for name in measures), *_contrast(row), *(system.latency or (None, None)),
                on_front if system.latency else None,
            ]
        )  # fmt: skip
    return _csv(rows)


def questions_csv(judged: JudgedSet, comparison: Comparison) -> str:
    """A row a question: its id, its text, and its nDCG@10 by the first look and by every system."""
    columns = [comparison.before, *comparison.rows]
    names = [harmless(f"{row.system.title} {row.system.depth or ''}".strip()) for row in columns]
    figures = [row.figures[VERDICT_MEASURE] for row in columns]
    rows = [
        [harmless(query), harmless(text), *(row[query] for row in figures)]
        for query, text in judged.queries.items()
    ]
    return _csv([["query-id", "question", *names], *rows])


def runs_zip(comparison: Comparison) -> bytes:
    """The order of every system as a TREC run file, in one zip. Raises `UsageError` for an id with white space."""
    packed = io.BytesIO()
    with (
        Workspace.temporary() as folder,
        zipfile.ZipFile(packed, "w") as archive,
    ):
        systems = [row.system for row in (comparison.before, *comparison.rows)]
        for path in write_systems(folder / "run.txt", systems):
            archive.write(path, path.name, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _contrast(row: Row) -> list[object]:
    if row.contrast is None:
        return [None] * 6
    difference = row.contrast.differences[VERDICT_MEASURE]
    return [
        difference.mean, difference.low, difference.high, difference.p, row.contrast.adjusted[VERDICT_MEASURE],
        str(row.contrast.verdict),
    ]  # fmt: skip


def _csv(rows: list[list[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
