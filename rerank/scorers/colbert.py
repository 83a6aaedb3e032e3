"""ColBERT checkpoints: late interaction as published (Khattab and Zaharia 2020; Santhanam et al. 2022).

Sources: https://arxiv.org/abs/2004.12832 and https://arxiv.org/abs/2112.01488. A BERT gives a vector a token, a linear
layer makes it narrow, and a passage scores the sum over the query's vectors of the highest cosine among its own.
"""

from __future__ import annotations

import string
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch.nn.functional import normalize
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel
from transformers.utils.logging import disable_progress_bar

from ingest.encoder import counting_tokenizer
from ingest.errors import ModelError
from ingest.models import ResolvedModel, read_json
from rerank.scorers.base import OnBatch, Options, Scorer, Scores, empty_scores
from rerank.scorers.onnx_cross_encoder import batches

PROJECTION = "linear.weight"
RECIPE_FILE = "artifact.metadata"
SPECIAL_TOKENS = 3  # [CLS], the marker, [SEP]
# Tokens a batch, padding included.
CPU_BUDGET, GPU_BUDGET = 4096, 65536


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a checkpoint was trained to read: what its artifact.metadata says, or what colbertv2.0 was trained with.

    A query is filled up with [MASK] to ``query_tokens``. [Q] and [D] are the names of two tokens that BERT's
    vocabulary leaves unused.
    """

    query_tokens: int = 32
    query_marker: str = "[unused0]"
    document_marker: str = "[unused1]"
    skips_punctuation: bool = True
    attends_to_masks: bool = False

    @classmethod
    def of(cls, folder: Path) -> Recipe:
        """The recipe of the checkpoint in ``folder``."""
        noted = read_json(folder / RECIPE_FILE)
        return cls(
            int(noted.get("query_maxlen") or cls().query_tokens),
            str(noted.get("query_token_id") or cls().query_marker),
            str(noted.get("doc_token_id") or cls().document_marker),
            bool(noted.get("mask_punctuation", True)),
            bool(noted.get("attend_to_mask_tokens", False)),
        )


def open_reranker(model: ResolvedModel, _: Options) -> Scorer:
    """The ColBERT of this model; raises as `ColbertScorer` does."""
    return ColbertScorer(model)


class ColbertScorer:
    """MaxSim over a ColBERT checkpoint's vectors, passages of like length together. No score is over `query_tokens`."""

    def __init__(self, model: ResolvedModel, device: str | None = None) -> None:
        """Load from ``model.folder``, in fp32. ``device`` ``None`` is a GPU where torch finds one.

        Raises `ModelError` where the folder holds no ColBERT, or one that does not read with BERT's vocabulary.
        """
        disable_progress_bar()  # type: ignore[no-untyped-call]
        self._model = model
        self._lock = threading.Lock()
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._recipe = Recipe.of(model.folder)
        self._tokenizer = counting_tokenizer(model)
        self._projection = _projection(model).to(self._device)
        try:
            self._bert: Any = AutoModel.from_pretrained(
                str(model.folder), local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(
                f"The reranker {model.name} in {model.folder} cannot be loaded: {error}"
            ) from error
        self._bert.to(self._device).eval()
        names = ("[CLS]", "[SEP]", "[MASK]", self._recipe.query_marker, self._recipe.document_marker)
        self._cls, self._sep, self._mask, self._asks, self._tells = (self._token(name) for name in names)
        skipped = _punctuation(self._tokenizer) if self._recipe.skips_punctuation else []
        self._skipped = torch.tensor(skipped, dtype=torch.long)

    @property
    def model(self) -> ResolvedModel:
        """Which model this is."""
        return self._model

    def room(self, query: str) -> int:
        """Tokens of a passage that are read; ``query`` is read by itself and takes none of them."""
        return self._model.spec.max_length - SPECIAL_TOKENS

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        """Score every passage; shapes as in `Scores`. The end of a passage that does not fit is not read."""
        if not passages:
            return empty_scores()
        limit = self._model.spec.max_length
        logits = np.empty(len(passages), dtype=np.float32)
        with self._lock:  # fast tokenizers raise "Already borrowed" when two threads use one
            found = self._tokenizer.encode_batch(list(passages), add_special_tokens=False)
            tokens = np.array([len(one.ids) + SPECIAL_TOKENS for one in found], dtype=np.int64)
            wanted = self._query_vectors(query)
            budget = CPU_BUDGET if self._device == "cpu" else GPU_BUDGET
            for rows in batches(np.minimum(tokens, limit).tolist(), budget):
                logits[rows] = self._maxsim(wanted, [found[row].ids for row in rows])
                if on_batch is not None:
                    on_batch(len(rows))
        return Scores(logits, np.minimum(tokens, limit), tokens > limit)

    def _query_vectors(self, query: str) -> torch.Tensor:
        """Unit vectors (query_tokens, dim) of [CLS] [Q] query [SEP] [MASK] …: the masks are its expansion (§ 3.2)."""
        length = self._recipe.query_tokens
        asked = self._tokenizer.encode(query, add_special_tokens=False).ids[: length - SPECIAL_TOKENS]
        ids = [self._cls, self._asks, *asked, self._sep]
        attended = length if self._recipe.attends_to_masks else len(ids)
        mask = torch.tensor([[1] * attended + [0] * (length - attended)])
        return self._vectors(torch.tensor([ids + [self._mask] * (length - len(ids))]), mask)[0]

    def _maxsim(self, wanted: torch.Tensor, documents: list[list[int]]) -> NDArray[np.float32]:
        """Scores (n,) of one batch: for each of the query's vectors the nearest of the document's, summed (§ 3.3)."""
        room = self._model.spec.max_length - SPECIAL_TOKENS
        rows = [torch.tensor([self._cls, self._tells, *ids[:room], self._sep]) for ids in documents]
        ids = pad_sequence(rows, batch_first=True)
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        kept = mask.bool() & ~torch.isin(ids, self._skipped)
        cosines = self._vectors(ids, mask) @ wanted.T
        cosines = cosines.masked_fill(~kept.to(self._device).unsqueeze(2), -torch.inf)
        found: NDArray[np.float32] = cosines.max(dim=1).values.sum(dim=1).cpu().numpy()
        return found

    def _vectors(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Unit vectors (n, tokens, dim)."""
        with torch.inference_mode():
            states = self._bert(input_ids=ids.to(self._device), attention_mask=mask.to(self._device))
            return normalize(states.last_hidden_state @ self._projection.T, dim=2)

    def _token(self, name: str) -> int:
        number = self._tokenizer.token_to_id(name)
        if number is None:
            raise ModelError(
                f"The vocabulary of {self._model.name} has no {name}. Only ColBERT checkpoints on BERT are read."
            )
        return int(number)


def _projection(model: ResolvedModel) -> torch.Tensor:
    """The linear layer's weights (dim, hidden). Raises `ModelError` where no file in the folder holds them."""
    try:
        for path in sorted(model.folder.glob("*.safetensors")):
            with safe_open(str(path), framework="pt") as weights:
                if PROJECTION in weights.keys():  # noqa: SIM118 - it is no dictionary
                    projection: torch.Tensor = weights.get_tensor(PROJECTION).float()
                    return projection
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The weights of {model.name} in {model.folder} cannot be read: {error}") from error
    raise ModelError(
        f"The model {model.name} in {model.folder} has no {PROJECTION}, the layer that makes a ColBERT of a BERT."
    )


def _punctuation(tokenizer: Tokenizer) -> list[int]:
    """Tokens of a document that are not compared (§ 3.2), as its authors' code finds them: one for each ASCII mark."""
    return [tokenizer.encode(mark, add_special_tokens=False).ids[0] for mark in string.punctuation]
