"""A file to ingest: where it lies, what people call it, and what it is known by in a library."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ingest.errors import UnreachableError

NO_FILE = "is a device, a pipe or a socket, not a file; name a file instead."


@dataclass(frozen=True, slots=True)
class Source:
    """A file to ingest: where its bytes lie, what people call it, and its identity in the library.

    ``passwords`` are tried on it if it needs one; they are neither shown nor stored. ``fault`` says why it cannot be
    read, where that is known beforehand.
    """

    path: Path
    name: str
    key: str
    passwords: tuple[str, ...] = field(default=(), repr=False, compare=False)
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
    def of_upload(cls, path: Path, name: str) -> Source:
        """An uploaded file, whose bytes lie under a name of ours: its own name is its identity."""
        return cls(path, name, f"upload:{name}")

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


def _as_text(path: Path) -> str:
    """The path as text that can be stored and printed: bytes of a name that are no UTF-8 are written out."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
