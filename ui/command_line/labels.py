"""`secondlook labels`: list, export, import, and the running verdict.

What measures is imported when it is run: no other command should wait for it.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.errors import UsageError
from ingest.library.label_records import Label
from ingest.library.labels import Labels
from ingest.library.library import Library
from rerank.factory import open_searcher, resolve_models
from rerank.labels.files import TREC, export_labels, query_id
from rerank.request import DEFAULT_CANDIDATES
from ui.command_line.options import add_json, add_library, add_model_access
from ui.command_line.progress import query_bar
from ui.presentation.formatting import count_of, shortened
from ui.settings import Settings

if TYPE_CHECKING:
    from rerank.labels.verdict import RunningVerdict
from ui.command_line.terminal import print_json

WIDTH = 100


@dataclass(frozen=True, slots=True)
class LabelsArguments:
    """What `secondlook labels` was given."""

    action: str
    path: Path | None
    library: Path
    ask: bool
    json: bool


Action = Callable[[Labels, LabelsArguments, Settings], int]


def add_labels_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """Declare the arguments, with the settings as their defaults."""
    parser.add_argument(
        "action", nargs="?", choices=list(ACTIONS), default="list",
        help="list the labels (the default), export or import them, or say whether reranking helps by them",
    )  # fmt: skip
    parser.add_argument(
        "path", nargs="?", type=Path, metavar="PATH",
        help="export: the folder to write (BEIR's layout, and TREC qrels); import: such a folder, or a file of qrels",
    )  # fmt: skip
    add_library(parser, settings.library)
    parser.add_argument(
        "--ask", action="store_true",
        help="verdict: first ask the judged questions that these models were never asked",
    )  # fmt: skip
    parser.add_argument(
        "--encoder", default=settings.encoder, help="with --ask: name or folder of the bi-encoder"
    )
    parser.add_argument(
        "--reranker", default=settings.reranker, help="with --ask: name or folder of the cross-encoder"
    )
    add_model_access(parser)
    add_json(parser)


def run_labels(arguments: LabelsArguments, settings: Settings) -> int:
    """Do what was asked; data goes to stdout, messages to stderr; the exit status."""
    wants_path = arguments.action in ("export", "import")
    if wants_path:
        _path(arguments)
    if not wants_path and arguments.path is not None:
        raise UsageError(f"secondlook labels {arguments.action} takes no path; “{arguments.path}” was given.")
    if arguments.ask and arguments.action != "verdict":
        raise UsageError(
            f"--ask goes with the verdict: secondlook labels verdict --ask --library {settings.library}"
        )
    return ACTIONS[arguments.action](Labels(Library(settings.library)), arguments, settings)


def _path(arguments: LabelsArguments) -> Path:
    """The folder or file that is written or read. Raises `UsageError` where none was named."""
    if arguments.path is None:
        raise UsageError(
            f"Say what to {arguments.action}: secondlook labels {arguments.action} PATH --library {arguments.library}"
        )
    return arguments.path


def _list(labels: Labels, arguments: LabelsArguments, settings: Settings) -> int:
    judgements = labels.all()
    if arguments.json:
        print_json({"labels": [label_row(label) for label in judgements]})
        return 0
    if not judgements:
        _say("There are no labels yet. Judge passages on the page, or import labels.")
        return 0
    for query, group in groupby(judgements, key=lambda label: label.query):
        sys.stdout.write(f"{query}\n")
        for label in group:
            sys.stdout.write(textwrap.indent(_line(label), "    ") + "\n")
    counts = labels.counts()
    shares = ", ".join(f"{number} {grade.in_words}" for grade, number in counts.by_grade.items())
    lost = f"; {counts.not_indexed} of passages that are not in the index now" if counts.not_indexed else ""
    total = f"{count_of(counts.labels, 'label')} of {count_of(counts.queries, 'question')}"
    _say(f"{total}: {shares}{lost}.")
    return 0


def label_row(label: Label) -> dict[str, Any]:
    """A label as the JSON that `secondlook labels list --json` promises; what is unknown is ``null``."""
    passage = label.passage
    row: dict[str, Any] = {
        "query": label.query, "passage_hash": label.passage_hash, "grade": int(label.grade),
        "judged": label.judged.isoformat(), "indexed": label.indexed,
    }  # fmt: skip
    for name in ("document_id", "path", "title", "page", "start", "end", "text"):
        row[name] = getattr(passage, name) if passage is not None else None
    return row


def _line(label: Label) -> str:
    passage = label.passage
    if passage is None:
        what = f"passage {label.passage_hash[:12]}, whose text is gone"
    else:
        page = f", p. {passage.page}" if passage.page else ""
        what = f"{passage.title or passage.path}{page}: {passage.text}"
    return f"{label.grade.in_words:<12}  {shortened(what, WIDTH, ' …')}"


def _export(labels: Labels, arguments: LabelsArguments, settings: Settings) -> int:
    done = export_labels(labels.all(), _path(arguments))
    _say(
        f"Written to {arguments.path}: {count_of(done.labels, 'label')} of {count_of(done.queries, 'question')}."
    )
    if done.without_text:
        _say(
            f"Only in {TREC}, since the text of their passages is gone: {count_of(done.without_text, 'label')}."
        )
    if arguments.json:
        print_json({"queries": done.queries, "labels": done.labels, "without_text": done.without_text})
    return 0


def _import(labels: Labels, arguments: LabelsArguments, settings: Settings) -> int:
    from rerank.labels.files import read_labels

    known = {query_id(label.query): label.query for label in labels.all()}
    done = labels.merge(read_labels(_path(arguments), known, datetime.now(UTC)))
    _say(
        f"New: {count_of(done.added, 'label')}. Changed: {done.changed}. As they were, because the library's own are "
        f"as late or later: {done.kept}."
    )
    if arguments.json:
        print_json({"added": done.added, "changed": done.changed, "kept": done.kept})
    return 0


def _verdict(labels: Labels, arguments: LabelsArguments, settings: Settings) -> int:
    from rerank.labels.judging import ask_again
    from rerank.labels.verdict import running_verdicts

    if arguments.ask:
        searcher = open_searcher(labels.library, resolve_models(settings.models, labels.library))
        with query_bar() as show:
            ask_again(labels, searcher, DEFAULT_CANDIDATES, show)
    verdicts = running_verdicts(labels)
    if arguments.json:
        print_json({"verdicts": [verdict_report(verdict) for verdict in verdicts]})
        return 0
    for verdict in verdicts:
        sys.stdout.write(f"{verdict.sentence}\n")
        if verdict.unseen:
            sys.stdout.write(
                f"    {count_of(verdict.unseen, 'judged question')} not asked of this pair yet; --ask does it.\n"
            )
    if not verdicts:
        _say(
            "Not enough labels yet: no judged question was asked with a reranker. Judge passages on the page, or "
            "import labels and give --ask."
        )
    return 0


def verdict_report(verdict: RunningVerdict) -> dict[str, Any]:
    """A running verdict as the JSON that `secondlook labels verdict --json` promises."""
    pair, gain = verdict.pair, verdict.difference
    difference = {"mean": gain.mean, "ci95": [gain.low, gain.high], "p": gain.p} if gain else None
    return {
        "models": {
            "encoder": pair.encoder, "encoder_revision": pair.encoder_revision, "reranker": pair.reranker,
            "reranker_revision": pair.reranker_revision,
        },
        "queries": verdict.queries, "queries_alike": verdict.alike, "queries_unseen": verdict.unseen,
        "before": {"nDCG@10": verdict.before}, "after": {"nDCG@10": verdict.after},
        "difference": {"nDCG@10": difference}, "verdict": str(verdict.verdict), "more_queries": verdict.more,
        "sentence": verdict.sentence,
    }  # fmt: skip


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")


ACTIONS: dict[str, Action] = {"list": _list, "export": _export, "import": _import, "verdict": _verdict}
