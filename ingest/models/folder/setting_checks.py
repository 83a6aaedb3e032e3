"""Checks of one setting in a model's file: each raises a sentence with the file, the key and the value."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from ingest.errors import ModelDamagedError
from ingest.models.folder.json_files import read_json, shown

Check = Callable[[Path, str, Any], None]

MOST_TOKENS = 2**20
# One class of torch, made without arguments; and one of transformers that reads text.
_ACTIVATION = re.compile(r"torch\.nn\.modules\.(activation|linear)\.[A-Za-z0-9]+")
_TOKENIZER = re.compile(r"[A-Za-z0-9]+(Tokenizer(Fast)?|Backend)")
_WAYS_TO_POOL = frozenset({"cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"})


def refused(path: Path, key: str, value: object) -> ModelDamagedError:
    """That a file sets something that no model of ours may, or that nothing here knows."""
    return ModelDamagedError(
        f"{path} sets “{shown(key)}” to {shown(value)}, which no model that is loaded here may. Remove that setting if "
        "you know what it is for, or choose another model."
    )


def check_keys(path: Path, checks: Mapping[str, Check]) -> Mapping[str, Any]:
    """The settings in a file, once every key is one that is known, with a value as it has to be."""
    settings = read_json(path)
    within(checks)(path, "", settings)
    return settings


def within(checks: Mapping[str, Check]) -> Check:
    """An object with no other keys than these."""

    def check(path: Path, key: str, value: Any) -> None:
        if value is None:
            return
        if not isinstance(value, dict):
            raise refused(path, key, value)
        for inner, setting in value.items():
            place = f"{key}.{inner}" if key else inner
            if inner not in checks:
                raise refused(path, place, setting)
            checks[inner](path, place, setting)

    return check


def one_of(words: Collection[str]) -> Check:
    """One of these words, or nothing."""

    def check(path: Path, key: str, value: Any) -> None:
        if value is not None and not (isinstance(value, str) and value in words):
            raise refused(path, key, value)

    return check


def activation(path: Path, key: str, value: Any) -> None:
    """The name of an activation of torch, or nothing."""
    if value is not None and not (isinstance(value, str) and _ACTIVATION.fullmatch(value)):
        raise refused(path, key, value)


def tokenizer_class(path: Path, key: str, value: Any) -> None:
    """The name of a tokenizer's class, or nothing."""
    if value is not None and not (isinstance(value, str) and _TOKENIZER.fullmatch(value)):
        raise refused(path, key, value)


def text(path: Path, key: str, value: Any) -> None:
    """A text, or nothing."""
    if not (value is None or isinstance(value, str)):
        raise refused(path, key, value)


def texts(path: Path, key: str, value: Any) -> None:
    """A list of texts, or nothing."""
    if value is not None and not (isinstance(value, list) and all(isinstance(word, str) for word in value)):
        raise refused(path, key, value)


def named_texts(path: Path, key: str, value: Any) -> None:
    """An object whose values are texts or nothing, or nothing."""
    texts = value.values() if isinstance(value, dict) else ()
    if value is not None and not (
        isinstance(value, dict) and all(isinstance(one, str | None) for one in texts)
    ):
        raise refused(path, key, value)


def switch(path: Path, key: str, value: Any) -> None:
    """True or false, or nothing."""
    if not (value is None or isinstance(value, bool)):
        raise refused(path, key, value)


def count(path: Path, key: str, value: Any) -> None:
    """A number of tokens or of dimensions, or nothing."""
    if value is not None and (type(value) is not int or not 0 <= value <= MOST_TOKENS):
        raise refused(path, key, value)


def number(path: Path, key: str, value: Any) -> None:
    """Any number that is not absurd."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > MOST_TOKENS:
        raise refused(path, key, value)


def pooling(path: Path, key: str, value: Any) -> None:
    """One way to pool, or several."""
    ways = value if isinstance(value, list) else [value]
    if not ways or not all(isinstance(way, str) and way in _WAYS_TO_POOL for way in ways):
        raise refused(path, key, value)
