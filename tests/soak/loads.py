"""Counts the models that the page loads: each is a line, with the process that loaded it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from ui.page import resources

P = ParamSpec("P")
T = TypeVar("T")


def counted(what: str, load: Callable[P, T]) -> Callable[P, T]:
    """``load``, which writes down that it was called."""

    def count(*args: P.args, **more: P.kwargs) -> T:
        with Path(os.environ["SOAK_LOADS"]).open("a") as notes:
            notes.write(f"{os.getpid()} {what}\n")
        return load(*args, **more)

    return count


resources.open_encoder = counted("encoder", resources.open_encoder)  # type: ignore[attr-defined]
resources.open_searcher = counted("reranker", resources.open_searcher)  # type: ignore[attr-defined]
