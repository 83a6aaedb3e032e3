"""`secondlook ingest`: arguments, progress for people, and the JSON report."""

from __future__ import annotations

import argparse
import errno
import getpass
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ingest.chunker import DEFAULT_CHUNK_TOKENS
from ingest.encoders.onnx import open_encoder
from ingest.errors import CancelledError, LibraryError, ModelError, StorageError, UsageError
from ingest.folders import Pruned
from ingest.library.files.originals import KEEPS_ORIGINALS
from ingest.library.library import Library, Manifest
from ingest.library.token_vectors import TokenStore
from ingest.library.trust import allow, encoder_asked_for, encoder_of_library
from ingest.library.writer import writing
from ingest.models.consent import privacy_notice
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.models.spec import ResolvedModel
from ingest.pipeline import ingest
from ingest.records import FileReport, FileStatus, IngestReport
from ingest.services.access import ServiceAccess
from ingest.services.billing import Bill, billing
from ingest.sources import Source, walk
from rerank.registry import LATE_INTERACTION
from ui.command_line.folders import Following, add_folder_arguments, follow
from ui.command_line.options import add_allow_services, add_library, add_trust_encoder, check_chunk_tokens
from ui.command_line.progress import ProgressBar, cancel_on_interrupt, describe
from ui.command_line.terminal import one_line, print_json
from ui.presentation.formatting import count_of
from ui.presentation.remedies import told
from ui.settings import Settings


@dataclass(frozen=True, slots=True)
class IngestArguments:
    """What `secondlook ingest` was given."""

    paths: Sequence[Path]
    library: Path
    encoder: str | None
    chunk_tokens: int | None
    trust_encoder: bool
    password_file: Path | None
    ask_passwords: bool
    json: bool
    token_vectors: str | None
    no_token_vectors: bool
    originals: bool | None
    prune: bool
    prune_empty: bool
    watch: bool


def add_ingest_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """Declare the arguments, with the settings as their defaults."""
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file, or a folder to walk")
    add_library(parser, settings.library)
    parser.add_argument("--encoder", help="name or folder of the bi-encoder (default: what made the library)")
    parser.add_argument(
        "--chunk-tokens", type=int, metavar="N",
        help=f"tokens a passage, for a new library (default {DEFAULT_CHUNK_TOKENS})",
    )  # fmt: skip
    parser.add_argument("--offline", action="store_true", help="use only models that are on this machine")
    add_trust_encoder(parser)
    add_password_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    add_allow_services(parser)
    add_token_vector_arguments(parser)
    add_original_arguments(parser)
    add_folder_arguments(parser)


def add_original_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare whether the library keeps the files themselves."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--originals", action="store_true", default=None,
        help="keep the files themselves in the library, now and later (the default), so that they can be opened, and "
        "read again by a rebuild",
    )  # fmt: skip
    choice.add_argument(
        "--no-originals", action="store_false", dest="originals",
        help="keep no files in the library, now and later, and remove those that it keeps",
    )  # fmt: skip


def keep_originals(library: Library, wanted: bool | None) -> None:
    """Have a library keep originals, or remove them and keep none; nothing where nobody said."""
    if wanted is None:
        return
    library.note(KEEPS_ORIGINALS, wanted)
    if not wanted and library.originals_size()[0]:
        with writing(library) as writer:
            writer.forget_originals()


def run_ingest(arguments: IngestArguments, settings: Settings) -> int:
    """Ingest the paths, print the report, and bring stored token vectors up to date.

    0, or 1 when nothing could be read, something not be reached, or token vectors not be stored.
    """
    hub, folder = Hub(settings.allow_downloads), settings.library
    if arguments.no_token_vectors:
        drop_token_vectors(folder)
    # A library that is there knows what made it.
    name = arguments.encoder if Library.exists(folder) else settings.encoder
    model = partial(encoder_model, folder, name, hub, settings.services, arguments.trust_encoder)

    def store_token_vectors() -> int:
        return store_and_say(Library(folder), hub, arguments.token_vectors, settings.trusting)

    status, any_read = _read_in(arguments, settings, model, store_token_vectors)
    return (any_read and store_token_vectors()) or status


