"""Which reranker is used: a folder, the hub's cache, the hub, or the bundled one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ingest.errors import ModelError
from ingest.hub import Hub
from ingest.models import (
    ModelKind,
    ModelSource,
    ModelSpec,
    ResolvedModel,
    bundled_encoder_folder,
    find_in_hub,
    folder_revision,
    read_json,
    resolve,
    resolve_encoder,
)
from rerank.scorers.late_interaction import late_interaction_of

DEFAULT_RERANKER = "cross-encoder/ms-marco-MiniLM-L-6-v2"
BUNDLED_RERANKER = "second-look-reranker"
LATE_INTERACTION = "maxsim"
BUNDLED_FOLDER = Path(__file__).resolve().parents[1] / "data" / "models" / BUNDLED_RERANKER

RERANKERS: Mapping[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        # Trained with binary cross-entropy, so the sigmoid of its logit is what it was trained to give.
        ModelSpec(
            DEFAULT_RERANKER, ModelKind.RERANKER, "cross-encoder",
            "c5ee24cb16019beea0893ab7796b1df96625c6b8", "Apache-2.0", 512, relevance_scale=1.0,
        ),
    )
}  # fmt: skip
RERANKER_ALIASES: Mapping[str, str] = {
    "ms-marco-MiniLM-L-6-v2": DEFAULT_RERANKER,
    "cross-encoder/ms-marco-MiniLM-L6-v2": DEFAULT_RERANKER,
    "bundled": BUNDLED_RERANKER,
    "late-interaction": LATE_INTERACTION,
}


def resolve_reranker(name: str | None, hub: Hub) -> ResolvedModel:
    """Find the reranker ``name`` (a name, an alias or a folder), or the default pair's for ``None``.

    Only the default falls back to the bundled reranker: a model asked for by name is found or refused.
    Raises `ModelNotFoundError` with everything that was tried, `ModelDamagedError` for a bad checksum.
    """
    if name is None:
        return resolve(RERANKERS[DEFAULT_RERANKER], hub, bundled=bundled_reranker)
    name = RERANKER_ALIASES.get(name, name)
    if name == BUNDLED_RERANKER:
        return bundled_reranker(())
    if name == LATE_INTERACTION:
        return late_interaction_of(resolve_encoder("bundled", hub))
    if Path(name).is_dir():
        return ResolvedModel(reranker_spec_of_folder(Path(name)), ModelSource.FOLDER, Path(name))
    if name in RERANKERS:
        return resolve(RERANKERS[name], hub)
    folder, source, tried = find_in_hub(name, None, hub)
    return ResolvedModel(replace(reranker_spec_of_folder(folder), name=name), source, folder, tried)


def bundled_reranker(tried: tuple[str, ...]) -> ResolvedModel:
    """The reranker in the repository; late interaction over the bundled encoder where it is missing."""
    if (BUNDLED_FOLDER / "secondlook.json").is_file():
        return ResolvedModel(
            reranker_spec_of_folder(BUNDLED_FOLDER), ModelSource.BUNDLED, BUNDLED_FOLDER, tried
        )
    folder = bundled_encoder_folder()
    missing = (*tried, f"{BUNDLED_RERANKER}: not in {BUNDLED_FOLDER}")
    stopgap = late_interaction_of(resolve_encoder("bundled", Hub(allow_downloads=False)))
    return replace(stopgap, folder=folder, tried=missing)


def reranker_spec_of_folder(folder: Path) -> ModelSpec:
    """Spec of a reranker in a folder: ours by its ``secondlook.json``, others by their configuration.

    A sentence-transformers cross-encoder whose configuration names the sigmoid as its activation was
    trained to give relevance by it; others' scores are shown as they are.
    """
    ours = read_json(folder / "secondlook.json")
    if ours:
        return _our_spec(folder, ours)
    config = read_json(folder / "config.json")
    if not config:
        raise ModelError(
            f"The folder {folder} holds no config.json; name a folder that a cross-encoder was saved to."
        )
    activation = str((config.get("sentence_transformers") or {}).get("activation_fn", ""))
    return ModelSpec(
        name=str(folder),
        kind=ModelKind.RERANKER,
        architecture="cross-encoder",
        revision=folder_revision(folder),
        licence="see the model's card",
        max_length=min(int(config.get("max_position_embeddings") or 512), 512),
        languages="see the model's card",
        relevance_scale=1.0 if activation.endswith("Sigmoid") else None,
    )


def _our_spec(folder: Path, ours: Mapping[str, object]) -> ModelSpec:
    try:
        return ModelSpec(
            name=str(ours["name"]),
            kind=ModelKind.RERANKER,
            architecture=str(ours.get("architecture", "onnx-cross-encoder")),
            revision=str(ours["version"]),
            licence=str(ours["licence"]),
            max_length=int(str(ours["max_length"])),
            bi_weight=float(str(ours["bi_weight"])),
            bi_encoder=str(ours["bi_encoder"]),
            relevance_scale=float(str(ours["relevance_scale"])),
            relevance_shift=float(str(ours["relevance_shift"])),
        )
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"{folder / 'secondlook.json'} is not complete ({error}). Train or fetch the model again."
        ) from error
