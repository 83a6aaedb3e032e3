"""Whether the files of a model in the hub's cache are those that the hub published.

The cache names the blob behind each file of a snapshot as the hub does: by its SHA-256 where it is a large one
(weights), by git's own hash, a SHA-1, where it is a small one. So a file that was cut or changed on the disk is
noticed. Who may write there can change the name too: it is a test for damage, not a signature.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from pathlib import Path

from ingest.errors import ModelDamagedError
from ingest.notices import Help, Remedy

# A file with the size and time that it had when it was verified is not read again for so long, and then it is, because
# bits that rot change neither.
REMEMBER_SECONDS = 7 * 24 * 3600.0
MOST_REMEMBERED = 1000
SHA256, GIT = 64, 40  # digits
_NAME = re.compile(rf"[0-9a-f]{{{SHA256}}}|[0-9a-f]{{{GIT}}}")
Checked = dict[str, tuple[int, int, float]]


def verify_snapshot(folder: Path, name: str, files: list[str], memory: Path) -> None:
    """Compare what ``files``, patterns, find in the snapshot ``folder`` of the model ``name`` with the hub's hashes.

    What was found to agree is noted in the file ``memory``. Files without a known hash are passed over. Raises
    `ModelDamagedError` for one that differs or cannot be read.
    """
    remembered = _remembered(memory)
    checked: Checked = {}
    for path in sorted({path for pattern in files for path in folder.glob(pattern)}):
        expected = _published_hash(path, folder)
        if expected is None:
            continue
        blob = path.resolve()
        try:
            stat = blob.stat()
            size, changed, at = remembered.get(str(blob), (-1, -1, 0.0))
            is_known = (size, changed) == (stat.st_size, stat.st_mtime_ns)
            if is_known and 0 <= time.time() - at < REMEMBER_SECONDS:
                continue
            digest = _hash(blob, stat.st_size, len(expected))
            if digest != expected and len(expected) == GIT and _plain_sha1(blob) == expected:
                digest = expected  # a mirror's way of naming it
        except OSError as error:
            raise _damaged(name, path, folder, f"cannot be read ({error})") from error
        if digest != expected:
            why = f"is not the one that the hub published: its hash is {digest[:16]}…, expected {expected[:16]}…"
            raise _damaged(name, path, folder, why)
        checked[str(blob)] = (stat.st_size, stat.st_mtime_ns, time.time())
    if checked:
        _remember(memory, remembered | checked)


def has_checksums(folder: Path) -> bool:
    """Whether the hub's SHA-256 is known for all weights in ``folder``: not in one that was copied out of the cache."""
    weights = [*folder.glob("*.safetensors"), *folder.glob("*/model.safetensors")]
    hashes = [_published_hash(path, folder) for path in weights]
    return bool(hashes) and all(checksum is not None and len(checksum) == SHA256 for checksum in hashes)


def _published_hash(path: Path, folder: Path) -> str | None:
    """The hash in the name of the blob that a file of the snapshot is a link to."""
    blob = path.resolve()
    is_blob = blob.parent == folder.resolve().parent.parent / "blobs"
    return blob.name if is_blob and _NAME.fullmatch(blob.name) else None


def _hash(path: Path, size: int, digits: int) -> str:
    with path.open("rb") as handle:
        if digits == SHA256:
            return hashlib.file_digest(handle, "sha256").hexdigest()
        state = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        for piece in iter(lambda: handle.read(2**20), b""):
            state.update(piece)
        return state.hexdigest()


def _plain_sha1(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()


def _damaged(name: str, path: Path, folder: Path, why: str) -> ModelDamagedError:
    return ModelDamagedError(
        f"The model file {path} {why}. Delete the folder {folder.parent.parent}, then fetch the model again.",
        Help(Remedy.FETCH, subject=name),
    )


def _remembered(memory: Path) -> Checked:
    try:
        noted = json.loads(memory.read_text(encoding="utf-8"))
        return {
            str(blob): (int(size), int(changed), float(at)) for blob, (size, changed, at) in noted.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # a lost or damaged note only means reading the files again


def _remember(memory: Path, checked: Checked) -> None:
    latest = sorted(checked.items(), key=lambda entry: entry[1][2])[-MOST_REMEMBERED:]
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        temporary = memory.with_name(f"{memory.name}.{os.getpid()}")
        temporary.write_text(json.dumps(dict(latest)), encoding="utf-8")
        temporary.replace(memory)
    except OSError:
        return  # a read-only home only means reading the files again
