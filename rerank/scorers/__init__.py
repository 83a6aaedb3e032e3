"""Rerankers, one file a kind: `late_interaction.py` is of the architecture “late-interaction”. A new one is a new file.

Its function ``open_reranker(model, options)`` loads one. A file with a ``SPEC`` besides is a reranker that needs no
model files, and goes by its file's name. Files are imported when they are used, because torch takes seconds to import.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from ingest.errors import ModelError
from ingest.library.token_vectors import TokenStore
from ingest.models.resolve import ModelSource, ModelSpec, ResolvedModel
from ingest.services.access import ServiceAccess
from rerank.scorers.base import Options, Scorer, Scores

__all__ = [
    "Options",
    "Scorer",
    "Scores",
    "ServiceAccess",
    "kinds",
    "named_rerankers",
    "open_scorer",
    "resolve_named",
]

# Architectures of which faster engines are tried (`rerank.scorers.engine`); the others are run by their own files.
ENGINED = frozenset({"cross-encoder", "onnx-cross-encoder"})
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def open_scorer(
    model: ResolvedModel,
    engine: str = "auto",
    wait: bool = True,
    access: ServiceAccess | None = None,
    token_store: TokenStore | None = None,
) -> Scorer:
    """Load the reranker of this model. Raises `ModelError` where it cannot be loaded.

    ``engine`` is one of `rerank.scorers.engine.ENGINES`, and without ``wait`` nothing is measured first; only
    cross-encoders have a choice of engines. ``access`` holds the keys to rerankers behind a service. Late interaction
    takes passages' vectors from ``token_store``, where it has them.
    """
    if model.spec.architecture in ENGINED:
        from rerank.scorers.engine import open_cross_encoder

        return open_cross_encoder(model, wanted=engine, wait=wait)
    module = _file_of(model.spec.architecture)
    if module is None or not hasattr(module, "open_reranker"):
        raise ModelError(
            f"No reranker is known for the architecture “{model.spec.architecture}” of {model.name}."
        )
    scorer: Scorer = module.open_reranker(
        model, Options(engine, wait, access or ServiceAccess(), token_store)
    )
    return scorer


def resolve_named(name: str) -> ResolvedModel | None:
    """The reranker that is a file of this folder by that name; ``None`` where there is none."""
    module = _file_of(name)
    spec: ModelSpec | None = getattr(module, "SPEC", None)
    if module is None or spec is None or module.__file__ is None:
        return None
    return ResolvedModel(spec, ModelSource.BUNDLED, Path(module.__file__).parent)


def named_rerankers() -> list[str]:
    """The names of the rerankers that need no model files."""
    return _declaring("SPEC")


def kinds() -> list[str]:
    """The architectures that can be loaded."""
    return _declaring("def open_reranker")


def _declaring(begin: str) -> list[str]:
    """The names of the files with a line that begins so: read, for to import them all would take seconds."""
    files = [file for folder in __path__ for file in Path(folder).glob("*.py") if file.stem != "__init__"]
    line = re.compile(rf"^{begin}\b", re.MULTILINE)
    return sorted(file.stem.replace("_", "-") for file in files if line.search(file.read_text("utf-8")))


def _file_of(name: str) -> ModuleType | None:
    """The module of an architecture or a named reranker."""
    place = f"{__name__}.{name.replace('-', '_')}"
    return import_module(place) if _NAME.fullmatch(name) and find_spec(place) is not None else None
