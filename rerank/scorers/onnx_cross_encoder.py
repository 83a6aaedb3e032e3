"""A cross-encoder of ours on ONNX Runtime: a folder with model_int8.onnx, tokenizer.json, secondlook.json."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from ingest.errors import ModelDamagedError, ModelError
from ingest.models import ResolvedModel, read_json, verify_checksum
from rerank.scorers.base import OnBatch, Options, Scorer, Scores, empty_scores

MODEL_FILE, TOKENIZER_FILE, CARD_FILE = "model_int8.onnx", "tokenizer.json", "secondlook.json"
# Tokens a batch, padding included. Small batches keep the activations in the processor's cache, and let
# progress and Cancel be heard several times a second.
TOKEN_BUDGET = 2048


def open_reranker(model: ResolvedModel, options: Options) -> Scorer:
    """The cross-encoder on the engine that is chosen for it; raises as `rerank.scorers.engine.open_cross_encoder`."""
    from rerank.scorers.engine import open_cross_encoder  # which imports this file

    return open_cross_encoder(model, wanted=options.engine, wait=options.wait)


class OnnxCrossEncoderScorer:
    """Scores pairs in batches of like length. One session behind a lock; it uses all its threads itself."""

    def __init__(self, model: ResolvedModel, threads: int = 0, spinning: bool = False) -> None:
        """Verify and load the files of ``model.folder``; ``threads`` and ``spinning`` as in `open_session`.

        Raises `ModelDamagedError` where a file is missing or its checksum differs from secondlook.json's,
        and `ModelError` where ONNX Runtime cannot load it.
        """
        self._model = model
        self._lock = threading.Lock()
        verify_files(model.folder)
        self._tokenizer = Tokenizer.from_file(str(model.folder / TOKENIZER_FILE))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._session = open_session(model.folder / MODEL_FILE, threads, spinning)

    @property
    def model(self) -> ResolvedModel:
        """Which model this is."""
        return self._model

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        """Score every passage; shapes as in `Scores`. The end of a passage that does not fit is not read."""
        if not passages:
            return empty_scores()
        with self._lock:
            encodings, tokens = self._encode(query, passages)
            logits = np.empty(len(passages), dtype=np.float32)
            for rows in batches([len(encoding.ids) for encoding in encodings]):
                logits[rows] = self._run([encodings[row] for row in rows])
                if on_batch is not None:
                    on_batch(len(rows))
        limit = self._model.spec.max_length
        return Scores(logits, np.minimum(tokens, limit), tokens > limit)

    def _encode(self, query: str, passages: Sequence[str]) -> tuple[list[Encoding], NDArray[np.int64]]:
        """Encodings cut to the model's length, and how long each was before (n,).

        A query that alone leaves no room is cut to half of the length, so that the passage is read too.
        """
        limit = self._model.spec.max_length
        pairs = [(query, passage) for passage in passages]
        self._tokenizer.no_truncation()
        whole = self._tokenizer.encode_batch(pairs)
        tokens = np.array([len(encoding.ids) for encoding in whole], dtype=np.int64)
        if tokens.max() <= limit:
            return whole, tokens
        alone = len(self._tokenizer.encode(query, add_special_tokens=False).ids)
        strategy = "only_second" if alone <= limit // 2 else "longest_first"
        self._tokenizer.enable_truncation(limit, strategy=strategy)
        return self._tokenizer.encode_batch(pairs), tokens

    def _run(self, encodings: Sequence[Encoding]) -> NDArray[np.float32]:
        """Logits (n,) of one batch."""
        inputs = padded(encodings)
        (logits,) = self._session.run(["logits"], dict(inputs))
        return np.asarray(logits, dtype=np.float32).reshape(-1)


def verify_files(folder: Path) -> Mapping[str, object]:
    """What secondlook.json says, once every file that it lists has the checksum it should have.

    Raises `ModelDamagedError` otherwise.
    """
    card = read_json(folder / CARD_FILE)
    files = card.get("files")
    if not isinstance(files, dict) or not {MODEL_FILE, TOKENIZER_FILE} <= set(files):
        raise ModelDamagedError(
            f"{folder / CARD_FILE} is missing or does not list the model's files with their checksums. "
            "Fetch or train the model again."
        )
    for name, expected in files.items():
        verify_checksum(folder / str(name), str(expected))
    return card


def open_session(path: Path, threads: int = 0, spinning: bool = False) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU; raises `ModelError` where the file cannot be loaded.

    ``threads`` 0 lets ONNX Runtime choose. ``spinning`` threads wait for work without giving up their core: faster
    by a little, at the cost of whatever else runs.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class but this
        raise ModelError(f"ONNX Runtime cannot load {path}: {error}") from error


def batches(lengths: Sequence[int], budget: int = TOKEN_BUDGET) -> Iterator[list[int]]:
    """Row numbers in batches of like length, longest first; each at most ``budget`` tokens with padding.

    A row that is over the budget by itself is a batch of its own.
    """
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def padded(encodings: Sequence[Encoding]) -> dict[str, NDArray[np.int64]]:
    """The model's three inputs, each (n, longest), zero where a row has ended."""
    shape = (len(encodings), max(len(encoding.ids) for encoding in encodings))
    inputs = {
        name: np.zeros(shape, dtype=np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    for row, encoding in enumerate(encodings):
        length = len(encoding.ids)
        inputs["input_ids"][row, :length] = encoding.ids
        inputs["attention_mask"][row, :length] = encoding.attention_mask
        inputs["token_type_ids"][row, :length] = encoding.type_ids
    return inputs
