"""What a model is (`ModelSpec`), and where its files were found (`ResolvedModel`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class ModelKind(StrEnum):
    """What a model does in the search path."""

    ENCODER = "encoder"
    RERANKER = "reranker"


class ModelSource(StrEnum):
    """Where a model's files were found."""

    FOLDER = "folder"
    CACHE = "hub cache"
    HUB = "hub"
    BUNDLED = "bundled"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a model is, independent of where its files lie.

    ``max_length`` counts tokens, special ones included. ``dim`` is the width of an encoder's vectors.
    A query is embedded as ``query_prefix + query`` and a passage as ``passage_prefix + passage``.
    For a reranker, relevance = sigmoid(``relevance_scale`` · logit + ``relevance_shift``), and a scale
    of ``None`` says that its scores cannot be read as relevance. ``bi_weight`` is the share of the
    bi-encoder's cosine in the number that the order goes by (0: none), fitted to the cosines of
    ``bi_encoder`` and of no other. ``window`` is how many tokens of a passage a reranker reads unless it is told
    otherwise (`rerank.scorers.windowed`), ``None`` as many as it has room for. ``parameters`` counts weights, in
    millions, where it is known. Of a ``pickled`` model that revision holds no safetensors (see
    `ingest.models.folder.weights`). The ``revision`` of a model behind a server is the address that answers for it.
    """

    name: str
    kind: ModelKind
    architecture: str
    revision: str
    licence: str
    max_length: int
    dim: int | None = None
    query_prefix: str = ""
    passage_prefix: str = ""
    languages: str = "English"
    bi_weight: float = 0.0
    bi_encoder: str = ""
    relevance_scale: float | None = None
    relevance_shift: float = 0.0
    window: int | None = None
    parameters: float | None = None
    pickled: bool = False

    @property
    def identity(self) -> str:
        """What makes two encoders' vectors comparable: name, revision, prefixes and length.

        The address of a service is left out: a server that moves is the same model.
        """
        revision = "" if "://" in self.revision else self.revision
        return json.dumps(
            [self.name, revision, self.query_prefix, self.passage_prefix, self.max_length], ensure_ascii=False
        )


@dataclass(frozen=True, slots=True)
class Missed:
    """The model that was to be used, and why it could not be had, as a clause."""

    name: str
    reason: str

    def __str__(self) -> str:
        """Both, as a clause."""
        return f"{self.name} could not be had: {self.reason.rstrip('.')}"


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model whose files are on this machine, in ``folder``; ``tried`` says what was asked before.

    ``missed`` is the one that it stands in for, unless nobody was to be asked for that one.
    """

    spec: ModelSpec
    source: ModelSource
    folder: Path
    tried: tuple[str, ...] = ()
    missed: Missed | None = None

    @property
    def name(self) -> str:
        """The model's name, as people know it."""
        return self.spec.name

    @property
    def size_bytes(self) -> int:
        """Size of the model's files on disk, in bytes."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
