"""The arguments of `secondlook calibrate`, and which of them go together."""

from __future__ import annotations

import argparse
from pathlib import Path

from ingest.command import add_allow_services, add_trust_encoder, named_folder
from ingest.errors import UsageError
from rerank.search import DEFAULT_CANDIDATES
from retrieval.records import CandidateSource
from ui.settings import Settings

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
    parser.add_argument("--offline", action="store_true", help="use only models that are on this machine")
    add_allow_services(parser)
    add_trust_encoder(parser)
    parser.add_argument("--dry-run", action="store_true", help="report, and leave the library as it is")
    parser.add_argument("--json", action="store_true", help="print JSON")


def check_calibrate_arguments(parsed: argparse.Namespace) -> None:
    """Fill in what was not given. Raises `UsageError` for what does not go together, before any model is loaded."""
    if parsed.candidates < 1:
        raise UsageError(f"--candidates must be at least 1; {parsed.candidates} was given.")
    if parsed.dataset is None:
        for name in ("split", "report_split", "unjudged"):
            if getattr(parsed, name) is not None:
                raise UsageError(
                    f"--{name.replace('_', '-')} is about a DATASET, and without one the library's own labels are "
                    "learnt from. Name a DATASET, or leave it out."
                )
    parsed.split, parsed.unjudged = parsed.split or SPLIT, parsed.unjudged or UNJUDGED[0]
    if parsed.report_split == parsed.split:
        raise UsageError(
            f"--split and --report-split are both “{parsed.split}”: figures of what was learnt from would flatter. "
            "Leave --report-split out to report on one half of it."
        )


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"“{text}” is not a number") from error
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"{number:g} is no precision; give more than 0 and at most 1")
    return number
