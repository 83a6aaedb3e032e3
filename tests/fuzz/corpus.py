"""What long fuzzing found worth keeping: one archive a target, beside this file, and replayed by `make test`."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


def archive_of(target: str) -> Path:
    return FOLDER / f"{target.lstrip('.')}.zip"


def kept(target: str) -> Iterator[bytes]:
    """The inputs kept for a target, in the order of their names; none where there is no archive."""
    path = archive_of(target)
    if path.exists():
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                yield archive.read(name)


def keep(target: str, inputs: Iterable[bytes]) -> int:
    """Write the archive anew with these inputs, each under its hash: equal inputs give equal bytes. How many."""
    path = archive_of(target)
    path.parent.mkdir(exist_ok=True)
    named = {hashlib.sha256(data).hexdigest()[:16]: data for data in inputs}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in sorted(named.items()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            archive.writestr(info, data, zipfile.ZIP_DEFLATED, 9)
    return len(named)
