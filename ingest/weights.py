"""Which files of a model's folder its loaders would take weights from, and that none of them is a pickle.

A loader that finds no safetensors where it looks opens ``pytorch_model.bin`` instead, in each module's folder by
itself; so each is looked at by itself, before anything is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ingest.errors import ModelDamagedError, ModelNotFoundError

# What transformers and sentence-transformers raise for a folder that they cannot load a model from.
LOAD_ERRORS = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED = frozenset({".bin", ".pt", ".pth", ".pkl", ".ckpt"})
# Names the shards of pickled weights, whatever they are called.
PICKLED_INDEX = ".bin.index.json"
# What training leaves beside the weights; no loader of a model opens them.
LEFT_BY_TRAINING = ("training_args", "optimizer", "scheduler", "scaler", "rng_state")


def require_safetensors(folder: Path) -> None:
    """Raise `ModelNotFoundError`, which names the file, if weights of any module in ``folder`` would be unpickled."""
    for place in _places(folder):
        pickled = next((path for path in sorted(place.iterdir()) if _holds_pickled_weights(path)), None)
        if pickled is not None:
            why = (
                f"The model in {folder} has weights in {pickled.relative_to(folder)} without safetensors in their "
                "place; pickled weights are not loaded, for safety. Save it with safe serialization instead."
            )
            raise ModelNotFoundError(why, [why])


def stored_names(folder: Path) -> frozenset[str]:
    """The names of the tensors in a folder's safetensors, of all shards; none where it has none by their usual names.

    Raises `OSError`, `SafetensorError`, and ``ValueError`` and its like for files that are damaged.
    """
    index = folder / INDEX
    if index.is_file():
        return frozenset(json.loads(index.read_text(encoding="utf-8"))["weight_map"])
    if not (folder / WEIGHTS).is_file():
        return frozenset()
    with safe_open(folder / WEIGHTS, "np") as stored:
        return frozenset(stored.keys())


def modules_of(folder: Path) -> list[dict[str, Any]]:
    """What a sentence-transformers model is made of, in order; nothing where the folder does not say."""
    path = folder / "modules.json"
    if not path.is_file():
        return []
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelDamagedError(f"{path} is not valid JSON ({error}). Fetch the model again.") from error
    return [module for module in loaded if isinstance(module, dict)] if isinstance(loaded, list) else []


def _places(folder: Path) -> Iterator[Path]:
    """Where weights are looked for: the model's own folder, its modules', and those of modules within modules."""
    yield folder
    for module in modules_of(folder):
        path = Path(str(module.get("path", "")))
        if path.is_absolute() or ".." in path.parts:
            raise ModelDamagedError(
                f"{folder / 'modules.json'} names a module outside of its folder ({path}). Fetch the model again."
            )
        if path.parts and (folder / path).is_dir():
            yield folder / path
            yield from (inner for inner in (folder / path).rglob("*") if inner.is_dir())


def _holds_pickled_weights(path: Path) -> bool:
    """Whether a loader would unpickle it: an index of shards that are no safetensors, or a pickle that stands alone."""
    if path.name == INDEX:
        return not _only_safetensors(path)
    is_pickled = path.suffix.lower() in PICKLED or path.name.endswith(PICKLED_INDEX)
    if not is_pickled or path.name.startswith(LEFT_BY_TRAINING):
        return False
    if path.name == "adapter_model.bin":
        return not path.with_suffix(".safetensors").is_file()
    return not (path.with_name(WEIGHTS).is_file() or path.with_name(INDEX).is_file())


def _only_safetensors(index: Path) -> bool:
    try:
        shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return all(str(shard).endswith(".safetensors") for shard in shards)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelDamagedError(f"{index} cannot be read ({error!r}). Fetch the model again.") from error
