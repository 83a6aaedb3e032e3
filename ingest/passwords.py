"""Passwords of protected PDFs on the command line: from a file, or asked for. They are never in the arguments."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ingest.errors import UsageError
from ingest.pipeline import Source
from ingest.records import FileReport, IngestReport
from ingest.services.billing import Bill

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
