"""An exported file, opened: its members as streams that are bounded and verified. What it says is not trusted."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.archive import ARCHIVE_FORMAT, CONTENTS, MEMBERS
from ingest.errors import NewerFormatError, TooLargeError
from ingest.library.library import Manifest
from ingest.models.trust import name_fault

MAX_DIM = 65_536


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an import accepts, in bytes: of all members unpacked, of one line, and of contents and attachments.

    A member that unpacks to over ``ratio`` times its size is refused once it is larger than ``small``: text and JSON
    shrink to a tenth or so, a zip bomb to a thousandth.
    """

    total: int = 64 << 30
    line: int = 512 << 20
    small: int = 16 << 20
    ratio: int = 250


class ArchiveSource:
    """An opened export: its members as streams, whose ends verify their checksums."""

    def __init__(
        self, file: Path, archive: zipfile.ZipFile, attachments: Collection[str], limits: ArchiveLimits
    ) -> None:
        """Raises `NewerFormatError`, `TooLargeError`, and ``ValueError`` and its like for what is no export."""
        self._file, self._archive, self._limits = file, archive, limits
        self._infos = {info.filename: info for info in archive.infolist()}
        self._check_members({*MEMBERS, CONTENTS, *attachments})
        self._members: dict[str, Any] = {}
        contents = json.loads(self.whole(CONTENTS))
        if contents["format"] != ARCHIVE_FORMAT:
            raise NewerFormatError(
                f"{file} has the export format {contents['format']}; this version of Second Look reads "
                f"{ARCHIVE_FORMAT}. Update Second Look, or export again with this version."
            )
        self._members = contents["members"]
        if {*self._members, CONTENTS} != self._infos.keys():
            raise ValueError("its members are not those that it lists")
        self.manifest = _manifest(contents["library"])
        self.attached = sorted(self._infos.keys() & set(attachments))

    def _check_members(self, known: set[str]) -> None:
        if len(self._infos) != len(self._archive.infolist()):
            raise ValueError("a member is there twice")
        strange = sorted(self._infos.keys() - known)
        if strange:
            raise ValueError(f"it has a member “{strange[0][:80]}”, which no export has")
        for info in self._infos.values():
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"its member {info.filename} is packed in a way that no export is")
            large = info.file_size > self._limits.small
            if large and info.file_size > self._limits.ratio * max(info.compress_size, 1):
                raise TooLargeError(
                    f"{self._file} is refused: its member {info.filename} unpacks to {info.file_size:,} bytes from "
                    f"{info.compress_size:,}, as a zip bomb does."
                )

    def check_space(self, folder: Path) -> None:
        """Raise `TooLargeError` if the members are over the limit, or over what the disk has free."""
        total = sum(info.file_size for info in self._infos.values())
        room = min(self._limits.total, shutil.disk_usage(folder).free)
        if total > room:
            raise TooLargeError(
                f"{self._file} unpacks to {total:,} bytes; {room:,} are allowed and free in {folder}. Free "
                "the disk, or import it elsewhere."
            )

    def whole(self, name: str) -> bytes:
        """A small member's bytes."""
        if self._infos[name].file_size > self._limits.small:
            raise TooLargeError(f"{self._file} is refused: its member {name} is larger than any export's.")
        raw = self._archive.read(name)
        self._verify(name, hashlib.sha256(raw).hexdigest(), len(raw))
        return raw

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The rows of a member."""
        state, size = hashlib.sha256(), 0
        with self._archive.open(name) as handle:
            while line := handle.readline(self._limits.line + 1):
                if len(line) > self._limits.line:
                    raise TooLargeError(
                        f"{self._file} is refused: a line of {name} is larger than any export's."
                    )
                state.update(line)
                size += len(line)
                yield json.loads(line)
        self._verify(name, state.hexdigest(), size)

    def records(self, name: str, width: int) -> Iterator[bytes]:
        """The records of ``width`` bytes of a member, none where the export was made without it."""
        if name not in self._infos:
            return
        state, size = hashlib.sha256(), 0
        with self._archive.open(name) as handle:
            while record := handle.read(width):
                state.update(record)
                size += len(record)
                yield record
        self._verify(name, state.hexdigest(), size)

    def _verify(self, name: str, sha256: str, size: int) -> None:
        if name != CONTENTS and self._members[name] != {"bytes": size, "sha256": sha256}:
            raise ValueError(f"the checksum of its member {name} does not agree")


def _manifest(stored: dict[str, Any]) -> Manifest:
    manifest = Manifest(**stored)
    numbers = (manifest.dim, manifest.chunk_tokens, manifest.chunker_version)
    if not all(type(number) is int and number > 0 for number in numbers) or manifest.dim > MAX_DIM:
        raise ValueError("it does not say what made it")
    text_of(manifest.identity)
    if fault := name_fault(text_of(manifest.encoder)):
        raise ValueError(fault)
    return manifest


def text_of(value: object) -> str:
    """The value, which must be text. Raises ``TypeError``."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} stands where text should be")
    return value


def number_of(value: object) -> int:
    """The value, which must be a whole number. Raises ``TypeError``."""
    if type(value) is not int:
        raise TypeError(f"{value!r:.40} stands where a whole number should be")
    return value
