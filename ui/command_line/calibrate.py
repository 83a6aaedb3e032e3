"""`secondlook calibrate`: learn what a reranker's scores mean on a library, and say how well that went.

What calibrates is imported when it is run: no other command should wait for it.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.errors import ModelError, UsageError
from ingest.library.labels import Labels
from ingest.library.library import Library
from ingest.notices import Notice
from rerank.factory import open_searcher, resolve_models
from rerank.search import Searcher
from ui.command_line.evaluate import filled_library
from ui.command_line.progress import query_bar
from ui.command_line.terminal import print_json
from ui.settings import Settings

if TYPE_CHECKING:
    from rerank.calibration.labels import Labelled
    from rerank.calibration.methods import Method
    from rerank.calibration.quality import Quality
    from rerank.calibration.records import Calibration
    from rerank.calibration.thresholds import Threshold
    from rerank.judged.records import JudgedSet
from rerank.request import DEFAULT_CANDIDATES
from retrieval.records import CandidateSource
from ui.command_line.options import add_json, add_model_access, named_folder
from ui.presentation.remedies import notice_text


@dataclass(frozen=True, slots=True)
class CalibrateArguments:
    """What `secondlook calibrate` was given. ``dataset_library`` is not the library that people search."""

    dataset: Path | None
    split: str | None
    report_split: str | None
    method: str
    precision: float | None
    unjudged: str | None
    min_grade: int
    candidates: int
    candidates_from: CandidateSource
    dataset_library: Path | None
    dry_run: bool
    json: bool

    @property
    def learnt_split(self) -> str:
        """The table of qrels that is learnt from."""
        return self.split or SPLIT


def run_calibrate(arguments: CalibrateArguments, settings: Settings) -> int:
    """Calibrate, print the report to stdout and notices to stderr; the exit status."""
    from rerank.calibration.store import FILE, save

    check_calibrate_arguments(arguments)
    if arguments.dataset is None:
        library, calibration, notices = _from_labels(arguments, settings)
    else:
        library, calibration, notices = _from_dataset(arguments.dataset, arguments, settings)
    path = None if arguments.dry_run else library.folder / FILE
    if path is not None:
        save(path, calibration)
    for line in (*map(notice_text, notices), *calibration.notices):
        sys.stderr.write(f"{line}\n")
    if arguments.json:
        print_json(calibration_report(calibration, path))
    else:
        print(calibration_table(calibration, path))
    return 0


def _from_labels(
    arguments: CalibrateArguments, settings: Settings
) -> tuple[Library, Calibration, tuple[Notice, ...]]:
    """From what was judged in the library itself, whose documents stay as they are."""
    from rerank.calibration.labels import TooFewLabelsError
    from ui.jobs.calibration import fit_labels, why_not_offered
    from ui.presentation.judgements import counts

    library = Library(arguments.dataset_library or settings.library)
    if missing := why_not_offered(*counts(Labels(library).judgements())):
        raise TooFewLabelsError(missing)
    searcher = open_searcher(library, resolve_models(settings.models, library))
    with query_bar() as show:
        calibration = fit_labels(
            library, searcher, arguments.candidates, _method(arguments), arguments.precision,
            source=arguments.candidates_from, on_progress=show, min_grade=arguments.min_grade,
        )  # fmt: skip
    return library, calibration, ()


def _from_dataset(
    dataset: Path, arguments: CalibrateArguments, settings: Settings
) -> tuple[Library, Calibration, tuple[Notice, ...]]:
    """From a judged set, on its own library or on one that has its documents."""
    from rerank.evaluation.corpus import refuse_labels
    from rerank.judged.dataset import read_judged_set

    refuse_labels(dataset, arguments.dataset_library or settings.library)
    judged = read_judged_set(dataset, arguments.learnt_split)
    report = read_judged_set(dataset, arguments.report_split) if arguments.report_split else None
    library, encoder, left_out = filled_library(
        judged, arguments.dataset_library, settings, into_others=False
    )
    searcher = open_searcher(library, resolve_models(settings.models, library, encoder))
    calibration, notices = _calibrate(judged, report, library, searcher, arguments)
    return library, calibration, (*left_out, *notices)


def _method(arguments: CalibrateArguments) -> Method | None:
    from rerank.calibration.methods import Method

    return None if arguments.method == "auto" else Method(arguments.method)


def _calibrate(
    judged: JudgedSet,
    report: JudgedSet | None,
    library: Library,
    searcher: Searcher,
    arguments: CalibrateArguments,
) -> tuple[Calibration, tuple[Notice, ...]]:
    from rerank.calibration.calibrate import calibrate
    from rerank.calibration.collect import Unjudged, label_candidates
    from rerank.calibration.labels import halves
    from rerank.calibration.records import LibraryState

    reranker = searcher.models.reranker
    if reranker is None:
        raise ModelError("There is no reranker whose scores could be calibrated. Name one with --reranker.")

    def labelled(asked: JudgedSet) -> tuple[list[Labelled], tuple[Notice, ...]]:
        with query_bar() as show:
            return label_candidates(
                asked, library, searcher, arguments.candidates, unjudged=Unjudged(arguments.unjudged or UNJUDGED[0]),
                min_grade=arguments.min_grade, on_progress=show, source=arguments.candidates_from,
            )  # fmt: skip

    rows, notices = labelled(judged)
    if report is None:
        rows, held_out = halves(rows)
    else:
        held_out, more = labelled(report)
        held_out, notices = _others(held_out, rows, report.split), (*notices, *more)
    calibration = calibrate(
        rows, reranker.spec, LibraryState.of(library), _method(arguments), arguments.precision,
        held_out=held_out, candidates_from=arguments.candidates_from, window=searcher.models.window,
    )  # fmt: skip
    return calibration, notices


def _others(held_out: list[Labelled], rows: list[Labelled], split: str) -> list[Labelled]:
    """The held-out rows of queries that were not learnt from: some datasets have a query in two splits."""
    known = {row.query for row in rows}
    others = [row for row in held_out if row.query not in known]
    if not others:
        raise UsageError(
            f"Split “{split}” has no labelled query that is not learnt from already; choose another --report-split."
        )
    return others


def calibration_report(calibration: Calibration, path: Path | None) -> dict[str, Any]:
    """The calibration as the JSON that `secondlook calibrate --json` promises: its file, and where that lies."""
    return {**asdict(calibration), "written": None if path is None else str(path)}


def calibration_table(calibration: Calibration, path: Path | None) -> str:
    """The calibration for people: figures before and after, the reliability table, thresholds."""
    return "\n".join(
        [
            f"{calibration.fitted_for.reranker}, revision {calibration.fitted_for.revision[:12]}",
            f"{calibration.method}: {_curve(calibration)}",
            f"learnt from {calibration.labels} labels of {calibration.queries} queries, "
            f"{calibration.relevant} of them relevant",
            f"candidates from {calibration.candidates_from.in_words}",
            "",
            *_figures(calibration),
            *_thresholds(calibration),
            "",
            "Not written (--dry-run)." if path is None else f"Written to {path}",
        ]
    )


def _curve(calibration: Calibration) -> str:
    from rerank.calibration.curves import Logistic

    if not isinstance(calibration.curve, Logistic):
        return f"a rising curve through {len(calibration.curve.logits)} points"
    known = (
        ""
        if calibration.curve.temperature is None
        else f", the model's own with T = {calibration.curve.temperature:.3g}"
    )
    return f"sigmoid({calibration.curve.scale:.4g} · logit {calibration.curve.shift:+.4g}){known}"


def _figures(calibration: Calibration) -> list[str]:
    evidence = calibration.evidence
    if evidence is None:
        return ["One query cannot be held out of itself: how well this does is not known."]
    before, after = evidence.before, evidence.after
    share = after.relevant / after.labels
    return [
        f"Figures on {evidence.source}: {after.labels} labels, {after.relevant} relevant ({share:.3f})",
        "",
        f"{'':<44}{'before':>8}{'after':>9}",
        _line("expected calibration error, equal width", before, after, "ece"),
        _line("expected calibration error, equal mass", before, after, "ece_equal_mass"),
        _line(f"Brier score ({after.brier_of_share:.4f} by saying the share)", before, after, "brier"),
        "",
        "predicted after   observed   95 % interval     labels",
        *(
            f"{row.predicted:>15.3f}{row.observed:>11.3f}   [{row.low:.3f}, {row.high:.3f}]{row.count:>9}"
            for row in after.reliability
        ),
    ]


def _line(name: str, before: Quality | None, after: Quality, figure: str) -> str:
    first = "–" if before is None else f"{getattr(before, figure):.4f}"
    return f"{name:<44}{first:>8}{getattr(after, figure):>9.4f}"


def _thresholds(calibration: Calibration) -> list[str]:
    apart = calibration.separation
    interval = "" if apart.low is None else f" [{apart.low:.3f}, {apart.high:.3f}]"
    lines = ["", f"A relevant passage scores above another in {apart.auc:.3f}{interval} of pairs (AUC)."]
    if apart.reason:
        return [*lines, apart.reason]
    lines += ["", "threshold                 value   95 % interval      precision   recall      F1"]
    if calibration.best is not None:
        lines += _threshold("best F1", calibration.best)
    if calibration.precise is not None:
        lines += _threshold(f"precision {calibration.wanted_precision:.3g}", calibration.precise)
    return [*lines, *_answers(calibration)]


def _answers(calibration: Calibration) -> list[str]:
    evidence = calibration.evidence
    if evidence is None or evidence.false_alarms is None or evidence.caught is None:
        return []
    return [
        "",
        f"“Nothing here answers this” is said where the best candidate is below {calibration.answers_from:.3f}:",
        f"to {evidence.false_alarms:.0%} of queries with a relevant candidate, wrongly, and to "
        f"{evidence.caught:.0%} of all once their relevant",
        f"candidates are taken away ({evidence.source}).",
    ]


def _threshold(name: str, threshold: Threshold) -> list[str]:
    """A line on the labels it was learnt from, and one on those that were held out."""
    interval = "" if threshold.low is None else f"[{threshold.low:.3f}, {threshold.high:.3f}]"
    lines = []
    for where, figures in (("learnt", threshold.learnt), ("held out", threshold.held_out)):
        if figures is not None:
            first = f"{name:<16}{where:<9}{threshold.value:>6.3f}   {interval:<16}"
            lines.append(f"{first}{figures.precision:>12.3f}{figures.recall:>9.3f}{figures.f1:>8.3f}")
            name = interval = ""
    return lines


METHODS = ("auto", "platt", "temperature", "isotonic")
UNJUDGED = ("non-relevant", "skip")
SPLIT = "train"


def add_calibrate_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """Declare the arguments, with the settings as their defaults."""
    parser.add_argument(
        "dataset", type=Path, metavar="DATASET", nargs="?",
        help="a folder with corpus.jsonl or documents/, queries.jsonl and qrels/ (BEIR's layout); left out, the "
        "library's own labels are learnt from",
    )  # fmt: skip
    parser.add_argument("--split", help=f"which table of qrels/ is learnt from (default {SPLIT})")
    parser.add_argument(
        "--report-split", metavar="SPLIT",
        help="which table the figures are of (default: learn from half of --split, report the other half)",
    )  # fmt: skip
    parser.add_argument(
        "--method", choices=METHODS, default="auto",
        help="auto takes the lowest Brier score in cross-validation by query (default)",
    )  # fmt: skip
    parser.add_argument(
        "--precision", type=_share, metavar="P", help="also learn the threshold for this precision, 0.8 say"
    )
    parser.add_argument(
        "--unjudged", choices=UNJUDGED,
        help="what candidates that a DATASET does not judge are: non-relevant, as trec_eval and secondlook evaluate "
        "count them (default), or skip, where only judged ones tell anything, as with the library's own labels",
    )  # fmt: skip
    parser.add_argument(
        "--min-grade", type=int, default=1, metavar="G", help="the lowest grade that is relevant (default 1)"
    )
    parser.add_argument(
        "--candidates", type=int, default=DEFAULT_CANDIDATES, metavar="N",
        help=f"passages that are retrieved and reranked (default {DEFAULT_CANDIDATES})",
    )  # fmt: skip
    parser.add_argument(
        "--candidates-from", type=CandidateSource, choices=list(CandidateSource), default=settings.candidates_from,
        metavar="|".join(CandidateSource),
        help="what finds the passages whose scores are learnt from: take what will be searched with, since other "
        f"candidates have other shares of relevant ones (default {settings.candidates_from})",
    )  # fmt: skip
    # Not `library`: with a DATASET the default is the dataset's own, not the library people search.
    parser.add_argument(
        "--library", type=named_folder, dest="dataset_library", metavar="DIR",
        help=f"library to calibrate (default {settings.library}; with a DATASET its own, in the user's cache folder). "
        "One that is there gets no documents of a DATASET, unless all it holds are",
    )  # fmt: skip
    parser.add_argument("--encoder", default=settings.encoder, help="name or folder of the bi-encoder")
    parser.add_argument("--reranker", default=settings.reranker, help="name or folder of the cross-encoder")
    add_model_access(parser)
    parser.add_argument("--dry-run", action="store_true", help="report, and leave the library as it is")
    add_json(parser)


def check_calibrate_arguments(arguments: CalibrateArguments) -> None:
    """Raise `UsageError` for what does not go together, before any model is loaded."""
    if arguments.candidates < 1:
        raise UsageError(f"--candidates must be at least 1; {arguments.candidates} was given.")
    if arguments.dataset is None:
        for name in ("split", "report_split", "unjudged"):
            if getattr(arguments, name) is not None:
                raise UsageError(
                    f"--{name.replace('_', '-')} is about a DATASET, and without one the library's own labels are "
                    "learnt from. Name a DATASET, or leave it out."
                )
    if arguments.report_split == arguments.learnt_split:
        raise UsageError(
            f"--split and --report-split are both “{arguments.learnt_split}”: figures of what was learnt from would "
            "flatter. Leave --report-split out to report on one half of it."
        )


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"“{text}” is not a number") from error
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"{number:g} is no precision; give more than 0 and at most 1")
    return number
