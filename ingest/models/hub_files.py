"""Which files of a hub's repository are fetched, by their exact names, and which of them a model cannot do without.

Nothing else comes onto this machine: neither pickled weights nor an index of them, neither programs nor what such an
index or a configuration could name as one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from ingest.models.encoders import ENCODERS
from ingest.models.folder.weights import INDEX, WEIGHTS

_DIGITS = "[0-9]" * 5
SHARDS = f"model-{_DIGITS}-of-{_DIGITS}.safetensors"
_CONFIGURATION = (
    "config.json", "generation_config.json", "modules.json", "config_sentence_transformers.json",
    *(f"sentence_{kind}_config.json"
      for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")),
    "artifact.metadata",  # of ColBERT
    "secondlook.json",  # of a reranker that was trained here
)  # fmt: skip
_TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt",
    "vocab.json", "merges.txt", "sentencepiece.bpe.model", "spiece.model", "spm.model", "tokenizer.model",
)  # fmt: skip
# Folders of sentence-transformers' modules that stand behind a transformer, each with its number.
_MODULES = (
    "Pooling", "Dense", "Normalize", "LayerNorm", "WeightedLayerPooling", "CNN", "LSTM", "Dropout", "LogitScore",
)  # fmt: skip
MODEL_FILES = [
    *_CONFIGURATION, *_TOKENIZER, WEIGHTS, INDEX, SHARDS,
    *(f"[0-9]_{module}/{file}" for module, file in product(_MODULES, ("config.json", WEIGHTS))),
]  # fmt: skip


def missing_files(folder: Path, name: str) -> list[str]:
    """What the model ``name`` in ``folder`` cannot be used without and does not have; empty where it is whole."""
    return list(_missing(folder, name))


def _missing(folder: Path, name: str) -> Iterator[str]:
    needed = ["config.json", "tokenizer.json"]  # passages are counted and cut by the latter
    if name in ENCODERS:
        needed.append(
            "modules.json"
        )  # says how their vectors are pooled; the cache may hold a part for another program
    yield from (file for file in needed if not (folder / file).is_file())
    if not any(folder.glob("*.safetensors")):
        yield f"{WEIGHTS} (pickled weights are not loaded)"
    yield from (shard for shard in _shards(folder) if not (folder / shard).is_file())


def _shards(folder: Path) -> list[str]:
    """The files that an index of weights names. What is wrong with an index is found when it is looked at whole."""
    try:
        files = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()
        return sorted(set(map(str, files)))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []
