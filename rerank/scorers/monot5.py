"""monoT5: a T5 that is asked whether a document is relevant (Nogueira, Jiang, Pradeep and Lin, 2020).

Source: Document Ranking with a Pretrained Sequence-to-Sequence Model, https://aclanthology.org/2020.findings-emnlp.63
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForSeq2SeqLM
from transformers.utils.logging import disable_progress_bar

from ingest.encoders.special_tokens import PlainText
from ingest.errors import ModelError
from ingest.models.loading import load_pretrained, load_tokenizer
from ingest.models.spec import ResolvedModel
from ingest.runtime.session import batched
from rerank.scorers.base import OnBatch, Options, Scorer, Scores, empty_scores
from rerank.scorers.heads import quietly, require_all

# The prompt that the published models were trained with, before the query, the document and the answer.
QUERY, DOCUMENT, RELEVANT = "Query:", "Document:", "Relevant:"
YES, NO = "▁true", "▁false"
# Tokens a batch, padding included.
CPU_BUDGET, GPU_BUDGET = 2048, 32768


def open_reranker(model: ResolvedModel, _: Options) -> Scorer:
    """The monoT5 of this model; raises as `MonoT5Scorer` does."""
    return MonoT5Scorer(model)


class MonoT5Scorer(Scorer):
    """Scores by the first token that T5 would answer with, prompts of like length together.

    Relevance is the probability of “true” among “true” and “false”: the softmax over the logits of these two at the
    first decoding step. The logit given here is their difference, whose sigmoid is exactly that probability, so that
    it orders as the paper's log-softmax does.
    """

    def __init__(self, model: ResolvedModel, device: str | None = None) -> None:
        """Load from ``model.folder``, in fp32: T5's activations are too large for fp16.

        Raises `ModelError` where it is no T5, lacks weights, or its vocabulary lacks the two words. ``device`` ``None``
        is a GPU where torch finds one.
        """
        disable_progress_bar()  # type: ignore[no-untyped-call]
        self._model = model
        self._lock = threading.Lock()
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._tokenizer: Any = load_tokenizer(model.folder)
        self._t5: Any
        with quietly():
            self._t5, told = load_pretrained(AutoModelForSeq2SeqLM, model.folder, dtype=torch.float32)
        require_all(model, told["missing_keys"])
        self._plain = PlainText(self._tokenizer.backend_tokenizer)
        self._t5.to(self._device).eval()
        self._answers = [self._token(YES), self._token(NO)]
        self._end = self._tokenizer.eos_token_id
        self._start = self._t5.config.decoder_start_token_id

    @property
    def model(self) -> ResolvedModel:
        """Which model this is."""
        return self._model

    def room(self, query: str) -> int:
        """Tokens of a passage that are read beside ``query``, at least half of what the model reads."""
        with self._lock:
            head, tail = self._frame(query)
        return self._model.spec.max_length - len(head) - len(tail)

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        """Score every passage; shapes as in `Scores`. The end of a passage that does not fit is not read."""
        if not passages:
            return empty_scores()
        limit = self._model.spec.max_length
        logits = np.empty(len(passages), dtype=np.float32)
        with self._lock:  # fast tokenizers raise "Already borrowed" when two threads use one
            prompts, tokens = self._prompts(query, passages)
            budget = CPU_BUDGET if self._device == "cpu" else GPU_BUDGET
            for rows in batched([len(prompt) for prompt in prompts], budget):
                logits[rows] = self._run([prompts[row] for row in rows])
                if on_batch is not None:
                    on_batch(len(rows))
        return Scores(logits, np.minimum(tokens, limit), tokens > limit)

    def _prompts(self, query: str, passages: Sequence[str]) -> tuple[list[list[int]], NDArray[np.int64]]:
        """The prompts' tokens, cut to the model's length within the document, and how long each was before (n,).

        No token of T5 spans white space, so that the parts by themselves give the tokens of the whole prompt.
        """
        head, tail = self._frame(query)
        documents = self._ids(passages)
        room = self._model.spec.max_length - len(head) - len(tail)
        prompts = [[*head, *document[:room], *tail] for document in documents]
        tokens = [len(head) + len(document) + len(tail) for document in documents]
        return prompts, np.array(tokens, dtype=np.int64)

    def _frame(self, query: str) -> tuple[list[int], list[int]]:
        """Tokens before and after the document. A query is cut where it would leave less than half for the document."""
        before, asked, between, after = self._ids([QUERY, query, DOCUMENT, RELEVANT])
        tail = [*after, self._end]
        most = self._model.spec.max_length // 2 - len(before) - len(between) - len(tail)
        return [*before, *asked[: max(most, 0)], *between], tail

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        plain = [
            " ".join(self._plain.of(text).split()) for text in texts
        ]  # as T5's SentencePiece reads white space
        ids: list[list[int]] = self._tokenizer(plain, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _token(self, word: str) -> int:
        number = self._tokenizer.convert_tokens_to_ids(word)
        if number is None or number == self._tokenizer.unk_token_id:
            raise ModelError(
                f"The vocabulary of {self._model.name} has no “{word}”, which a monoT5 answers with. Choose a monoT5."
            )
        return int(number)

    def _run(self, prompts: list[list[int]]) -> NDArray[np.float32]:
        """Logit of “true” less that of “false” (n,) for one batch."""
        rows = [torch.tensor(prompt) for prompt in prompts]
        ids = pad_sequence(rows, batch_first=True, padding_value=self._t5.config.pad_token_id)
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        start = torch.full((len(rows), 1), self._start)
        with torch.inference_mode():
            output = self._t5(
                input_ids=ids.to(self._device),
                attention_mask=mask.to(self._device),
                decoder_input_ids=start.to(self._device),
            )
        yes, no = output.logits[:, 0, self._answers].float().cpu().numpy().T
        logits: NDArray[np.float32] = yes - no
        return logits
