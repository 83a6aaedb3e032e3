"""Which files of a model's folder its loaders would take weights from, and that none of them is a pickle.

A loader that finds no safetensors where it looks opens ``pytorch_model.bin`` instead, in each module's folder by
itself; so each is looked at by itself, before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from safetensors import safe_open

from ingest.errors import ModelNotFoundError
from ingest.models.folder.json_files import read_json, read_json_list

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED = frozenset({".bin", ".pt", ".pth", ".pkl", ".ckpt"})
# What training leaves beside the weights; no loader of a model opens them.
LEFT_BY_TRAINING = ("training_args", "optimizer", "scheduler", "scaler", "rng_state")


def require_safetensors(folder: Path) -> None:
    """Raise `ModelNotFoundError`, which names the file, if weights of any module in ``folder`` would be unpickled.

    Which modules there may be is looked at before (`ingest.models.folder.check`).
    """
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
        return frozenset(read_json(index)["weight_map"])
    if not (folder / WEIGHTS).is_file():
        return frozenset()
    with safe_open(folder / WEIGHTS, "np") as tensors:
        return frozenset(tensors.keys())


def stored_numbers(folder: Path) -> int:
    """How many numbers a folder's safetensors hold, of all files. Raises as `stored_names`."""
    return sum(map(_numbers_in, sorted(folder.glob("*.safetensors"))))


def _numbers_in(path: Path) -> int:
    with safe_open(path, "np") as tensors:
        return sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118 - no dictionary


def modules_of(folder: Path) -> list[dict[str, Any]]:
    """What a sentence-transformers model is made of, in order; nothing where the folder does not say."""
    return [module for module in read_json_list(folder / "modules.json") if isinstance(module, dict)]


def _places(folder: Path) -> Iterator[Path]:
    """Where weights are looked for: the model's own folder, its modules', and those of modules within modules."""
    yield folder
    for module in modules_of(folder):
        path = Path(str(module.get("path", "")))
        if path.parts and (folder / path).is_dir():
            yield folder / path
            yield from (inner for inner in (folder / path).rglob("*") if inner.is_dir())


def _holds_pickled_weights(path: Path) -> bool:
    """Whether a loader would unpickle this file: one of weights that stands alone."""
    if path.suffix.lower() not in PICKLED or path.name.startswith(LEFT_BY_TRAINING):
        return False
    return not (path.with_name(WEIGHTS).is_file() or path.with_name(INDEX).is_file())
