"""`secondlook ingest` and `python -m ingest`: arguments, progress for people, and the JSON report."""

from __future__ import annotations

import argparse
import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ingest.chunker import DEFAULT_CHUNK_TOKENS, MIN_CHUNK_TOKENS
from ingest.encoders.onnx import open_encoder
from ingest.errors import UsageError
from ingest.library.library import Library, Manifest
from ingest.models.consent import privacy_notice
from ingest.models.hub.hub import Hub
from ingest.models.resolve import ResolvedModel, resolve_encoder
from ingest.models.served import is_served_name
from ingest.models.trust import encoder_asked_for, encoder_of_library
from ingest.passwords import add_password_arguments, read_again, read_passwords
from ingest.pipeline import Source, ingest
from ingest.records import FileReport, FileStatus, IngestProgress, IngestReport, Stage
from ingest.services.access import ServiceAccess
from ingest.services.billing import billing
from ingest.sources import walk
from ingest.terminal import one_line


def add_ingest_arguments(parser: argparse.ArgumentParser, library: Path | None = None) -> None:
    """Declare the arguments of an ingest; ``library`` is the default folder, required where there is none."""
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file, or a folder to walk")
    parser.add_argument(
        "--library", type=named_folder, default=library, required=library is None, metavar="DIR"
    )
    parser.add_argument("--encoder", help="name or folder of the bi-encoder (default: what made the library)")
    parser.add_argument(
        "--chunk-tokens", type=int, metavar="N",
        help=f"tokens a passage, for a new library (default {DEFAULT_CHUNK_TOKENS})",
    )  # fmt: skip
    parser.add_argument("--offline", action="store_true", help="use only models that are on this machine")
    add_trust_encoder(parser)
    add_password_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def named_folder(text: str) -> Path:
    """The folder that ``text`` names; an empty text, of a variable that is not set say, would be the one one is in."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; name a folder, “.” for this one")
    return Path(text)


def add_allow_services(parser: argparse.ArgumentParser) -> None:
    """Declare the leave to send text elsewhere."""
    parser.add_argument(
        "--allow-services", action="store_true",
        help="let an encoder or a reranker behind a service on another machine read text; without it, nothing leaves "
        "this machine (SECONDLOOK_ALLOW_SERVICES does the same for good)",
    )  # fmt: skip


def add_trust_encoder(parser: argparse.ArgumentParser) -> None:
    """Declare the leave to load a model that a library names."""
    parser.add_argument(
        "--trust-encoder", action="store_true",
        help="load the encoder that the library names (and its reranker of token vectors) though it is neither bundled "
        "nor on the list of known models; remembered for you on this machine. Naming it with --encoder does the same",
    )  # fmt: skip


def run_ingest(
    arguments: argparse.Namespace, hub: Hub, access: ServiceAccess | None = None,
    then: Callable[[], int] = lambda: 0,
) -> int:  # fmt: skip
    """Ingest the paths and print the report; 0, or 1 when nothing could be read or something not be reached.

    Without ``access`` to services, only encoders of this machine can be used. ``then`` is what follows where anything
    was read; its status counts too.
    """
    tokens = _chunk_tokens(arguments.library, arguments.chunk_tokens)
    missing = [path for path in arguments.paths if _is_missing(path)]
    if len(missing) == len(arguments.paths):
        raise UsageError(f"There is no such file or folder: {', '.join(map(str, missing))}.")
    passwords = read_passwords(arguments.password_file)
    sources = [replace(source, passwords=passwords) for source in walk(arguments.paths)]
    model = encoder_model(arguments.library, arguments.encoder, hub, access, arguments.trust_encoder)
    if model.missed:
        print(f"{model.missed}; {model.name} is used.", file=sys.stderr)
    encoder = open_encoder(model, access=access)
    library = Library.create(arguments.library, Manifest.of(encoder.model.spec, tokens))
    library.require_encoder(encoder.model.spec)
    if notice := privacy_notice(model):
        print(notice, file=sys.stderr)

    def read(sources: Sequence[Source]) -> IngestReport:
        with cancel_on_interrupt() as cancelled, ProgressBar() as bar:
            return ingest(sources, library, encoder, on_progress=bar.show, cancelled=cancelled)

    with billing() as bill:
        report = read(sources)
        if arguments.ask_passwords and not report.cancelled:
            report = read_again(report, sources, read)
    print_report(replace(report, bill=bill), as_json=arguments.json)
    if any(file.needs_password for file in report.files) and not arguments.ask_passwords:
        print("For files with a password: --ask-passwords, or --password-file FILE.", file=sys.stderr)
    if report.cancelled:
        print(
            "Stopped. What was finished is in the library; run the same command again to go on.",
            file=sys.stderr,
        )
        return 1
    if report.files and report.count(FileStatus.REFUSED) == len(report.files):
        return 1
    return then() or int(any(file.unreachable for file in report.files))


def _is_missing(path: Path) -> bool:
    """Whether nothing is there, as far as one may look."""
    try:
        os.stat(path)
    except OSError as error:
        return error.errno != errno.EACCES
    return False


def _chunk_tokens(folder: Path, wanted: int | None) -> int:
    """How many tokens a passage of the library has. Raises `UsageError` where another number is asked for."""
    if wanted is not None:
        check_chunk_tokens(wanted)
    if not Library.exists(folder):
        return DEFAULT_CHUNK_TOKENS if wanted is None else wanted
    held = Library(folder).manifest().chunk_tokens
    if wanted not in (None, held):
        raise UsageError(
            f"The library {folder} is cut at {held} tokens a passage, and --chunk-tokens {wanted} is for a new one. "
            f"Cut it again with: secondlook rebuild --library {folder} --chunk-tokens {wanted}"
        )
    return held


def check_chunk_tokens(tokens: int) -> None:
    """Raise `UsageError` for passages of so few tokens that none holds a sentence."""
    if tokens < MIN_CHUNK_TOKENS:
        raise UsageError(f"--chunk-tokens must be at least {MIN_CHUNK_TOKENS}; {tokens} was given.")


def encoder_model(
    folder: Path, name: str | None, hub: Hub, access: ServiceAccess | None = None, trusting: bool = False
) -> ResolvedModel:
    """The encoder asked for, else the one that made the library, else the default one.

    ``trusting`` as in `encoder_of_library`.
    """
    library = Library(folder) if Library.exists(folder) else None
    used = name or (library.manifest().encoder if library else None)
    if access is None and used is not None and is_served_name(used):
        raise UsageError(f"{used} is behind a service, whose key is not known here. Use: secondlook ingest")
    if library is not None:
        return encoder_of_library(library, name, hub, access, trusting)
    return resolve_encoder(None, hub, access) if name is None else encoder_asked_for(name, hub, access)


def print_report(report: IngestReport, *, as_json: bool) -> None:
    """Write the report to stdout: as JSON, or a line a file."""
    if as_json:
        files = [asdict(file) for file in report.files]
        found: dict[str, Any] = {"files": files, "seconds": round(report.seconds, 3)}
        if report.bill:
            found["services"] = report.bill.rows()
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for file in report.files:
        print(describe(file))
    counts = ", ".join(f"{report.count(status)} {status}" for status in FileStatus if report.count(status))
    print(f"{counts or 'No files'} in {report.seconds:.1f} s.")
    if report.bill:
        print(report.bill)


def describe(file: FileReport) -> str:
    """A file's report as one line."""
    parts = []
    if file.chunks:
        parts.append(f"{file.chunks} passages")
    if file.pages:
        parts.append(f"{file.pages} pages")
    if file.reason:
        parts.append(file.reason)
    return one_line(f"{file.status:<10} {file.path}" + (f"  ({'; '.join(parts)})" if parts else ""))


@contextmanager
def cancel_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Ctrl-C asks the work to stop at the next safe place; a second one ends the process."""
    asked = threading.Event()

    def ask(signum: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        print("\nStopping after the passages in hand (Ctrl-C again to stop at once)…", file=sys.stderr)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)


class ProgressBar:
    """Files and passages as a bar on stderr, where that is a terminal; refusals as lines above it."""

    def __enter__(self) -> ProgressBar:
        self._bar = tqdm(unit=" files", disable=not sys.stderr.isatty(), file=sys.stderr, dynamic_ncols=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, progress: IngestProgress) -> None:
        """Draw one moment of an ingest."""
        self._bar.total = progress.files
        if progress.stage is Stage.DONE:
            self._bar.update(1)
            if progress.report is not None and progress.report.status is FileStatus.REFUSED:
                self._bar.write(describe(progress.report), file=sys.stderr) if not self._bar.disable else None
        elif progress.rate:
            self._bar.set_postfix_str(f"{progress.done} passages, {progress.rate:.0f}/s", refresh=True)
