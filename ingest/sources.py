"""A file to ingest: where it lies, what people call it, and what it is known by in a library."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from ingest.errors import UnreachableError

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
        return cls(path, name, f"upload:{name}", apart=not replaces)

    def numbered(self, number: int) -> Source:
        """The same upload under a name with a number: "minutes (2).txt"."""
        name = numbered(self.name, number)
        return replace(self, name=name, key=f"upload:{name}")

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