def _read_in(
    arguments: IngestArguments, settings: Settings, find: Callable[[], ResolvedModel], then: Callable[[], int]
) -> tuple[int, bool]:
    """Ingest with the encoder that ``find`` gives, and print the report; the status, and whether to go on after it.

    Where folders are watched, ``then`` follows each report.
    """
    tokens = _chunk_tokens(arguments.library, arguments.chunk_tokens)
    following = Following.of(
        arguments.paths, prunes=arguments.prune, even_empty=arguments.prune_empty, watches=arguments.watch
    )
    missing = [path for path in arguments.paths if _is_missing(path)]
    if len(missing) == len(arguments.paths) and not following.even_empty:
        raise UsageError(f"There is no such file or folder: {', '.join(map(str, missing))}.")
    passwords = read_passwords(arguments.password_file)
    sources = [replace(source, passwords=passwords) for source in walk(arguments.paths)]
    model = find()
    if model.missed:
        print(f"{model.missed}; {model.name} is used.", file=sys.stderr)
    encoder = open_encoder(model, access=settings.services)
    library = Library.create(arguments.library, Manifest.of(encoder.model.spec, tokens))
    library.require_encoder(encoder.model.spec)
    keep_originals(library, arguments.originals)
    say_if_cut_as_before(library)
    if notice := privacy_notice(model):
        print(notice, file=sys.stderr)

    def read(sources: Sequence[Source]) -> IngestReport:
        with cancel_on_interrupt() as cancelled, ProgressBar() as bar:
            return ingest(
                sources, library, encoder,
                on_progress=bar.show, cancelled=cancelled, originals=settings.originals,
            )  # fmt: skip

    if following.watches:

        def tell(report: IngestReport, pruned: Pruned) -> None:
            print_report(
                report, as_json=arguments.json, pruned=pruned if pruned.documents else None, more_follow=True
            )
            then()

        def first() -> list[Source]:
            return [replace(source, passwords=passwords) for source in walk(arguments.paths)]

        follow(library, following, first, read, tell)
        return 0, False
    with billing() as bill:
        report = read(sources)
        if arguments.ask_passwords and not report.cancelled:
            report = read_again(report, sources, read)
    pruned, refusal = None, None
    try:
        pruned = None if report.cancelled else following.prune(library)
    except UsageError as error:  # what was read is told all the same
        refusal = error
    print_report(replace(report, bill=bill), as_json=arguments.json, pruned=pruned)
    if refusal is not None:
        raise refusal
    if any(file.needs_password for file in report.files) and not arguments.ask_passwords:
        print("For files with a password: --ask-passwords, or --password-file FILE.", file=sys.stderr)
    if report.cancelled:
        print(
            "Stopped. What was finished is in the library; run the same command again to go on.",
            file=sys.stderr,
        )
        return 1, False
    if report.files and report.count(FileStatus.REFUSED) == len(report.files):
        return 1, False
    return int(any(file.unreachable for file in report.files)), True


# That somebody was told is kept in the library under this name.
CUT_TOLD = "told_of_cut"


def say_if_cut_as_before(library: Library) -> None:
    """Say once of a library that an earlier version cut its passages, and what cuts them better."""
    if not library.is_cut_as_before or library.noted(CUT_TOLD) is not None:
        return
    print(
        f"The passages of {library.folder} were cut by an earlier version, which parted some headings from their text. "
        f"They are searched as before; this cuts them anew from the texts that are kept: secondlook rebuild --library "
        f"{library.folder}",
        file=sys.stderr,
    )
    with suppress(LibraryError, StorageError):  # where nothing may be written it is said again
        library.note(CUT_TOLD, True)


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


def encoder_model(
    folder: Path, name: str | None, hub: Hub, access: ServiceAccess, trusting: bool
) -> ResolvedModel:
    """The encoder asked for, else the one that made the library, else the default one.

    ``trusting`` as in `encoder_of_library`.
    """
    library = Library(folder) if Library.exists(folder) else None
    if library is not None:
        return encoder_of_library(library, name, hub, access, trusting)
    return resolve_encoder(None, hub, access) if name is None else encoder_asked_for(name, hub, access)


def print_report(
    report: IngestReport, *, as_json: bool, pruned: Pruned | None = None, more_follow: bool = False
) -> None:
    """Write the report, and what was taken out because its file is gone, to stdout: as JSON, or a line a file."""
    if as_json:
        files = [asdict(file) for file in report.files]
        record: dict[str, Any] = {"files": files, "seconds": round(report.seconds, 3)}
        if report.bill:
            record["services"] = report.bill.rows()
        if pruned is not None:
            record["pruned"] = {"documents": pruned.documents, "paths": pruned.paths}
        print_json(record, in_one_line=more_follow)
        return
    for file in report.files:
        print(describe(file))
    for path in pruned.paths if pruned is not None else ():
        print(one_line(f"{'taken out':<10} {path}  (The file is gone.)"))
    counts = ", ".join(f"{report.count(status)} {status}" for status in FileStatus if report.count(status))
    if pruned is not None:
        counts = ", ".join(filter(None, (counts, f"{count_of(pruned.documents, 'document')} taken out")))
    print(f"{counts or 'No files'} in {report.seconds:.1f} s.", flush=True)
    if report.bill:
        print(report.bill)


