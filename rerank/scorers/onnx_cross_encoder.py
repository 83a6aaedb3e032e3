"""A cross-encoder of ours on ONNX Runtime: a folder with model_int8.onnx, tokenizer.json, secondlook.json."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from ingest.encoders.special_tokens import PlainText
from ingest.errors import ModelDamagedError, ModelError
from ingest.models.folder.json_files import read_json, shown
from ingest.models.loading import read_tokenizer
from ingest.models.resolve import verify_checksum
from ingest.models.spec import ResolvedModel
from ingest.runtime.session import GraphSession, batched, padded
from rerank.scorers.base import OnBatch, Options, Scorer, Scores, empty_scores, pair_room

MODEL_FILE, TOKENIZER_FILE, CARD_FILE = "model_int8.onnx", "tokenizer.json", "secondlook.json"


def open_reranker(model: ResolvedModel, _: Options) -> Scorer:
    """The model's own graph. `rerank.factory.open_scorer` looks for a faster engine first."""
    return OnnxCrossEncoderScorer(model)


class OnnxCrossEncoderScorer(Scorer):
    """Scores pairs in batches of like length, several at once. One caller at a time has all its threads."""

    def __init__(self, model: ResolvedModel, threads: int = 0) -> None:
        """Verify and load the files of ``model.folder``; ``threads`` as in `GraphSession`.

        Raises `ModelDamagedError` where a file is missing or its checksum differs from secondlook.json's,
        and `ModelError` where ONNX Runtime cannot load it.
        """
        self._model = model
        self._lock = threading.Lock()
        verify_files(model.folder)
        self._tokenizer = read_tokenizer(model.folder / TOKENIZER_FILE)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._plain = PlainText(self._tokenizer)
        self._session = open_session(model.folder / MODEL_FILE, threads)

    @property
    def model(self) -> ResolvedModel:
        """Which model this is."""
        return self._model

    def room(self, query: str) -> int:
        """Tokens of a passage that are read beside ``query``, at least half of what the model reads."""
        with self._lock:
            self._tokenizer.no_truncation()
            return pair_room(self._tokenizer, self._plain.of(query), self._model.spec.max_length)

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        """Score every passage; shapes as in `Scores`. The end of a passage that does not fit is not read."""
        if not passages:
            return empty_scores()
        query, passages = self._plain.of(query), self._plain.of_all(passages)
        with self._lock:
            encodings, tokens = self._encode(query, passages)
            logits = np.empty(len(passages), dtype=np.float32)
            batches = batched([len(encoding.ids) for encoding in encodings], threads=self._session.threads)
            inputs = [inputs_of([encodings[row] for row in rows]) for rows in batches]
            with closing(self._session.run_all("logits", inputs)) as done:
                for number, values in done:
                    logits[batches[number]] = values.reshape(-1)
                    if on_batch is not None:
                        on_batch(len(batches[number]))
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
        if Path(name).name != name:
            raise ModelDamagedError(
                f"{folder / CARD_FILE} lists “{shown(name)}”, which is no file beside it. Fetch or train the model "
                "again."
            )
        verify_checksum(folder / name, str(expected))
    return card


def open_session(path: Path, threads: int = 0) -> GraphSession:
    """A graph on the CPU, as `GraphSession`; raises `ModelError` where the file cannot be loaded."""
    try:
        return GraphSession(path, threads)
    except Exception as error:  # ONNX Runtime's exceptions share no base class but this
        raise ModelError(f"ONNX Runtime cannot load {path}: {error}") from error


def inputs_of(encodings: Sequence[Encoding]) -> dict[str, NDArray[np.int64]]:
    """The model's three inputs, each (n, longest), zero where a row has ended."""
    return padded([(encoding.ids, encoding.type_ids) for encoding in encodings])
