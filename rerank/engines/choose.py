"""Any cross-encoder on the fastest engine that keeps its order: a GPU, int8 or fp32 on ONNX Runtime, or torch.

Choosing takes half a minute, once a model and machine: its graph is made, compared with the model itself on passages
of our own, measured, and kept in the user's cache folder with what was found. Later starts only read it. A model that
is a graph already need not wait for that: it runs as it is until the choice is made.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from time import time

from ingest.cache_folder import kept_in_cache
from ingest.errors import ModelDamagedError, ModelError, UsageError
from ingest.models.resolve import content_of
from ingest.models.spec import ResolvedModel
from ingest.runtime.graph_cache import UNFINISHED, note_use
from rerank.engines.graph_cache import PREFIX, publish, sweep
from rerank.engines.graph_scorer import GraphScorer, is_ours
from rerank.engines.record import Engine, failure_of, note_failure
from rerank.engines.tuning import machine_key
from rerank.scorers.base import Scorer
from rerank.scorers.onnx_cross_encoder import (
    MODEL_FILE,
    TOKENIZER_FILE,
    OnnxCrossEncoderScorer,
    verify_files,
)

log = logging.getLogger(__name__)

# Raise it when graphs are made otherwise, so that older ones are not used.
GRAPH_VERSION = 7
ENGINES = ("auto", "torch", "onnx-fp32", "onnx-int8")


def open_cross_encoder(
    model: ResolvedModel, cache: Path | None = None, wanted: str = "auto", wait: bool = True
) -> Scorer:
    """A scorer for a cross-encoder, ours or any of sentence-transformers; the first call makes its graph.

    ``cache`` is the folder of graphs, the user's cache folder where ``None``; ``wanted`` is one of `ENGINES`. Without
    ``wait``, a model that can run as it is does so where no choice was made yet (see `is_pending`). Raises
    `UsageError` for another word, and for torch where there are no torch weights; `ModelError` where the
    model is no reranker.
    """
    if runs_on_torch(model, wanted):
        return torch_scorer(model)
    if is_ours(model):
        verify_files(model.folder)  # a graph in the cache answers for no other files than these
    folder = graph_folder(model, cache, wanted)
    scorer = _open(model, folder)
    if scorer is not None:
        return scorer
    reference = _reference(model)
    if _failed(folder) or (not wait and is_pending(model, cache, wanted)):
        return reference
    return _make(model, reference, folder, wanted) or reference


def runs_on_torch(model: ResolvedModel, wanted: str) -> bool:
    """Whether torch runs the model: it was asked for, or there is a GPU that torch can use.

    Raises `UsageError` for a word that is not one of `ENGINES`, and for torch where there are no torch weights.
    """
    if wanted not in ENGINES:
        raise UsageError(f"There is no engine “{wanted}”; choose one of {', '.join(ENGINES)}.")
    if wanted == "torch" and is_ours(model):
        raise UsageError(
            f"The reranker {model.name} has no torch weights; choose another engine than torch ({', '.join(ENGINES)})."
        )
    return wanted == "torch" or (wanted == "auto" and not is_ours(model) and _has_gpu())


def graph_folder(model: ResolvedModel, cache: Path | None = None, wanted: str = "auto") -> Path:
    """Where the graph of this model lies once it is made; named by its weights and how it is made."""
    key = f"{GRAPH_VERSION}-{wanted}-{model.spec.max_length}-{''.join(map(content_of, _made_of(model)))}"
    name = f"{PREFIX}{hashlib.sha256(key.encode()).hexdigest()[:24]}"
    return kept_in_cache("onnx", name) if cache is None else cache / name


def _made_of(model: ResolvedModel) -> list[Path]:
    """The files that a graph of the model depends on: weights, settings and tokenizer, as they are now.

    Raises `ModelDamagedError` where there are no weights: a graph that was made of them would answer in their name.
    """
    if is_ours(model):
        files = [model.folder / MODEL_FILE, model.folder / TOKENIZER_FILE]
    else:
        files = [path for path in sorted(model.folder.rglob("*")) if path.suffix in {".safetensors", ".json"}]
    if not any(path.suffix in {".safetensors", ".onnx"} and path.is_file() for path in files):
        raise ModelDamagedError(
            f"The weights of {model.name} are not in {model.folder}. Fetch the model again."
        )
    return [path for path in files if path.is_file()]


def engine_of(model: ResolvedModel, cache: Path | None = None, wanted: str = "auto") -> Engine | None:
    """The engine that was chosen for a model on this machine; ``None`` before its first use."""
    folder = _folder_if_whole(model, cache, wanted)
    engine = Engine.read(folder) if folder is not None else None
    return engine if engine is not None and engine.machine == machine_key() else None


def is_pending(model: ResolvedModel, cache: Path | None = None, wanted: str = "auto") -> bool:
    """Whether the model runs as it is because nobody has waited for its engine to be chosen yet."""
    if wanted != "auto" or not is_ours(model) or engine_of(model, cache, wanted) is not None:
        return False
    folder = _folder_if_whole(model, cache, wanted)
    return folder is not None and not _failed(folder)


def _folder_if_whole(model: ResolvedModel, cache: Path | None, wanted: str) -> Path | None:
    """`graph_folder`; ``None`` for a model whose weights are gone, of which no engine can be chosen any more.

    Loading it is refused. A question about its engine is not: the page asks that of models that it has loaded.
    """
    try:
        return graph_folder(model, cache, wanted)
    except ModelDamagedError:
        return None


def _failed(folder: Path) -> bool:
    """Whether the graph for ``folder`` was tried lately on this machine, by whichever process, and there is none."""
    return failure_of(folder, machine_key(), time()) is not None


def is_due(model: ResolvedModel, cache: Path | None = None, wanted: str = "auto") -> bool:
    """Whether the engine was chosen on a busy machine, and long enough ago to try again."""
    engine = engine_of(model, cache, wanted)
    return engine is not None and engine.due(time())


def choose_quietly(model: ResolvedModel, cache: Path | None = None, wanted: str = "auto") -> bool:
    """Choose the engine on a thread of one's own, giving way to everything else; whether there is one then.

    One that `is_due` is chosen again, and used until then.
    Called from a worker thread: on Linux a thread has a priority of its own, and those that it starts inherit it.
    """
    if hasattr(os, "setpriority") and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    if is_due(model, cache, wanted):
        folder = graph_folder(model, cache, wanted)
        return _make(model, _reference(model), folder, wanted) is not None
    open_cross_encoder(model, cache, wanted)
    return not is_pending(model, cache, wanted)


def _reference(model: ResolvedModel) -> Scorer:
    """The model as it is, which an engine is held against."""
    return OnnxCrossEncoderScorer(model) if is_ours(model) else torch_scorer(model)


def torch_scorer(model: ResolvedModel) -> Scorer:
    """The model on torch, which is imported here and not before."""
    from rerank.scorers.cross_encoder import CrossEncoderScorer

    return CrossEncoderScorer(model)


def _has_gpu() -> bool:
    """Whether torch can use a GPU of NVIDIA or AMD; asked only where a driver is, as torch is slow to load."""
    if not (Path("/proc/driver/nvidia/version").exists() or Path("/dev/kfd").exists()):
        return False
    import torch

    return torch.cuda.is_available()


def _open(model: ResolvedModel, folder: Path) -> Scorer | None:
    """The graph in ``folder``, if it is whole and was chosen on this machine; otherwise it is removed."""
    if not folder.is_dir():
        return None
    engine = Engine.read(folder)
    if engine is None or engine.machine != machine_key():
        log.info("the engine for %s is chosen again: another processor or ONNX Runtime", model.name)
    else:
        try:
            scorer = GraphScorer(model, folder, engine.threads)
        except ModelError as error:
            log.warning("the graph of %s is made again: %s", model.name, error)
        else:
            note_use(folder, GRAPH_VERSION)
            sweep(folder.parent, GRAPH_VERSION, time())
            return scorer
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _make(model: ResolvedModel, reference: Scorer, folder: Path, wanted: str) -> Scorer | None:
    """Make the graph and publish it by one rename; ``None`` (and a warning) where that fails."""
    from rerank.engines.measure import choose

    log.info("choosing the engine for %s; this is done once and takes some seconds", model.name)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder.parent, GRAPH_VERSION, time())
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=UNFINISHED) as name:
            made, engine = choose(model, reference, Path(name), wanted)
            engine.write(made)
            publish(made, engine, folder, Path(name) / "former")
        note_use(folder, GRAPH_VERSION)
        return GraphScorer(model, folder, (Engine.read(folder) or engine).threads)
    except Exception as error:  # noqa: BLE001 - whatever the model is made of, what is there can still run it
        log.warning("the reranker %s stays on %s: no faster graph of it keeps its order (%s)",
                    model.name, "its own file" if is_ours(model) else "torch", error)  # fmt: skip
        if not isinstance(error, OSError):  # a full disk says nothing of the model
            note_failure(folder, machine_key(), str(error), time())
        return None
