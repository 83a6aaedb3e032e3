"""Mailboxes of many mails in one file (RFC 4155): each mail is a document of its own, and so are its attachments.

Such files run to gigabytes, so this one is read mail by mail; the standard library's reader wants to write beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ingest.errors import DamagedFileError
from ingest.readers.source import Part, Source
from ingest.records import Unread

_FROM = b"From "


def read_mbox(source: Source) -> Iterator[Part]:
    """Yield the mails in their order, each under its number.

    Raises:
        DamagedFileError: it does not begin as a mailbox does.
    """
    with source.open() as file:
        for number, content in enumerate(_mails(source, file), start=1):
            if len(content) > source.limits.max_bytes:
                name = f"{source.name}/{number}.eml"
                yield Unread(
                    name,
                    f"{name} is larger than is read of one file; save it by itself, without attachments.",
                )
            else:
                yield source.part(f"{number}.eml", content)


def _mails(source: Source, file: BinaryIO) -> Iterator[bytes]:
    """The mails' own bytes. A line “From …” begins one where it follows an empty line; quoted ones are given back."""
    lines: list[bytes] = []
    size = 0
    after_blank, begun = True, False
    while line := file.readline(source.limits.max_bytes):
        if after_blank and line.startswith(_FROM):
            if lines:
                yield b"".join(lines)
            lines, size, begun = [], 0, True
        elif begun:
            unquoted = line[1:] if line.startswith(b">") and line.lstrip(b">").startswith(_FROM) else line
            if size <= source.limits.max_bytes:  # one line more, so that it is seen to be too large
                lines.append(unquoted)
                size += len(unquoted)
        elif line.strip():
            raise DamagedFileError(
                f"{source.name} does not begin with “From ”, as a mailbox does; export it again as mbox, or as single "
                "mails (.eml)."
            )
        after_blank = not line.strip()
    if lines:
        yield b"".join(lines)
