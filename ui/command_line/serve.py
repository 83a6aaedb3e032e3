"""`secondlook serve` opens the page; `secondlook password` writes what guards it on a network."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import tempfile
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from ingest.encoders.onnx import open_encoder
from ingest.errors import SecondLookError, UsageError
from ingest.installation import shipped_files
from ingest.library.library import Library, Manifest
from ingest.library.trust import allow
from ingest.models.encoders import ENCODER_ALIASES
from ingest.models.hub import Hub
from ingest.pipeline import ingest
from ingest.records import IngestProgress
from rerank.factory import encoder_for
from rerank.registry import (
    BUNDLED_RERANKER,
    LATE_INTERACTION,
    RERANKER_ALIASES,
)
from ui.command_line.models import add_pair
from ui.command_line.options import add_library
from ui.command_line.progress import ProgressBar, cancel_on_interrupt
from ui.page import samples
from ui.presentation.remedies import told
from ui.server.access import is_loopback
from ui.server.passwords import LONGEST, PasswordHash
from ui.server.start import protection_at, require_free
from ui.settings import Settings


@dataclass(frozen=True, slots=True)
class ServeArguments:
    """What `secondlook serve` was given."""

    port: int
    address: str
    no_sample: bool
    trust_encoder: bool


def add_serve_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """Declare the arguments, with the settings as their defaults."""
    add_library(parser, settings.library)
    add_pair(parser, settings)
    parser.add_argument("--port", type=int, default=8501, help="port (default 8501)")
    parser.add_argument(
        "--address", default="127.0.0.1",
        help="address to serve at (default 127.0.0.1, this machine alone); others need a password or OIDC",
    )  # fmt: skip
    parser.add_argument(
        "--no-sample", action="store_true", help="do not make the sample library where there is none"
    )


def serve(arguments: ServeArguments, settings: Settings) -> int:
    """`secondlook serve`: make the sample library where there is none, then run the page. Does not return."""
    if not 1 <= arguments.port <= 65535:
        raise UsageError(f"--port must be between 1 and 65535; {arguments.port} was given.")
    if not is_loopback(arguments.address):
        _say_what_guards(arguments.address, settings)
    require_free(arguments.address, arguments.port)
    if not arguments.no_sample:
        _see_to_the_samples(settings)
    if arguments.trust_encoder and Library.exists(settings.library):
        # remembered, for the page that is another process
        allow(Library(settings.library).manifest().encoder)
    environment = os.environ | {
        "SECONDLOOK_LIBRARY": str(settings.library.resolve()),
        "SECONDLOOK_ENCODER": _from_anywhere(settings.encoder),
        "SECONDLOOK_RERANKER": _from_anywhere(settings.reranker),
        "SECONDLOOK_DOWNLOADS": "1" if settings.allow_downloads else "0",
        "SECONDLOOK_ALLOW_SERVICES": ",".join(sorted(settings.services.allowed)),
        "SECONDLOOK_PASSWORD_FILE": str(settings.access.password_file or ""),
    }
    command = [sys.executable, "-m", "streamlit", "run", str(shipped_files() / "app.py")]
    command += ["--server.port", str(arguments.port), "--server.address", arguments.address]
    # Neither a module nor a .streamlit folder of where the person works is taken for ours.
    os.chdir(shipped_files())
    os.execve(sys.executable, command, environment)


def _from_anywhere(model: str | None) -> str:
    """A model's name as it is, and a folder's as it means the same from where Streamlit is started."""
    names = {*ENCODER_ALIASES, *RERANKER_ALIASES, BUNDLED_RERANKER, LATE_INTERACTION}
    if not model or model in names or not Path(model).is_dir():
        return model or ""
    return str(Path(model).resolve())


def _say_what_guards(address: str, settings: Settings) -> None:
    """What stands in front of a page that others can reach. Raises `UsageError` where nothing would."""

    with chdir(shipped_files()):  # where Streamlit will look for its secrets
        way = protection_at(address, settings).way
    print(
        f"Served to the network; visitors are known {way}. Without TLS, whoever listens on the network hears all.",
        file=sys.stderr,
    )


def make_sample_library(settings: Settings) -> None:
    """Ingest the sample documents into the library of the settings: all of them, or those that it still waits for."""
    library = Library(settings.library) if Library.exists(settings.library) else None
    print("Making the sample library (once)…", file=sys.stderr, flush=True)
    model = encoder_for(library, settings.models, Hub(settings.allow_downloads))
    if model.missed:
        print(f"{model.missed}; {model.name} is used.", file=sys.stderr)
    encoder = open_encoder(model, access=settings.services)
    library = library or samples.library_for(settings.library, Manifest.of(encoder.model.spec))

    def show(progress: IngestProgress) -> None:
        bar.show(progress)
        if progress.report is not None:
            samples.added(library, progress.report.path)

    sources = samples.pending(library)
    with cancel_on_interrupt() as cancelled, ProgressBar() as bar:
        report = ingest(sources, library, encoder, on_progress=show, cancelled=cancelled)
    if report.cancelled:
        raise KeyboardInterrupt
    print(f"{len(report.files)} sample documents in {report.seconds:.1f} s.", file=sys.stderr)


@dataclass(frozen=True, slots=True)
class PasswordArguments:
    """What `secondlook password` was given."""

    file: Path


def add_password_file(parser: argparse.ArgumentParser, _: Settings) -> None:
    """Declare the file that is written."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the file to write")


def password(arguments: PasswordArguments, _: Settings) -> int:
    """`secondlook password FILE`: ask for a password twice, and keep its hash in a file that only its owner may read.

    Where there is no terminal, the password is the first line of what comes in. Raises `UsageError`.
    """
    word = _asked() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    _write(arguments.file, f"{PasswordHash.of(word)}\n")
    sys.stderr.write(f"Written. Serve with it: SECONDLOOK_PASSWORD_FILE={arguments.file} secondlook serve\n")
    return 0


def _asked() -> str:
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise UsageError("The two are not the same; nothing was written.")
    return first


def _write(path: Path, text: str) -> None:
    """Write a private file, in place of such a one that was there. Raises `UsageError` where that is not possible."""
    if not path.name or path.is_dir():
        raise UsageError(f"{path} is a folder. Name the file to write the password's hash to.")
    try:
        if path.exists() and not _may_hold_a_password(path):
            raise UsageError(f"{path} is there already and holds no password. Name another file.")
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".password-") as folder:
            copy = Path(folder) / path.name
            with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
                handle.write(text)
            copy.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}). Name a file in a folder of yours."
        ) from error


def _may_hold_a_password(path: Path) -> bool:
    """Whether it is a file of one line, as `read_password_file` reads: of a hash, or the password itself."""
    if not path.is_file():
        return False
    longest = 4 * LONGEST  # bytes, in UTF-8
    with path.open("rb") as handle:
        raw = handle.read(longest + 3)
    line = raw.rstrip(b"\r\n")
    return len(line) <= longest and b"\n" not in line and b"\0" not in line


def _see_to_the_samples(settings: Settings) -> None:
    """Make the sample library where there is none, and go on with it where a start died over that."""
    if not Library.exists(settings.library):
        make_sample_library(settings)
        return
    try:
        if samples.pending(Library(settings.library)):
            make_sample_library(settings)
    except (
        SecondLookError
    ) as error:  # the page is served all the same, and says what is wrong with its library
        print(told(error), file=sys.stderr)
