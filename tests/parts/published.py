"""Small models as they are published on the hub: under the names and commits of real ones, with all that lies beside.

Of each real repository its list of files is kept: the card, other formats of the weights, what an evaluation left.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from ingest.models.encoders import ENCODERS
from ingest.models.spec import ModelSpec
from rerank.registry import RERANKERS
from tests.parts.later import later
from tests.parts.stand_in_hub import StandInHub, files_of
from tests.parts.tiny_models import (
    make_colbert,
    make_cross_encoder,
    make_electra,
    make_encoder,
    make_modern_colbert,
    make_monot5,
    make_xlm_roberta,
)

torch = later("torch")
load_safetensors = later("safetensors.torch", "load")

BGE, E5 = "BAAI/bge-small-en-v1.5", "intfloat/e5-small-v2"
MS_MARCO, BGE_RERANKER = "cross-encoder/ms-marco-MiniLM-L-6-v2", "BAAI/bge-reranker-base"
MONOT5, ELECTRA = "castorini/monot5-base-msmarco", "cross-encoder/ms-marco-electra-base"
COLBERT, MODERN_COLBERT = "colbert-ir/colbertv2.0", "lightonai/GTE-ModernColBERT-v1"
# What a loader must never be given, and what nobody needs.
BESIDE = {
    ".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n",
    "README.md": b"---\nlicense: mit\n---\n# A model\n",
    "onnx/model.onnx": b"graph" * 20_000,
    "onnx/config.json": b"{}",
    "openvino/openvino_model.xml": b"<net/>",
    "flax_model.msgpack": b"flax" * 20_000,
    "training_args.bin": b"\x80\x04",
    "train_script.py": b"raise SystemExit('ran')\n",
    "CECorrelationEvaluator_results.csv": b"epoch\n",
    "eval/scores.json": b"{}",
    "notes.txt": b"Read me.\n",
    "pytorch_model.bin.index.json": b'{"weight_map": {"a": "notes.txt"}}',
}


def _make_bge(folder: Path) -> Path:
    """As wide as the real one, by a dense layer, and with as many places."""
    return make_encoder(folder, "cls", dense=384, places=512)


def _make_e5(folder: Path) -> Path:
    return make_encoder(folder, "mean", dense=384, places=512)


def _make_ms_marco(folder: Path) -> Path:
    return make_cross_encoder(folder, places=512)


def _make_colbert(folder: Path) -> Path:
    return make_colbert(folder, {"query_maxlen": 32, "doc_maxlen": 100, "dim": 16})


MAKE: dict[str, Callable[[Path], Path]] = {
    BGE: _make_bge, E5: _make_e5, MS_MARCO: _make_ms_marco, BGE_RERANKER: make_xlm_roberta, MONOT5: make_monot5,
    ELECTRA: make_electra, COLBERT: _make_colbert, MODERN_COLBERT: make_modern_colbert,
}  # fmt: skip
SOUND = [name for name in MAKE if name not in (MONOT5, ELECTRA)]


def spec_of(name: str) -> ModelSpec:
    """What is known of the model; its revision is the commit that the hub must serve."""
    return ENCODERS[name] if name in ENCODERS else RERANKERS[name]


def repository_of(saved: Path, pickled: bool = False) -> dict[str, bytes]:
    """The files of a repository: those of the model, pickled weights, and all that lies beside."""
    files = files_of(saved)
    with BytesIO() as pickle:
        torch.save(load_safetensors(files["model.safetensors"]), pickle)
        files["pytorch_model.bin"] = pickle.getvalue()
    if pickled:
        del files["model.safetensors"]
    return BESIDE | files


def publish(hub: StandInHub, name: str, files: dict[str, bytes]) -> None:
    """Serve them under the model's name, at the commit that is asked for."""
    hub.publish(name, spec_of(name).revision, files)


def place_of(cache: Path, name: str) -> Path:
    """The model's folder in the hub's cache."""
    return cache / f"models--{name.replace('/', '--')}"
