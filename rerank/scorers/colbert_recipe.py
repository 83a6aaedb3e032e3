"""How a ColBERT checkpoint reads, by the files beside its weights: ColBERT's authors' own, or PyLate's.

The authors' checkpoints are a BERT with a `linear.weight` beside its weights, and an `artifact.metadata`. PyLate's
(https://github.com/lightonai/pylate) are sentence-transformers folders: the projection lies in a folder of its own, and
`config_sentence_transformers.json` says how queries and documents are read.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.errors import ModelError
from ingest.models.resolve import read_json

RECIPE_FILE = "artifact.metadata"


PYLATE_FILE = "config_sentence_transformers.json"


# As its authors do for passages of any corpus.
DOCUMENT_TOKENS = 300


_IDENTITY = "torch.nn.modules.linear.Identity"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a checkpoint was trained to read: what its files say, or what colbertv2.0 was trained with.

    A query is filled up with [MASK] to ``query_tokens`` if it ``expands``. The markers are the names of tokens: two
    that BERT's vocabulary leaves unused, or two that PyLate adds. Tokens of a document in ``skipped`` are not compared.
    """

    query_tokens: int = 32
    query_marker: str = "[unused0]"
    document_marker: str = "[unused1]"
    skipped: tuple[str, ...] = tuple(string.punctuation)
    attends_to_masks: bool = False
    expands: bool = True

    @classmethod
    def of(cls, folder: Path) -> Recipe:
        """The recipe of the checkpoint in ``folder``."""
        noted = read_json(folder / PYLATE_FILE)
        return (
            cls._of_pylate(noted) if _is_pylate(noted) else cls._of_authors(read_json(folder / RECIPE_FILE))
        )

    @classmethod
    def _of_authors(cls, noted: Mapping[str, Any]) -> Recipe:
        default = cls()
        return cls(
            int(noted.get("query_maxlen") or default.query_tokens),
            str(noted.get("query_token_id") or default.query_marker),
            str(noted.get("doc_token_id") or default.document_marker),
            default.skipped if noted.get("mask_punctuation", True) else (),
            bool(noted.get("attend_to_mask_tokens", False)),
        )

    @classmethod
    def _of_pylate(cls, noted: Mapping[str, Any]) -> Recipe:
        default, skipped = cls(), noted.get("skiplist_words")
        return cls(
            int(noted.get("query_length") or default.query_tokens),
            str(noted.get("query_prefix") or "[Q] "),
            str(noted.get("document_prefix") or "[D] "),
            default.skipped if skipped is None else tuple(str(word) for word in skipped),
            bool(noted.get("attend_to_expansion_tokens", False)),
            noted.get("do_query_expansion") is not False,
        )


def is_colbert(folder: Path) -> bool:
    """Whether the folder holds a ColBERT: its configuration says so, or PyLate's files do."""
    named = read_json(folder / "config.json").get("architectures")
    return (
        named == ["HF_ColBERT"]
        or (folder / RECIPE_FILE).is_file()
        or _is_pylate(read_json(folder / PYLATE_FILE))
    )


def document_tokens(folder: Path) -> int:
    """How many tokens of a document the checkpoint is given."""
    return int(read_json(folder / PYLATE_FILE).get("document_length") or DOCUMENT_TOKENS)


def projection_files(folder: Path) -> list[Path]:
    """The files that may hold the projection: beside the other weights, or in PyLate's folder for it.

    Raises `ModelError` for a projection of another form than one matrix, which its folder's configuration tells.
    """
    own = sorted(folder.glob("*_Dense/model.safetensors"))
    configs = [read_json(path.with_name("config.json")) for path in own]
    plain = all(
        not config.get("bias")
        and not config.get("use_residual")
        and config.get("activation_function", _IDENTITY) == _IDENTITY
        for config in configs
    )
    if len(own) > 1 or not plain:
        raise ModelError(
            f"The ColBERT in {folder} does not end in one matrix without bias or activation, and is not read. Choose "
            "another, lightonai/GTE-ModernColBERT-v1 for one."
        )
    return own or sorted(folder.glob("*.safetensors"))


def _is_pylate(noted: Mapping[str, Any]) -> bool:
    return "query_length" in noted and "document_length" in noted
