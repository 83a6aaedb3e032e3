"""Weights that a model's code has room for and its files do not hold: a loader fills them with chance, and goes on."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from transformers.utils.logging import get_verbosity, set_verbosity

from ingest.errors import ModelError
from ingest.models.folder.weights import stored_names
from ingest.models.spec import ResolvedModel
from ingest.notices import Help, Remedy


@contextmanager
def quietly() -> Iterator[None]:
    """Without reports on weights that are left over, as heads are that we read ourselves, on what is missing or cut."""
    library = logging.getLogger("sentence_transformers")
    before, before_there = get_verbosity(), library.level
    set_verbosity(logging.ERROR)
    library.setLevel(logging.ERROR)
    try:
        yield
    finally:
        set_verbosity(before)
        library.setLevel(before_there)


def require_head(model: ResolvedModel, network: torch.nn.Module, base: str) -> None:
    """Raise `ModelError` where the files lack a parameter of ``network`` outside of its part ``base``.

    An encoder is loaded as a cross-encoder without a murmur, and its new head's scores are chance. Names are compared
    by their ends, because a loader may drop a prefix. Where weights have other names than usual, nothing is known.
    """
    stored = stored_names(model.folder)
    head = [name for name, _ in network.named_parameters() if not name.startswith(f"{base}.")]
    if stored:
        require_all(model, [name for name in head if not any(held.endswith(name) for held in stored)])


def require_all(model: ResolvedModel, missing: Iterable[str]) -> None:
    """Raise `ModelError` where any weights are missing."""
    names = sorted(missing)
    if names:
        more = f" and {len(names) - 1} more" if names[1:] else ""
        raise ModelError(
            f"The model {model.name} holds no weights for {names[0]}{more}, so that its scores would be chance. It is "
            "no reranker of this kind; choose another. An encoder is chosen as one.",
            Help(Remedy.CHOOSE, subject="encoder"),
        )