TRIES = 3

Read = Callable[[Sequence[Source]], IngestReport]


def add_password_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where passwords come from."""
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE",
        help="a text file of passwords, one a line; each is tried on PDFs that need one",
    )  # fmt: skip
    parser.add_argument(
        "--ask-passwords", action="store_true", help="ask for the password of each PDF that needs one, unseen"
    )


def read_passwords(path: Path | None) -> tuple[str, ...]:
    """The passwords in a file, in its order; none where there is no file. Raises `UsageError` without quoting it."""
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"The password file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise UsageError(f"The password file {path} is not in UTF-8; save it as UTF-8.") from None
    return tuple(line for line in lines if line)


def read_again(
    report: IngestReport, sources: Sequence[Source], read: Read, ask: Callable[[str], str] = getpass.getpass
) -> IngestReport:
    """Ask for the password of each file that needs one and ``read`` it again, alone; the report as it is then.

    Three tries a file; an empty answer leaves it out. What services bill for it goes on the report's bill.
    """
    by_name = {source.name: source for source in sources}
    files = [
        _unlocked(file, by_name[file.path], read, ask, report.bill) if file.needs_password else file
        for file in report.files
    ]
    return replace(report, files=tuple(files))


def _unlocked(
    file: FileReport, source: Source, read: Read, ask: Callable[[str], str], bill: Bill
) -> FileReport:
    for _ in range(TRIES):
        password = ask(f"Password of {source.name} (empty: leave it out): ")
        if not password:
            break
        again = read([replace(source, passwords=(password,))])
        for (model, unit), amount in again.bill.amounts.items():
            bill.add(model, unit, amount)
        if not again.files:  # the person stopped it
            break
        (file,) = again.files
        if not file.needs_password:
            break
        sys.stderr.write(f"{file.reason}\n")
    return file


def add_token_vector_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the request for token vectors, and its end."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--token-vectors", nargs="?", const=LATE_INTERACTION, metavar="RERANKER",
        help="store the passages' token vectors for this reranker of late interaction (default "
        f"{LATE_INTERACTION}), now and at every later ingest, so that it answers in a fraction of the time; after the "
        "paths. They take some 50 KB a passage, and go with their document",
    )  # fmt: skip
    choice.add_argument(
        "--no-token-vectors", action="store_true", help="remove all stored token vectors, and store no more"
    )


def drop_token_vectors(folder: Path) -> None:
    """Remove the token vectors of the library in ``folder`` and the request for them, where there are any."""
    if Library.exists(folder) and TokenStore(Library(folder)).remove():
        _say(f"The token vectors of {folder} are removed; no more are stored.")


def store_and_say(library: Library, hub: Hub, name: str | None = None, trusting: bool = False) -> int:
    """Bring the library's token vectors up to date, those for ``name`` too where one is asked for.

    Shows a bar where stderr is a terminal, and says there what is stored now, as an ingest's report is on stdout; 0, or
    1 where it was stopped or a model is not to be had any more.
    """
    if name is None and not TokenStore(library).requested_models():
        return 0
    from rerank.token_vectors import (  # what loads models is not for every ingest
        keep_up,
        lasting,
        store_token_vectors,
    )

    bar = tqdm(unit=" passages", disable=not sys.stderr.isatty(), file=sys.stderr, desc="Token vectors")

    def show(done: int, total: int) -> None:
        bar.total, bar.n = total, done
        bar.refresh()

    with bar, cancel_on_interrupt() as cancelled:
        try:
            asked = None if name is None else store_token_vectors(library, name, hub, show, cancelled)
            if asked is not None:  # a person named it just now
                allow(lasting(name or ""))
            # Of what was asked for, nothing is lacking by now.
            stores = keep_up(library, hub, show, cancelled, trusting)
        except CancelledError as stopped:
            _say(str(stopped))
            return 1
        except ModelError as error:
            _say(
                f"The token vectors are not brought up to date. {told(error)} To store no more: --no-token-vectors"
            )
            return 1
    for one in (asked if asked is not None and asked.model == one.model else one for one in stores):
        more = (
            f" {count_of(one.too_long, 'passage')} did not fit the model and are computed at each question."
        )
        _say(
            f"Token vectors of {count_of(one.passages, 'passage')} for {one.model.name}: {one.added} new, "
            f"{one.bytes / 1e6:.1f} MB.{more if one.too_long else ''}"
        )
    return 0


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
