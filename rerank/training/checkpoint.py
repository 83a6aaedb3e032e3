"""What a training run leaves on disk: tensors as safetensors, and the rest as JSON in the same file's header.

One file, so that one rename replaces the whole of it; no pickle, so that a folder somebody else made can be taken up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ingest.errors import ModelDamagedError
from ingest.notices import Help, Remedy

FACTS = "facts"  # the header's key for what is no tensor


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Replace ``path`` in one move; ``facts`` is what JSON can say."""
    partial = path.with_suffix(".part")
    save_file(
        {name: tensor.detach().contiguous() for name, tensor in tensors.items()},
        partial,
        {FACTS: json.dumps(dict(facts))},
    )
    partial.replace(path)


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, on the CPU, and the facts. Raises `ModelDamagedError` where the file is not whole."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})[FACTS])
            # Copied out of the mapped file, which Windows could not replace while a tensor lies in it.
            return {name: file.get_tensor(name).clone() for name in file.keys()}, facts  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelDamagedError(
            f"The checkpoint {path} cannot be read ({error}). Train again, or give another output.",
            Help(Remedy.CHOOSE, subject="output"),
        ) from error


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix`` and a slash, without it."""
    return {
        name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{prefix}/")
    }


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with ``prefix`` and a slash before their names."""
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def flat_optimiser(optimiser: torch.optim.Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """An optimiser's state as tensors named ``parameter/what``, and its groups as JSON can say them."""
    state = optimiser.state_dict()
    tensors = {
        f"{number}/{what}": value for number, row in state["state"].items() for what, value in row.items()
    }
    return tensors, state["param_groups"]


def load_optimiser(
    optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """Put back what `flat_optimiser` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, what = name.split("/")
        state.setdefault(int(number), {})[what] = value
    optimiser.load_state_dict({"state": state, "param_groups": groups})
