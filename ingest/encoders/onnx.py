"""The bi-encoder on ONNX Runtime: the same vectors without waiting seconds for torch to be imported.

The graph is made once a model revision (`ingest.encoders.export`), checked against the very model that
sentence-transformers loads, and kept in the user's cache folder. Whatever goes wrong there only means that torch is
used.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from time import time
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ingest.cache_folder import kept_in_cache
from ingest.encoders.base import Encoder, SentenceTransformerEncoder, counting_tokenizer, unit_rows
from ingest.encoders.export import CALIBRATION, make_graph
from ingest.encoders.special_tokens import PlainText
from ingest.models.consent import is_service
from ingest.models.resolve import content_of
from ingest.models.spec import ResolvedModel
from ingest.records import sha256_of
from ingest.runtime.graph_cache import UNFINISHED, note_use, sweep
from ingest.runtime.session import GraphSession, batched, padded
from ingest.services.access import ServiceAccess

log = logging.getLogger(__name__)

# Raise it when the graph is made otherwise, so that older files are not used.
GRAPH_VERSION = 1
PREFIX = "encoder-"
# The graph is used only if none of its numbers differs from torch's by more; cosines then agree to 1e-4 at least.
MAX_DIFFERENCE = 1e-4


def open_encoder(
    model: ResolvedModel, cache: Path | None = None, access: ServiceAccess | None = None
) -> Encoder:
    """The encoder on the fastest engine at hand: a GPU through torch, else ONNX Runtime, else torch on the CPU.

    ``cache`` is the folder of graphs, the user's cache folder where ``None``. ``access`` is for encoders behind a
    service; see `ingest.encoders.openai.open_served_encoder` for what they raise.
    """
    if is_service(model):
        from ingest.encoders.openai import open_served_encoder  # its client is an extra, and slow to import

        return open_served_encoder(model, access or ServiceAccess())
    if Path("/proc/driver/nvidia/version").exists():
        return SentenceTransformerEncoder(model)
    return OnnxEncoder(model, cache)


class OnnxEncoder:
    """An encoder whose graph is found or made at the first use. Safe to share between threads."""

    def __init__(self, model: ResolvedModel, cache: Path | None) -> None:
        """Nothing is loaded yet but the tokenizer, which chunking needs. ``cache`` as for `open_encoder`."""
        self.model: Final = model
        self._cache = cache
        self._lock = threading.Lock()
        self._session: GraphSession | None = None
        self._torch: SentenceTransformerEncoder | None = None
        self.tokenizer: Tokenizer = counting_tokenizer(model)
        self._plain = PlainText(self.tokenizer)
        self._truncating = counting_tokenizer(model)
        self._truncating.enable_truncation(model.spec.max_length)

    @property
    def engine(self) -> str:
        """What runs the model: "onnxruntime", "torch", or "" before the first use."""
        if self._session is not None:
            return "onnxruntime"
        return "torch" if self._torch is not None else ""

    def encode_query(self, query: str) -> NDArray[np.float32]:
        """Vector of shape (dim,), the query's prefix included."""
        text = self.model.spec.query_prefix + self._plain.of(query)
        vector: NDArray[np.float32] = self._encode([text], None)[0]
        return vector

    def encode_passages(
        self, passages: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Vectors of shape (n, dim), in the order given, computed longest first in batches of like length."""
        prefix = self.model.spec.passage_prefix  # which may hold special tokens; text may not
        return self._encode([prefix + passage for passage in self._plain.of_all(passages)], on_batch)

    def _encode(self, texts: list[str], on_batch: Callable[[int], None] | None) -> NDArray[np.float32]:
        session = self._ready()
        if session is None:
            assert self._torch is not None  # `_ready` made one of the two
            return self._torch.encode_texts(texts, on_batch)
        with self._lock:  # fast tokenizers raise "Already borrowed" when two threads use one
            encodings = [
                (encoding.ids, encoding.type_ids) for encoding in self._truncating.encode_batch(texts)
            ]
        vectors = np.empty((len(texts), self.model.spec.dim or 0), dtype=np.float32)
        batches = batched([len(ids) for ids, _ in encodings], threads=session.threads)
        inputs = [padded([encodings[row] for row in rows]) for rows in batches]
        with closing(session.run_all("vectors", inputs)) as results:
            for number, batch_vectors in results:
                vectors[batches[number]] = batch_vectors
                if on_batch is not None:
                    on_batch(len(batch_vectors))
        return unit_rows(vectors, self.model)

    def _ready(self) -> GraphSession | None:
        """The session, opened or made once; ``None`` where torch has to do."""
        with self._lock:
            if self._session is None and self._torch is None:
                path = self._graph_path()
                self._session = _open(path)
                if self._session is None:
                    self._session = _make(self.model, path)
                    self._torch = SentenceTransformerEncoder(self.model) if self._session is None else None
                if self._session is not None:
                    note_use(path, GRAPH_VERSION)
                # Other encoders' and former weights' graphs: one that is needed again is made again in seconds.
                sweep(path.parent, f"{PREFIX}*.onnx", lambda graph, _: graph == path, time())
            return self._session

    def _graph_path(self) -> Path:
        """Named by all that the graph depends on: the weights, the modules after them, and how it is made."""
        state = hashlib.sha256(f"{GRAPH_VERSION} {self.model.spec.identity}".encode())
        for path in sorted(self.model.folder.rglob("*")):
            if path.suffix in {".safetensors", ".json"} and path.is_file():
                state.update(content_of(path).encode())
        name = f"{PREFIX}{state.hexdigest()[:24]}.onnx"
        return kept_in_cache("onnx", name) if self._cache is None else self._cache / name


def _open(path: Path) -> GraphSession | None:
    """A session on a graph that is whole: its SHA-256 stands in the file beside it."""
    note = path.with_suffix(".sha256")
    try:
        if note.read_text(encoding="ascii").strip() != sha256_of(path):
            return None
        return GraphSession(path)
    except (OSError, UnicodeDecodeError):
        return None
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors share no base class but this
        log.warning("the graph %s cannot be loaded and is made again: %s", path, error)
        return None


def _make(model: ResolvedModel, path: Path) -> GraphSession | None:
    """Export, check against torch, and publish atomically; ``None`` (and a warning) where any of it fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=UNFINISHED) as work:
            graph = Path(work) / path.name
            vectors = make_graph(model, graph)
            session = GraphSession(graph)
            _check(session, model, vectors)
            path.with_suffix(".sha256").write_text(sha256_of(graph), encoding="ascii")
            os.replace(graph, path)
        return session
    except Exception as error:  # noqa: BLE001 - whatever the model is made of, torch can still run it
        log.warning("the encoder %s stays on torch: no ONNX graph of it (%s)", model.name, error)
        return None


def _check(session: GraphSession, model: ResolvedModel, expected: NDArray[np.float32]) -> None:
    tokenizer = counting_tokenizer(model)
    tokenizer.enable_truncation(model.spec.max_length)
    encodings = [(encoding.ids, encoding.type_ids) for encoding in tokenizer.encode_batch(list(CALIBRATION))]
    ours = unit_rows(session.run("vectors", padded(encodings)), model)
    difference = float(np.abs(ours - expected).max())
    if not difference <= MAX_DIFFERENCE:
        raise ValueError(f"its vectors differ from torch's by {difference:.2g}")
