"""The arguments of `secondlook evaluate`, and which of them go together."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ingest.command import add_allow_services, add_trust_encoder, named_folder
from ingest.errors import UsageError
from rerank.search import DEFAULT_CANDIDATES
from retrieval.records import CandidateSource
from ui.settings import Settings, add_window_argument

# What `--rerankers` says to compare first looks alone.
NO_RERANKER = "none"


def add_evaluate_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """Declare the arguments, with the settings as their defaults."""
    parser.add_argument(
        "dataset", type=Path, metavar="DATASET", nargs="?",
        help="a folder with corpus.jsonl or documents/, queries.jsonl and qrels/ (BEIR's layout)",
    )  # fmt: skip
    parser.add_argument("--split", default="test", help="which table of qrels/ judges (default test)")
    # Not `library`: that name is the library people search, which an evaluation must not fill by default.
    parser.add_argument(
        "--library", type=named_folder, dest="dataset_library", metavar="DIR",
        help="library to index the dataset in (default: one of its own in the user's cache folder)",
    )  # fmt: skip
    parser.add_argument("--encoder", default=settings.encoder, help="name or folder of the bi-encoder")
    rerankers = parser.add_mutually_exclusive_group()
    rerankers.add_argument(
        "--reranker", default=settings.reranker, help="name or folder of the cross-encoder"
    )
    rerankers.add_argument(
        "--rerankers",
        type=_names,
        metavar="A,B,…",
        help="compare several, by name, alias or folder; none compares first looks alone",
    )
    parser.add_argument(
        "--candidates-from", type=_sources, metavar="A,B,…",
        help="compare first looks, which also find what is reranked: vectors, words (BM25), both (fused by reciprocal "
        "rank); the others are held against the one named first",
    )  # fmt: skip
    depths = parser.add_mutually_exclusive_group()
    depths.add_argument(
        "--candidates", type=int, default=DEFAULT_CANDIDATES, metavar="N",
        help=f"passages that are retrieved and reranked (default {DEFAULT_CANDIDATES})",
    )  # fmt: skip
    depths.add_argument(
        "--depths", type=_depths, metavar="N,M,…",
        help="compare how many to rerank (10,20,50,100,200 say); each passage is scored once",
    )  # fmt: skip
    parser.add_argument(
        "--fusion", action="store_true",
        help="compare fusions of both looks too: weighted (the weight chosen on up to 200 queries of the train "
        "split, where that is another one, else even) and reciprocal rank",
    )  # fmt: skip
    parser.add_argument(
        "--fuse-rerankers", action="store_true",
        help="compare fusions of all rerankers and the first look too: by even weights and by reciprocal rank",
    )  # fmt: skip
    add_window_argument(parser, settings)
    parser.add_argument(
        "--pairs", action="store_true", help="test the systems of the deepest list against each other too"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw quality against time")
    parser.add_argument("--offline", action="store_true", help="use only models that are on this machine")
    add_allow_services(parser)
    add_trust_encoder(parser)
    parser.add_argument(
        "--save-run", type=Path, metavar="FILE",
        help="write each order as a TREC run: FILE with the system's name before its suffix (.before and .after "
        "where one reranker is evaluated)",
    )  # fmt: skip
    parser.add_argument(
        "--qrels",
        type=Path,
        metavar="FILE",
        help="measure TREC runs (--run) by these judgements, without models",
    )
    parser.add_argument(
        "--run", type=Path, action="append", dest="runs", metavar="FILE",
        help="with --qrels: the run before; again for the run after, and others",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")


def check_evaluate_arguments(parsed: argparse.Namespace) -> None:
    """Raise `UsageError` for arguments that do not go together, before any model is loaded."""
    if parsed.candidates < 1:
        raise UsageError(f"--candidates must be at least 1; {parsed.candidates} was given.")
    if (parsed.qrels is None) != (parsed.runs is None):
        raise UsageError("Runs are measured by judgements: give --qrels FILE and --run FILE together.")
    if (parsed.dataset is None) == (parsed.qrels is None):
        raise UsageError("Give a dataset's folder, or --qrels FILE with --run FILE, and not both.")
    if parsed.qrels is not None and (parsed.plot or parsed.save_run):
        raise UsageError(
            "A run file holds no times to plot and is saved already: leave out --plot and --save-run."
        )
    if parsed.rerankers and NO_RERANKER in parsed.rerankers:
        if len(parsed.rerankers) > 1:
            raise UsageError("--rerankers none stands alone: name rerankers, or none.")
        if parsed.depths or parsed.fusion:
            raise UsageError(
                "Without rerankers there are no depths or fusions to compare: leave out --depths and --fusion."
            )
    if parsed.fuse_rerankers and len(set(parsed.rerankers or ())) < 2:
        raise UsageError(
            "--fuse-rerankers needs two or more rerankers to fuse: name them with --rerankers A,B."
        )
    for option, path in (("--plot", parsed.plot), ("--save-run", parsed.save_run)):
        if path is not None:
            _check_place(option, path)
    if parsed.plot is not None and parsed.plot.suffix.lower() != ".svg":
        raise UsageError(f"The picture is an SVG; name it so: {parsed.plot.with_suffix('.svg')}")


def _check_place(option: str, path: Path) -> None:
    """Raise `UsageError` where no file can be written: an evaluation may take hours, and is lost if it ends there."""
    if not path.name or path.is_dir():
        raise UsageError(f"{option} {path} is a folder; name a file to write.")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(
            f"{option} {path} cannot be written: {path.parent} is no folder that can be written to. Choose another "
            "place."
        )


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("name at least one reranker")
    return names


def _sources(text: str) -> tuple[CandidateSource, ...]:
    """First looks, each once, in the order given."""
    try:
        return tuple(dict.fromkeys(CandidateSource(part.strip()) for part in text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"“{text}” is not a list of {', '.join(CandidateSource)}") from error


def _depths(text: str) -> tuple[int, ...]:
    """Numbers of candidates, rising, each once."""
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"“{text}” is not a list of whole numbers as 10,50,100 is"
        ) from error
    if found[0] < 1:
        raise argparse.ArgumentTypeError(f"{found[0]} is too few candidates; give 1 or more")
    return tuple(found)
