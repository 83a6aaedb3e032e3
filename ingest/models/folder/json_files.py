"""JSON files of a model's folder, which anybody may have written: a sentence that names the file, or what they hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.errors import ModelDamagedError

LARGEST = 16 << 20  # bytes; the largest settings known list the tokens of a vocabulary
DEEPEST = 32


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; an empty one where the file does not exist. Raises `ModelDamagedError`."""
    loaded = _read(path)
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ModelDamagedError(f"{path} holds no JSON object. Fetch the model again.")
    return loaded


def read_json_list(path: Path) -> list[Any]:
    """A JSON list from a file; an empty one where the file does not exist. Raises `ModelDamagedError`."""
    loaded = _read(path)
    if loaded is None:
        return []
    if not isinstance(loaded, list):
        raise ModelDamagedError(f"{path} holds no JSON list. Fetch the model again.")
    return loaded


def values_of(settings: object, place: str = "") -> Iterator[tuple[str, str, Any]]:
    """All values within ``settings``, with the key that each stands under and its whole place, ``a.b.c``."""
    if isinstance(settings, dict):
        pairs = [(str(key), value) for key, value in settings.items()]
    elif isinstance(settings, list):
        pairs = [("", value) for value in settings]
    else:
        return
    for key, value in pairs:
        here = f"{place}.{key}" if place and key else place or key
        yield key, here, value
        yield from values_of(value, here)


def shown(value: object, most: int = 60) -> str:
    """A key or a value of somebody's file, as a sentence can hold it: short, and without what no screen takes."""
    text = value if isinstance(value, str) else repr(value)
    cut = text[:most] + ("…" if len(text) > most else "")
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in cut)


def _read(path: Path) -> object:
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has over {LARGEST:,} bytes")
        loaded = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number, parse_float=_number)
        _check(loaded)
    except RecursionError:
        raise ModelDamagedError(f"{path} is nested too deeply. Fetch the model again.") from None
    except (OSError, ValueError) as error:
        raise ModelDamagedError(f"{path} is not valid JSON ({error}). Fetch the model again.") from error
    return loaded


def _no_number(name: str) -> float:
    raise ValueError(f"it holds {name}, which is no number")


def _number(text: str) -> float:
    number = float(text)
    if abs(number) == float("inf"):
        raise ValueError("it holds a number that is too large")
    return number


def _check(loaded: object) -> None:
    """Raise ``ValueError`` for text that nothing can write, and `RecursionError` for what is nested too deeply."""
    left: list[tuple[object, int]] = [(loaded, 0)]
    while left:
        value, depth = left.pop()
        if depth > DEEPEST:
            raise RecursionError
        if isinstance(value, str):
            value.encode("utf-8")
        elif isinstance(value, dict):
            left += [(part, depth + 1) for pair in value.items() for part in pair]
        elif isinstance(value, list):
            left += [(part, depth + 1) for part in value]
