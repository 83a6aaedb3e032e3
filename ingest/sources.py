"""A file to ingest: where it lies, what people call it, and what it is known by in a library."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from ingest.errors import UnreachableError
from ingest.library.files.originals import NAME as ORIGINAL
from ingest.library.files.originals import ORIGINALS, UPLOAD
from ingest.library.index_files import NAME
from ingest.library.library import DATABASE, LOCK, VECTORS
from ingest.library.token_vectors import FILE as TOKEN_VECTORS

NO_FILE = "is a device, a pipe or a socket, not a file; name a file instead."


@dataclass(frozen=True, slots=True)
class Source:
    """A file to ingest: where its bytes lie, what people call it, and its identity in the library.

    ``passwords`` are tried on it if it needs one; they are neither shown nor stored. ``apart``: where another file
    has its identity already, it goes in beside that one, under a numbered name, and replaces nothing. ``fault`` says
    why it cannot be read, where that is known beforehand.
    """

    path: Path
    name: str
    key: str
    passwords: tuple[str, ...] = field(default=(), repr=False, compare=False)
    apart: bool = False
    fault: str = ""

    @classmethod
    def of_path(cls, path: Path) -> Source:
        """A file of this machine: its resolved path is its identity."""
        try:
            real = path.resolve()
        except (OSError, RuntimeError):  # links that lead round in a ring; reading it says so
            real = path.absolute()
        return cls(path, _as_text(path), _as_text(real))

    @classmethod
    def unreachable(cls, path: Path, fault: str) -> Source:
        """What cannot be read; ``fault`` continues the sentence that begins with its path."""
        name = _as_text(path)
        return cls(path, name, name, fault=f"{name} {fault}")

    @classmethod
    def of_upload(cls, path: Path, name: str, *, replaces: bool = False) -> Source:
        """An uploaded file, whose bytes lie under a name of ours: its own name is its identity.

        A name says little of where a file comes from, so that another one of it is kept unless this ``replaces`` it.
        """
        return cls(path, name, f"{UPLOAD}{name}", apart=not replaces)

    def numbered(self, number: int) -> Source:
        """The same upload under a name with a number: "minutes (2).txt"."""
        name = numbered(self.name, number)
        return replace(self, name=name, key=f"{UPLOAD}{name}")

    def require_file(self) -> None:
        """Raise `UnreachableError` for what cannot be read, as a device or a pipe, which would never end.

        What is not there is another's to say.
        """
        if self.fault:
            raise UnreachableError(self.fault)
        if is_no_file(self.path):
            raise UnreachableError(f"{self.name} {NO_FILE}")


def is_no_file(path: Path) -> bool:
    """Whether a device, a pipe or a socket is there, which may never end and may wait for good to be opened."""
    return path.exists() and not path.is_file() and not path.is_dir()


def numbered(name: str, number: int) -> str:
    """A file's name with a number before its suffix, as people and browsers write it: "minutes (2).txt"."""
    plain = PurePath(name)
    return f"{name[: len(name) - len(plain.suffix)]} ({number}){plain.suffix}"


def _as_text(path: Path) -> str:
    """The path as text that can be stored and printed: bytes of a name that are no UTF-8 are written out."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


# How the names of a library's own files begin (SQLite's have further ones beside them); later stages keep the last two.
LIBRARY_FILES = (DATABASE, TOKEN_VECTORS, LOCK, "calibration.json", "evaluation-cache.sqlite")


# What programs leave beside people's files: locks of Office and LibreOffice, notes and thumbnails of file managers,
# backups of editors, and downloads that are under way. All are named by their programs' own documentation.
_LEFT_BY_PROGRAMS = re.compile(
    r"\..*|~\$.*|thumbs\.db|ehthumbs\.db|desktop\.ini|icon\r|__macosx|.*~|.*\.(tmp|part|partial|crdownload|download)",
    re.IGNORECASE,
)


def walk(paths: Iterable[Path]) -> Iterator[Source]:
    """The files of ``paths``, folders walked in order of name.

    Hidden files and folders are passed over, what programs leave beside files (locks of Office, thumbnails), and the
    files of a library that lies among them. What cannot be read (a
    folder that is locked, a path that is too long, a pipe) and what is not followed (a link to a folder, or out of the
    one that is walked) is among them with its fault.
    """
    for path in paths:
        if os.path.isdir(path):  # a name that is too long is none, where pathlib raises
            yield from within(path, path)
        else:
            yield Source.of_path(path)


def is_passed_over(root: Path, path: Path) -> bool:
    """Whether a path in the folder ``root`` is none that `walk` gives, or lies in a folder that it does not enter."""
    parts = path.relative_to(root).parts
    above = [root.joinpath(*parts[:depth]) for depth in range(1, len(parts))]
    return (
        any(_LEFT_BY_PROGRAMS.fullmatch(part) for part in parts)
        or any(map(os.path.islink, above))
        or _is_of_a_library(path)
    )


def within(root: Path, start: Path) -> Iterator[Source]:
    """What `walk` gives of ``start``, a path in the folder ``root`` or that itself.

    Without recursion: folders nest without bound.
    """
    waiting = [start]
    while waiting:
        path = waiting.pop()
        try:
            mode = os.stat(path, follow_symlinks=path is root).st_mode
            if stat.S_ISDIR(mode):
                names = sorted(
                    (name for name in os.listdir(path) if not _LEFT_BY_PROGRAMS.fullmatch(name)), reverse=True
                )
                waiting += [path / name for name in names]
                continue
        except OSError as error:
            fault = f"cannot be read ({error.strerror or error}), nor what may be in it; check that it may be read."
            yield Source.unreachable(path, fault)
            continue
        if not _is_of_a_library(path):
            fault = (
                _fault_of_link(path, root) if stat.S_ISLNK(mode) else "" if stat.S_ISREG(mode) else NO_FILE
            )
            yield Source.unreachable(path, fault) if fault else Source.of_path(path)


def _fault_of_link(link: Path, root: Path) -> str:
    """Why a link is not followed, "" where it leads to a file of the folder that is walked."""
    try:
        target = Path(os.path.realpath(link, strict=True))
        mode = target.stat().st_mode
    except OSError as error:
        return f"is a link that leads nowhere ({error.strerror or error}); mend or remove it."
    if stat.S_ISDIR(mode):
        return "is a link to a folder, which is not followed; add that folder by its own path."
    if not target.is_relative_to(os.path.realpath(root)):
        return "is a link that leads out of the folder, and is not followed; add the file by its own path."
    return "" if stat.S_ISREG(mode) else NO_FILE


def _is_of_a_library(path: Path) -> bool:
    folder = path.parent
    if (folder.name == VECTORS and NAME.fullmatch(path.name)) or (
        folder.name == ORIGINALS and ORIGINAL.fullmatch(path.name)
    ):
        folder = folder.parent
    elif not path.name.startswith(LIBRARY_FILES):
        return False
    return os.path.isfile(
        folder / DATABASE
    )  # as `Library.exists`, which raises where a folder may not be searched
