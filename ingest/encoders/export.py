"""A bi-encoder's ONNX graph, made in a process of its own.

torch and what comes with it hold more than half a gigabyte for as long as their process lives, and a server that has
the graph never needs them again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ingest.encoders.base import SentenceTransformerEncoder
from ingest.errors import ModelError
from ingest.models.spec import ModelKind, ModelSource, ModelSpec, ResolvedModel

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

OPSET = 17
CALIBRATION = ("a", "Which snake kills without venom?", "The bank by the river floods in spring. " * 12)

# What can be imported here can be imported there, and nothing else.
_START = "import sys; sys.path[:] = sys.argv[1:]; from ingest.encoders.export import main; sys.exit(main())"


def make_graph(model: ResolvedModel, path: Path) -> NDArray[np.float32]:
    """Write the graph to ``path``; the vectors, (n, dim), that torch gives for `CALIBRATION`, to hold it against.

    Where torch is loaded already it is used here. Raises `ModelError` where the process fails, with the last thing
    that it said; whatever torch raises, where it is used here.
    """
    if "torch" in sys.modules:
        return _make(model, path)
    vectors = path.with_suffix(".npy")
    request = {"spec": asdict(model.spec), "folder": str(model.folder), "to": str(path)}
    process = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", _START, *sys.path],
        input=json.dumps(request),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if process.returncode != 0 or not vectors.is_file():
        last_line = process.stderr.strip().splitlines()[-1:] or [f"status {process.returncode}"]
        raise ModelError(f"the process that makes it ended with: {last_line[0]}")
    matrix: NDArray[np.float32] = np.load(vectors, allow_pickle=False)
    return matrix


def main() -> int:
    """The process: a request on stdin, a graph and an array of vectors as files."""
    request = json.load(sys.stdin)
    spec = request["spec"] | {"kind": ModelKind(request["spec"]["kind"])}
    to = Path(request["to"])
    vectors = _make(ResolvedModel(ModelSpec(**spec), ModelSource.FOLDER, Path(request["folder"])), to)
    np.save(to.with_suffix(".npy"), vectors, allow_pickle=False)
    return 0


def _make(model: ResolvedModel, path: Path) -> NDArray[np.float32]:
    encoder = SentenceTransformerEncoder(model)
    _export(encoder.loaded(), path)
    return encoder.encode_texts(list(CALIBRATION), None)


def _export(encoder: SentenceTransformer, path: Path) -> None:
    import torch

    names = [name for name in encoder.tokenizer.model_input_names if name != "special_tokens_mask"]
    example = encoder.tokenizer(list(CALIBRATION[:2]), padding=True, return_tensors="pt")
    axes = {0: "batch", 1: "length"}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter(
            "ignore"
        )  # tracing warns of every Python branch; the check above is what counts
        torch.onnx.export(
            _vectors_of(encoder, names),
            tuple(example[name] for name in names),
            str(path),
            input_names=names,
            output_names=["vectors"],
            dynamic_axes={**dict.fromkeys(names, axes), "vectors": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )


def _vectors_of(encoder: SentenceTransformer, names: Sequence[str]) -> torch.nn.Module:
    """The whole encoder, pooling included, as a module from tensors to vectors."""
    import torch

    class Vectors(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder.to("cpu").eval()

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            vectors: torch.Tensor = self.encoder(dict(zip(names, inputs, strict=True)))["sentence_embedding"]
            return vectors

    return Vectors()
