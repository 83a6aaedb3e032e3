"""The command line: `secondlook COMMAND`, with the commands that `build_parser` lists.

Data goes to stdout, messages for people to stderr. Exit status: 0 done, 1 the work failed, 2 the call is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ingest.errors import SecondLookError, UsageError
from ingest.installation import program_version
from ingest.library.library import Library
from ingest.models.hub import Hub
from ingest.services.access import ANYWHERE
from ingest.services.billing import billing
from rerank.search import DEFAULT_CANDIDATES
from rerank.second_look import STABLE_SLICES
from ui.command_line import library
from ui.command_line import models as models_command
from ui.command_line import serve as serve_command
from ui.command_line.calibrate import add_calibrate_arguments, run_calibrate
from ui.command_line.evaluate import add_evaluate_arguments, run_evaluate
from ui.command_line.ingest import (
    add_ingest_arguments,
    add_token_vector_arguments,
    add_trust_encoder,
    drop_token_vectors,
    run_ingest,
    store_and_say,
)
from ui.command_line.labels import add_labels_arguments, run_labels
from ui.command_line.library import (
    add_doctor_arguments,
    add_export_arguments,
    add_import_arguments,
    run_doctor,
    run_export,
    run_import,
)
from ui.command_line.options import add_allow_services, named_folder
from ui.command_line.search import add_mixing_arguments, add_reading_arguments, run_search
from ui.command_line.terminal import harmless_output
from ui.command_line.train_arguments import add_train_arguments
from ui.settings import DEFAULT_RESULTS, Settings, add_window_argument, from_environment, milliseconds

# Measured with the bundled reranker: tests/benchmarks/results/anytime.txt.
STABLE_LOSS = (
    "With N = 1, 59 %% of the passages were scored and no nDCG@10 was lost on 40 held-out SQuAD questions; 60 %% and "
    "+0.0002 on Cranfield"
)

Command = Callable[[argparse.Namespace, Settings], int]


def build_parser(settings: Settings) -> argparse.ArgumentParser:
    """The whole command line, with the settings as its defaults."""
    parser = argparse.ArgumentParser(
        prog="secondlook",
        description="Document search that shows its work: the first look and the second, side by side.",
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="print the version")
    actions = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def action(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    adding = action("ingest", _ingest, "add files and folders to a library")
    add_ingest_arguments(adding, settings.library)
    add_allow_services(adding)
    add_token_vector_arguments(adding)
    _add_search(action("search", run_search, "ask a library, and see both orders"), settings)
    _add_library(action("documents", library.documents, "list a library's documents"), settings, as_json=True)
    delete = action("delete", library.delete, "take a document out of a library")
    delete.add_argument(
        "document", metavar="DOCUMENT",
        help="its id, path or title; the path of an archive, a mailbox or a corpus takes out all that came from it",
    )  # fmt: skip
    _add_library(delete, settings)
    rebuild = action(
        "rebuild", library.rebuild_library, "cut and embed a library again, with another encoder say"
    )
    _add_library(rebuild, settings)
    rebuild.add_argument(
        "--encoder", default=settings.encoder, help="name or folder (default: the default pair's)"
    )
    rebuild.add_argument(
        "--chunk-tokens", type=int, metavar="N", help="tokens a passage (default: as before)"
    )
    rebuild.add_argument("--offline", action="store_true", help="use only models that are on this machine")
    add_allow_services(rebuild)
    add_trust_encoder(rebuild)
    models = action(
        "models", models_command.models, "say which models are used, from where, and what else was tried"
    )
    models.add_argument("action", nargs="?", choices=["prefetch"], help="fetch models into the hub's cache")
    models.add_argument(
        "names", nargs="*", metavar="NAME", help="encoders and rerankers to fetch (default: the default pair)"
    )
    _add_models(models, settings)
    models.add_argument("--json", action="store_true", help="print JSON")
    add_evaluate_arguments(
        action("evaluate", run_evaluate, "say with figures whether reranking helps on judged questions"),
        settings,
    )
    add_labels_arguments(
        action("labels", run_labels, "what was judged on the page: list, export, import, and what it says"),
        settings,
    )
    add_calibrate_arguments(
        action("calibrate", run_calibrate, "learn from judged questions what a reranker's scores mean"),
        settings,
    )
    add_doctor_arguments(
        action("doctor", run_doctor, "say whether a library is whole, and repair it"), settings
    )
    add_export_arguments(action("export", run_export, "write a library to one file"), settings)
    add_import_arguments(action("import", run_import, "make a library of an exported file"))
    add_train_arguments(action("train", _train, "fine-tune a reranker on labelled questions"))
    serve = action("serve", serve_command.serve, "open the page in the browser's reach")
    _add_library(serve, settings)
    _add_models(serve, settings)
    serve.add_argument("--port", type=int, default=8501, help="port (default 8501)")
    serve.add_argument(
        "--address", default="127.0.0.1",
        help="address to serve at (default 127.0.0.1, this machine alone); others need a password or OIDC",
    )  # fmt: skip
    serve.add_argument(
        "--no-sample", action="store_true", help="do not make the sample library where there is none"
    )
    password = action(
        "password", serve_command.password, "write the hash of a password, to serve the page with it"
    )
    password.add_argument("file", type=Path, metavar="FILE", help="the file to write")
    return parser


class _ShowVersion(argparse.Action):
    """argparse's own would look the version up for every command."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"Second Look {program_version()}")
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    with harmless_output():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        parsed = build_parser(from_environment()).parse_args(arguments)
        run: Command = parsed.run
        with billing() as bill:
            status = run(parsed, _settings(parsed))
        if bill and parsed.command not in ("ingest", "search"):  # which say it with their answer
            print(bill, file=sys.stderr)
        return status
    except SecondLookError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `secondlook search … | head` closed the pipe: not an error, and nothing to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (
        OSError
    ) as error:  # what no command expected of the disk: a name that is too long, a link to itself
        print(f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.", file=sys.stderr)
        return 1


def _settings(parsed: argparse.Namespace) -> Settings:
    """The environment's settings, overridden by what the command line says."""
    settings = from_environment()
    given = {
        name: getattr(parsed, name)
        for name in ("library", "encoder", "reranker", "window")
        if hasattr(parsed, name)
    }
    allowed = settings.allow_downloads and not getattr(parsed, "offline", False)
    services = settings.services
    if getattr(parsed, "allow_services", False):
        services = replace(services, allowed=frozenset({ANYWHERE}))
    trusting = getattr(parsed, "trust_encoder", False)
    return replace(settings, **given, allow_downloads=allowed, services=services, trusting=trusting)


def _add_library(parser: argparse.ArgumentParser, settings: Settings, *, as_json: bool = False) -> None:
    parser.add_argument(
        "--library", type=named_folder, default=settings.library, metavar="DIR", help="the library's folder"
    )
    if as_json:
        parser.add_argument("--json", action="store_true", help="print JSON")


def _add_models(parser: argparse.ArgumentParser, settings: Settings, *, two: bool = False) -> None:
    parser.add_argument("--encoder", default=settings.encoder, help="name or folder of the bi-encoder")
    if two:
        parser.add_argument(
            "--reranker", action="append", dest="rerankers", metavar="RERANKER",
            help="name or folder of the reranker; given twice, both order the same passages, side by side; with "
            "--fuse-rerankers, two or more are fused to one order",
        )  # fmt: skip
    else:
        parser.add_argument(
            "--reranker", default=settings.reranker, help="name or folder of the cross-encoder"
        )
    parser.add_argument("--offline", action="store_true", help="use only models that are on this machine")
    add_allow_services(parser)
    add_trust_encoder(parser)


def _add_search(parser: argparse.ArgumentParser, settings: Settings) -> None:
    parser.add_argument("query", metavar="QUERY", help="the question")
    _add_library(parser, settings, as_json=True)
    parser.add_argument(
        "--candidates", type=_positive, metavar="N",
        help=f"passages that are retrieved and reranked (default {DEFAULT_CANDIDATES}, or K where that is more)",
    )  # fmt: skip
    parser.add_argument(
        "--top-k", type=_positive, default=DEFAULT_RESULTS, metavar="K",
        help=f"passages that are shown of each order (default {DEFAULT_RESULTS})",
    )  # fmt: skip
    parser.add_argument(
        "--budget-ms", type=milliseconds, default=settings.budget_ms, metavar="MS",
        help="time for the second look; when it is spent, the best order so far is given (default: no limit)",
    )  # fmt: skip
    parser.add_argument(
        "--stop-when-stable", type=_positive, nargs="?", const=STABLE_SLICES, metavar="N",
        help="end the second look when N slices of its work have changed none of the first ten places (N "
        f"defaults to {STABLE_SLICES}); after the question. {STABLE_LOSS}",
    )  # fmt: skip
    add_window_argument(parser, settings)
    parser.add_argument(
        "--no-cache", action="store_true",
        help="run the reranker even where scores of these passages are kept from an earlier search, and keep none",
    )  # fmt: skip
    add_mixing_arguments(parser, settings)
    add_reading_arguments(parser)
    _add_models(parser, settings, two=True)


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"“{text}” is not a whole number") from error
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is too few; give 1 or more")
    return number


def _ingest(parsed: argparse.Namespace, settings: Settings) -> int:
    hub = Hub(settings.allow_downloads)
    if parsed.encoder is None and not Library.exists(settings.library):
        parsed.encoder = from_environment().encoder  # a library that is there knows what made it
    if parsed.no_token_vectors:
        drop_token_vectors(settings.library)
    return run_ingest(
        parsed, hub, settings.services,
        then=lambda: store_and_say(Library(settings.library), hub, parsed.token_vectors, settings.trusting),
    )  # fmt: skip


def _train(parsed: argparse.Namespace, settings: Settings) -> int:
    from ui.command_line.train import run_train  # imports torch, which no other command should wait for

    return run_train(parsed, Hub(settings.allow_downloads))


if __name__ == "__main__":
    sys.exit(main())
