"""ZIP archives: each file within is a document of its own, read as if it lay there."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from ingest.errors import DamagedFileError, EncryptedFileError, TooLargeError
from ingest.readers.office.package import check_unpacked
from ingest.readers.source import Part, Source
from ingest.records import Unread

# What systems put into archives for themselves.
_PASSED_OVER = frozenset(("__MACOSX", "Thumbs.db", "desktop.ini"))
_PIECE = 1_048_576
_ENCRYPTED = 0x1


def read_zip(source: Source) -> Iterator[Part]:
    """Yield the files within, in the order in which they were packed; hidden and empty ones are passed over.

    Raises:
        DamagedFileError: the archive is broken.
        TooLargeError: it unpacks to more than the limit, or at a ratio that nothing real has, or holds too many files.
    """
    with (
        source.open() as file,
        source.parsing("", "pack it again, or unpack it and add the files themselves."),
    ):
        source.check_bytes(source.size(), source.limits.max_bytes, source.name)
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if entry.file_size and _is_shown(entry.filename)]
            check_unpacked(source, sum(entry.file_size for entry in entries))
            for entry in entries:
                yield _member(source, archive, entry)


def _member(source: Source, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Part:
    name = entry.filename.replace("\\", "/").lstrip("/")
    try:
        return source.member(name, _content(source, archive, entry))
    except (DamagedFileError, EncryptedFileError) as error:
        return Unread(f"{source.name}/{name}", str(error))


def _content(source: Source, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    name = f"{source.name}/{entry.filename}"
    if entry.flag_bits & _ENCRYPTED:
        raise EncryptedFileError(
            f"{name} is protected by a password; unpack the archive and add the files themselves."
        )
    pieces: list[bytes] = []
    try:
        with archive.open(entry) as member:
            while piece := member.read(_PIECE):
                pieces.append(piece)
                source.unpacked.size += len(piece)
                check_unpacked(source, source.unpacked.size)
    except TooLargeError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise DamagedFileError(
            f"{name} cannot be unpacked ({error}); pack it again, or add it by itself."
        ) from error
    return b"".join(pieces)


def _is_shown(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return bool(parts) and not any(
        (part.startswith(".") and part not in (".", "..")) or part in _PASSED_OVER for part in parts
    )
