"""ColBERT checkpoints: late interaction as published (Khattab and Zaharia 2020; Santhanam et al. 2022).

Sources: https://arxiv.org/abs/2004.12832 and https://arxiv.org/abs/2112.01488. A BERT gives a vector a token, a linear
layer makes it narrow, and a passage scores the sum over the query's vectors of the highest cosine among its own. Read
are the authors' checkpoints and PyLate's (`rerank.scorers.multi_vector`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch.nn.functional import normalize
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel
from transformers.utils.logging import disable_progress_bar

from ingest.encoders.base import counting_tokenizer
from ingest.encoders.special_tokens import PlainText
from ingest.errors import ModelError
from ingest.library.token_vectors import TokenStore
from ingest.models.loading import in_a_sentence, load_pretrained
from ingest.models.resolve import ResolvedModel
from ingest.runtime.session import batched
from rerank.scorers.base import Options, PassageTokens, Scorer
from rerank.scorers.colbert_recipe import Recipe, projection_files
from rerank.scorers.heads import quietly, require_all
from rerank.scorers.maxsim import LateInteraction

PROJECTION = "linear.weight"
SPECIAL_TOKENS = 3  # [CLS], the marker, [SEP]
# Tokens a batch, padding included.
CPU_BUDGET, GPU_BUDGET = 4096, 65536


def open_reranker(model: ResolvedModel, options: Options) -> Scorer:
    """The ColBERT of this model; raises as `ColbertScorer` does."""
    return ColbertScorer(model, store=options.token_store)


class ColbertScorer(LateInteraction):
    """MaxSim over a ColBERT checkpoint's vectors, passages of like length together. No score is over `query_tokens`."""

    def __init__(
        self, model: ResolvedModel, device: str | None = None, store: TokenStore | None = None
    ) -> None:
        """Load from ``model.folder``, in fp32. ``device`` ``None`` is a GPU where torch finds one.

        ``store`` is as in `LateInteraction`. Raises `ModelError` where the folder holds no ColBERT, or one whose
        vocabulary lacks a token that it reads with.
        """
        disable_progress_bar()  # type: ignore[no-untyped-call]
        super().__init__(model, store)
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._recipe = Recipe.of(model.folder)
        self._tokenizer = counting_tokenizer(model)
        self._plain = PlainText(self._tokenizer, (self._recipe.query_marker, self._recipe.document_marker))
        self._projection = _projection(model).to(self._device)
        self._transformer: Any
        with quietly():
            self._transformer, told = load_pretrained(AutoModel, model.folder, dtype=torch.float32)
        # Nothing here goes through a pooler.
        require_all(model, (name for name in told["missing_keys"] if not name.startswith("pooler.")))
        self._transformer.to(self._device).eval()
        names = ("[CLS]", "[SEP]", "[MASK]", self._recipe.query_marker, self._recipe.document_marker)
        self._cls, self._sep, self._mask, self._asks, self._tells = (self._token(name) for name in names)
        skipped = [self._tokenizer.token_to_id(word) for word in self._recipe.skipped]
        self._skipped = torch.tensor([token for token in skipped if token is not None], dtype=torch.long)

    def room(self, query: str) -> int:
        """Tokens of a passage that are read; ``query`` is read by itself and takes none of them."""
        return self._model.spec.max_length - SPECIAL_TOKENS

    def fits(self, passages: Sequence[str]) -> NDArray[np.bool_]:
        """Of which passages (n,) the model reads the end."""
        return np.array([len(ids) <= self.room("") for ids in self._words(passages)], np.bool_)

    def encode(self, passages: Sequence[str]) -> Iterator[tuple[list[int], list[PassageTokens]]]:
        """Batches of passages of like length: their places in ``passages``, and their tokens' vectors."""
        found, room = self._words(passages), self.room("")
        budget = CPU_BUDGET if self._device == "cpu" else GPU_BUDGET
        for rows in batched([min(len(ids), room) + SPECIAL_TOKENS for ids in found], budget):
            places = [int(row) for row in rows]
            texts = [torch.tensor([self._cls, self._tells, *found[row][:room], self._sep]) for row in places]
            yield (
                places,
                [
                    PassageTokens(vectors, len(text), len(found[row]) > room)
                    for row, text, vectors in zip(places, texts, self._compared(texts), strict=True)
                ],
            )

    def _words(self, passages: Sequence[str]) -> list[list[int]]:
        """The tokens of each passage, without special ones."""
        texts = self._plain.of_all(passages)
        with self._lock:
            return [one.ids for one in self._tokenizer.encode_batch(texts, add_special_tokens=False)]

    def _query_vectors(self, query: str) -> NDArray[np.float32]:
        """Unit vectors of [CLS] [Q] query [SEP] [MASK] …: the masks are its expansion (§ 3.2), if it has one."""
        length = self._recipe.query_tokens
        (asked,) = self._words([query])
        ids = [self._cls, self._asks, *asked[: length - SPECIAL_TOKENS], self._sep]
        masks = length - len(ids) if self._recipe.expands else 0
        mask = torch.tensor([[1] * len(ids) + [int(self._recipe.attends_to_masks)] * masks])
        found: NDArray[np.float32] = self._vectors(torch.tensor([ids + [self._mask] * masks]), mask)[
            0
        ].numpy()
        return found

    def _compared(self, texts: list[torch.Tensor]) -> list[NDArray[np.float32]]:
        """Unit vectors of each text's tokens but for those that are skipped (§ 3.2)."""
        ids = pad_sequence(texts, batch_first=True)
        mask = pad_sequence([torch.ones_like(text) for text in texts], batch_first=True)
        kept = mask.bool() & ~torch.isin(ids, self._skipped)
        return [vectors[row].numpy() for vectors, row in zip(self._vectors(ids, mask), kept, strict=True)]

    def _vectors(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Unit vectors (n, tokens, dim), on the CPU."""
        with self._lock, torch.inference_mode():
            states = self._transformer(input_ids=ids.to(self._device), attention_mask=mask.to(self._device))
            return normalize(states.last_hidden_state @ self._projection.T, dim=2).cpu()

    def _token(self, name: str) -> int:
        number = self._tokenizer.token_to_id(name)
        if number is None:
            raise ModelError(
                f"The vocabulary of {self._model.name} has no “{name}”. Only ColBERT checkpoints on BERT or "
                "ModernBERT are read, whose special tokens have these names."
            )
        return int(number)


def _projection(model: ResolvedModel) -> torch.Tensor:
    """The linear layer's weights (dim, hidden). Raises `ModelError` where no file in the folder holds them."""
    with in_a_sentence(f"The weights of {model.name} in {model.folder} cannot be read"):
        for path in projection_files(model.folder):
            with safe_open(str(path), framework="pt") as weights:
                if PROJECTION in weights.keys():  # noqa: SIM118 - it is no dictionary
                    projection: torch.Tensor = weights.get_tensor(PROJECTION).float()
                    return projection
    raise ModelError(
        f"The model {model.name} in {model.folder} has no {PROJECTION}, the layer that makes a ColBERT of a BERT."
    )
