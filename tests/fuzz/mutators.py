"""Changes that get past the first check of a format: a flipped bit in a zip archive only breaks its checksum."""

from __future__ import annotations

import io
import random
import warnings
import zipfile
from collections.abc import Callable

MAIN_PARTS = (
    "word/document.xml",
    "xl/worksheets/sheet1.xml",
    "ppt/slides/slide1.xml",
    "content.xml",
    "text/book.opf",
)
Mutate = Callable[[bytes, int], bytes]


def change_package(data: bytes, max_size: int, seed: int, mutate: Mutate) -> bytes:
    """The package with one of its parts changed by ``mutate`` and packed again; at times, its bytes themselves.

    What is no archive, or would not be within ``max_size`` bytes, is changed as bytes.
    """
    chance = random.Random(seed)
    if chance.random() < 0.1:
        return mutate(data, max_size)
    try:
        parts = _unpack(data)
    except Exception:  # an archive broken in whatever way: zipfile raises several kinds
        return mutate(data, max_size)
    if not parts:
        return mutate(data, max_size)
    # The content itself as often as all else together.
    names = sorted(parts)
    main = next((name for name in MAIN_PARTS if name in parts), names[0])
    name = main if chance.random() < 0.5 else chance.choice(names)
    parts[name] = mutate(parts[name], max_size // 2)
    packed = _pack(parts)
    return packed if len(packed) <= max_size else mutate(data, max_size)


def _unpack(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(part.file_size for part in archive.infolist()) > 200_000:
            return {}
        return {part.filename: archive.read(part) for part in archive.infolist()}


def _pack(parts: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for name, part in parts.items():
            # A date of its own would make every packing different.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), part, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
