"""The command line: `secondlook COMMAND`, with the commands that `build_parser` lists.

Data goes to stdout, messages for people to stderr. Exit status: 0 done, 1 the work failed, 2 the call is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ingest.errors import SecondLookError, UsageError
from ingest.installation import program_version
from ingest.models.hub import Hub
from ingest.services.access import ANYWHERE
from ingest.services.billing import billing
from ui.command_line.calibrate import CalibrateArguments, add_calibrate_arguments, run_calibrate
from ui.command_line.evaluate import EvaluateArguments, add_evaluate_arguments, run_evaluate
from ui.command_line.ingest import IngestArguments, add_ingest_arguments, run_ingest
from ui.command_line.labels import LabelsArguments, add_labels_arguments, run_labels
from ui.command_line.library import (
    DeleteArguments,
    DoctorArguments,
    DocumentsArguments,
    ExportArguments,
    ImportArguments,
    OriginalArguments,
    RebuildArguments,
    add_delete_arguments,
    add_doctor_arguments,
    add_documents_arguments,
    add_export_arguments,
    add_import_arguments,
    add_original_arguments,
    add_rebuild_arguments,
    delete,
    documents,
    rebuild_library,
    run_doctor,
    run_export,
    run_import,
    save_original,
)
from ui.command_line.models import ModelsArguments, add_models_arguments, models
from ui.command_line.options import record_of
from ui.command_line.search import SearchArguments, add_search_arguments, run_search
from ui.command_line.serve import (
    PasswordArguments,
    ServeArguments,
    add_password_file,
    add_serve_arguments,
    password,
    serve,
)
from ui.command_line.terminal import harmless_output
from ui.command_line.train_arguments import TrainArguments, add_train_arguments
from ui.log import log_whole_errors
from ui.presentation.remedies import told
from ui.settings import Settings, from_environment


class _Command(argparse.ArgumentParser):
    """One command; its arguments are declared when they are asked for, so that a search declares no other's."""

    declare: Callable[[], object] | None = None

    def declared(self) -> _Command:
        """The same with its arguments."""
        declare, self.declare = self.declare, None
        if declare is not None:
            declare()
        return self

    def parse_known_args(self, *arguments: Any, **named: Any) -> Any:
        """As argparse does it."""
        return super(_Command, self.declared()).parse_known_args(*arguments, **named)


def build_parser(settings: Settings) -> argparse.ArgumentParser:
    """The whole command line, with the settings as its defaults; see `_Command` for those of each command."""
    parser = argparse.ArgumentParser(
        prog="secondlook",
        description="Document search that shows its work: the first look and the second, side by side.",
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="print the version")
    actions = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Command)
    for name, command in COMMANDS.items():
        added = actions.add_parser(name, help=command.text, description=command.text)
        added.declare = partial(command.declare, added, settings)
    return parser


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what it is for, its arguments, the record that they become, and what it does with that."""

    text: str
    declare: Callable[[argparse.ArgumentParser, Settings], object]
    arguments: type[Any]
    run: Callable[[Any, Settings], int]


class _ShowVersion(argparse.Action):
    """argparse's own would look the version up for every command."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"Second Look {program_version()}")
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    log_whole_errors()
    with harmless_output():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        settings = from_environment()
        parsed = build_parser(settings).parse_args(arguments)
        command = COMMANDS[parsed.command]
        with billing() as bill:
            status = command.run(record_of(command.arguments, parsed), chosen(settings, parsed))
        if bill and parsed.command not in ("ingest", "search"):  # which say it with their answer
            print(bill, file=sys.stderr)
        return status
    except SecondLookError as error:
        print(told(error), file=sys.stderr)
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


def chosen(settings: Settings, parsed: argparse.Namespace) -> Settings:
    """The environment's settings, overridden by what the command line says."""
    named = {name: getattr(parsed, name, None) for name in ("library", "encoder", "reranker", "window")}
    allowed = settings.allow_downloads and not getattr(parsed, "offline", False)
    services = settings.services
    if getattr(parsed, "allow_services", False):
        services = replace(services, allowed=frozenset({ANYWHERE}))
    return replace(
        settings,
        **{name: value for name, value in named.items() if value is not None},
        allow_downloads=allowed,
        services=services,
        trusting=getattr(parsed, "trust_encoder", False),
    )


def _train(arguments: TrainArguments, settings: Settings) -> int:
    from ui.command_line.train import run_train  # imports torch, which no other command should wait for

    return run_train(arguments, Hub(settings.allow_downloads))


COMMANDS: Mapping[str, Command] = {
    "ingest": Command(
        "add files and folders to a library", add_ingest_arguments, IngestArguments, run_ingest
    ),
    "search": Command("ask a library, and see both orders", add_search_arguments, SearchArguments, run_search),
    "documents": Command(
        "list a library's documents", add_documents_arguments, DocumentsArguments, documents
    ),
    "delete": Command("take a document out of a library", add_delete_arguments, DeleteArguments, delete),
    "original": Command(
        "write the file that a document was read from", add_original_arguments, OriginalArguments, save_original
    ),
    "rebuild": Command(
        "read, cut and embed a library again, with another encoder say",
        add_rebuild_arguments, RebuildArguments, rebuild_library,
    ),
    "models": Command(
        "say which models are used, from where, and what else was tried",
        add_models_arguments, ModelsArguments, models,
    ),
    "evaluate": Command(
        "say with figures whether reranking helps on judged questions",
        add_evaluate_arguments, EvaluateArguments, run_evaluate,
    ),
    "labels": Command(
        "what was judged on the page: list, export, import, and what it says",
        add_labels_arguments, LabelsArguments, run_labels,
    ),
    "calibrate": Command(
        "learn from judged questions what a reranker's scores mean",
        add_calibrate_arguments, CalibrateArguments, run_calibrate,
    ),
    "doctor": Command(
        "say whether a library is whole, and repair it", add_doctor_arguments, DoctorArguments, run_doctor
    ),
    "export": Command("write a library to one file", add_export_arguments, ExportArguments, run_export),
    "import": Command(
        "make a library of an exported file", add_import_arguments, ImportArguments, run_import
    ),
    "train": Command("fine-tune a reranker on labelled questions", add_train_arguments, TrainArguments, _train),
    "serve": Command("open the page in the browser's reach", add_serve_arguments, ServeArguments, serve),
    "password": Command(
        "write the hash of a password, to serve the page with it",
        add_password_file, PasswordArguments, password,
    ),
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
