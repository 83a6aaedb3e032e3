"""ColBERT checkpoints: late interaction as published (Khattab and Zaharia 2020; Santhanam et al. 2022).

Sources: https://arxiv.org/abs/2004.12832 and https://arxiv.org/abs/2112.01488. A transformer gives a vector a token, a
projection makes it narrow, and a passage scores the sum over the query's vectors of the highest cosine among its own.
sentence-transformers reads the checkpoints of ColBERT's authors, PyLate's (https://github.com/lightonai/pylate) and its
own, with the markers, lengths, [MASK]s and skipped tokens that their files name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils.logging import disable_progress_bar

from ingest.encoders.base import counting_tokenizer
from ingest.encoders.special_tokens import PlainText
from ingest.errors import ModelError
from ingest.library.token_vectors import TokenStore
from ingest.models.folder.json_files import read_json
from ingest.models.folder.weights import modules_of, stored_names
from ingest.models.loading import in_a_sentence, load_sentence_model
from ingest.models.spec import ResolvedModel
from ingest.runtime.session import batched
from rerank.scorers.base import Options, PassageTokens, Scorer
from rerank.scorers.heads import quietly, require_head
from rerank.scorers.maxsim import LateInteraction

PROJECTION = "linear.weight"
# Tokens a batch, padding included.
CPU_BUDGET, GPU_BUDGET = 4096, 65536


def open_reranker(model: ResolvedModel, options: Options) -> Scorer:
    """The ColBERT of this model; raises as `ColbertScorer` does."""
    return ColbertScorer(model, store=options.token_store)


class ColbertScorer(LateInteraction):
    """MaxSim over a ColBERT checkpoint's vectors, passages of like length together."""

    def __init__(
        self, model: ResolvedModel, device: str | None = None, store: TokenStore | None = None
    ) -> None:
        """Load from ``model.folder``, in fp32. ``device`` ``None`` is a GPU where torch finds one.

        ``store`` is as in `LateInteraction`. Raises `ModelError` where the folder holds no ColBERT, or one whose
        vocabulary lacks a token that it reads with.
        """
        from sentence_transformers import MultiVectorEncoder

        disable_progress_bar()  # type: ignore[no-untyped-call]
        super().__init__(model, store)
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        _require_projection(model)
        with quietly():
            self._encoder: Any = load_sentence_model(MultiVectorEncoder, model.folder, device=self._device)
        self._encoder.float()
        transformer: Any = self._encoder[0]
        require_head(model, transformer.auto_model, "pooler")  # which nothing here goes through
        transformer.document_length = model.spec.max_length
        query, document = (self._marker(task) for task in ("query", "document"))
        self._tokenizer = counting_tokenizer(model)
        self._plain = PlainText(self._tokenizer, {*query.split(), *document.split(), query, document} - {""})
        self._around = self._tokenizer.num_special_tokens_to_add(False) + self._count(document)

    def room(self, query: str) -> int:
        """Tokens of a passage that are read; ``query`` is read by itself and takes none of them."""
        return self._model.spec.max_length - self._around

    def fits(self, passages: Sequence[str]) -> NDArray[np.bool_]:
        """Of which passages (n,) the model reads the end."""
        return self._lengths(self._plain.of_all(passages)) <= self.room("")

    def encode(self, passages: Sequence[str]) -> Iterator[tuple[list[int], list[PassageTokens]]]:
        """Batches of passages of like length: their places in ``passages``, and their tokens' vectors."""
        texts, room = self._plain.of_all(passages), self.room("")
        lengths = self._lengths(texts)
        read = (np.minimum(lengths, room) + self._around).tolist()
        for rows in batched(read, CPU_BUDGET if self._device == "cpu" else GPU_BUDGET):
            places = [int(row) for row in rows]
            batch = self._vectors(self._encoder.encode_document, [texts[row] for row in places])
            yield (
                places,
                [
                    PassageTokens(vectors, read[row], bool(lengths[row] > room))
                    for row, vectors in zip(places, batch, strict=True)
                ],
            )

    def _lengths(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Tokens (n,) of each text, without special ones."""
        encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        return np.array([len(encoding.ids) for encoding in encodings], np.int64)

    def _query_vectors(self, query: str) -> NDArray[np.float32]:
        """Unit vectors (asked, dim) of a query, with those of the [MASK]s that fill it up (§ 3.2), if any do."""
        return self._vectors(self._encoder.encode_query, [self._plain.of(query)])[0]

    def _vectors(self, encode: Any, texts: list[str]) -> list[NDArray[np.float32]]:
        """Unit vectors (tokens, dim) of each text's tokens but for those that are not compared."""
        with self._lock, quietly():  # it tells each reader of a long question that it is cut
            vectors: list[NDArray[np.float32]] = encode(
                texts,
                batch_size=len(texts),
                convert_to_numpy=True,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return vectors

    def _marker(self, task: str) -> str:
        """What stands before a query or a document: one token, but where sentence-transformers' own files say more."""
        marker = self._encoder.prompts.get(task) or ""
        if marker and self._count(marker) != 1 and not _is_of_sentence_transformers(self._model):
            raise ModelError(
                f"The vocabulary of {self._model.name} has no “{marker.strip()}”, the token that it was trained to "
                "read before each text. Choose another model, lightonai/GTE-ModernColBERT-v1 for one."
            )
        return str(marker)

    def _count(self, marker: str) -> int:
        return len(self._encoder.tokenizer(marker, add_special_tokens=False)["input_ids"])


def _is_of_sentence_transformers(model: ResolvedModel) -> bool:
    noted = read_json(model.folder / "config_sentence_transformers.json")
    return noted.get("model_type") == "MultiVectorEncoder"


def _require_projection(model: ResolvedModel) -> None:
    """Raise `ModelError` where the files lack the projection: sentence-transformers makes one of chance."""
    if _is_of_sentence_transformers(model):  # which names all that it is made of
        return
    dense = [module for module in modules_of(model.folder) if str(module.get("type")).endswith(".Dense")]
    if dense:
        return
    with in_a_sentence(f"The weights of {model.name} in {model.folder} cannot be read"):
        named = read_json(model.folder / "config.json").get("architectures") or []
        if "HF_ColBERT" in named and PROJECTION in stored_names(model.folder):
            return
    raise ModelError(
        f"The model {model.name} in {model.folder} has no {PROJECTION}, the layer that makes a ColBERT of a BERT."
    )
