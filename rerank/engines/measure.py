"""Choosing an engine: make the graphs, see which keep the model's order, and time those that do.

Imported only when a model is used for the first time on a machine, because it needs the ONNX tools.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import time
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray

from ingest.errors import ModelError
from ingest.models.loading import load_sentence_model, read_tokenizer
from ingest.models.spec import ResolvedModel
from ingest.records import sha256_of
from ingest.runtime.session import cores
from rerank.engines.calibration_texts import PASSAGES, QUESTIONS, agreement, calibration_logits
from rerank.engines.first_token import first_token_only
from rerank.engines.fused_graph import Kind, fused, linears, split_attention
from rerank.engines.graph_scorer import GraphScorer, is_ours
from rerank.engines.int8_graph import input_ranges, with_int8
from rerank.engines.record import Engine
from rerank.engines.tuning import choose_threads, has_vnni, machine_key, rates
from rerank.scorers.base import Scorer
from rerank.scorers.onnx_cross_encoder import CARD_FILE, MODEL_FILE, TOKENIZER_FILE, inputs_of

# Kendall's τ between the model's own order of the calibration passages and the graph's, mean over the questions.
# int8 has to be very good: at 0.88 the bundled model lost 0.02 of nDCG@10 and more (docs/model-card.md). What it
# does not reach is run in fp32, which has to agree all but perfectly.
MIN_INT8_TAU, MIN_FP32_TAU = 0.99, 0.999
# int8 that is hardly faster is not worth any difference.
MIN_INT8_GAIN = 1.1
# What stays in fp32, fastest first; each is tried only where the one before it changes the order.
KEPT_IN_FP32: tuple[tuple[Kind, ...], ...] = ((), ("feed-forward out",), ("attention in", "feed-forward out"))
# Further off than this, keeping more in fp32 does not bring the order back, and the tries are saved.
HOPELESS = 0.9


@dataclass(frozen=True, slots=True)
class Made:
    """A graph in a folder of its own, how far it keeps the order, and what stays in fp32 in it."""

    folder: Path
    agreement: float
    name: str

    @property
    def path(self) -> Path:
        """The graph's file."""
        return self.folder / MODEL_FILE


class _Workshop:
    """Makes graphs of one model in folders under ``work`` and compares them with ``reference``."""

    def __init__(self, model: ResolvedModel, reference: Scorer, work: Path) -> None:
        self._model, self._work = model, work
        self._exported = _exported(model, work)
        self._wanted = calibration_logits(reference)

    def fp32(self) -> tuple[Made, onnx.ModelProto]:
        """The fused graph. Raises `ModelError` where it does not keep the order."""
        graph = first_token_only(fused(self._exported))
        made = self._compared(graph, "onnxruntime fp32")
        if made.agreement < MIN_FP32_TAU:
            raise ModelError(f"the graph's order differs from the model's (τ = {made.agreement:.3f})")
        return made, graph

    def int8(self, graph: onnx.ModelProto, ladder: Sequence[tuple[Kind, ...]]) -> Made:
        """The first int8 graph of the ladder that keeps the order, or else the one that was nearest to it."""
        split = split_attention(graph)
        ranges = input_ranges(split, self._calibration_batches())
        nearest: Made | None = None
        for keep in ladder:
            name = "onnxruntime int8" + (f" ({' and '.join(keep)} in fp32)" if keep else "")
            levels = 127 if has_vnni() else 63
            made = self._compared(with_int8(split, ranges, keep, levels), name)
            if nearest is None or made.agreement > nearest.agreement:
                nearest = made
            if made.agreement >= MIN_INT8_TAU or made.agreement < HOPELESS:
                break
        if nearest is None:
            raise ValueError("no int8 graph was asked for")
        return nearest

    def _compared(self, graph: onnx.ModelProto, name: str) -> Made:
        folder = self._work / f"{len(list(self._work.iterdir()))}"
        folder.mkdir()
        onnx.save(graph, str(folder / MODEL_FILE))
        shutil.copy(self._model.folder / TOKENIZER_FILE, folder / TOKENIZER_FILE)
        files = {file: sha256_of(folder / file) for file in (MODEL_FILE, TOKENIZER_FILE)}
        (folder / CARD_FILE).write_text(json.dumps({"files": files}), encoding="utf-8")
        logits = calibration_logits(GraphScorer(self._model, folder))
        return Made(folder, agreement(self._wanted, logits), name)

    def _calibration_batches(self) -> list[dict[str, NDArray[np.int64]]]:
        tokenizer = read_tokenizer(self._model.folder / TOKENIZER_FILE)
        tokenizer.no_padding()
        tokenizer.enable_truncation(self._model.spec.max_length)
        return [
            inputs_of(tokenizer.encode_batch([(question, passage) for passage in PASSAGES]))
            for question in QUESTIONS[::4]
        ]


def choose(model: ResolvedModel, reference: Scorer, work: Path, wanted: str) -> tuple[Path, Engine]:
    """The folder (under ``work``) of the graph to use, and what to note of it.

    ``wanted`` is "auto", "onnx-fp32" or "onnx-int8"; what is asked for by name is used however far it keeps the order.
    Raises `ModelError` where not even fp32 keeps it.
    """
    workshop = _Workshop(model, reference, work)
    exact, graph = workshop.fp32()
    if wanted == "onnx-fp32" or not linears(split_attention(graph)):
        return _engine(
            model, exact, "fp32 was asked for" if wanted == "onnx-fp32" else "nothing in it can be int8"
        )
    rounded = workshop.int8(graph, KEPT_IN_FP32 if wanted == "auto" else ((),))
    if wanted == "onnx-int8":
        return _engine(model, rounded, "int8 was asked for")
    if rounded.agreement < MIN_INT8_TAU:
        return _engine(
            model,
            exact,
            f"int8 keeps the order only to τ = {rounded.agreement:.3f}, and {MIN_INT8_TAU} is needed",
        )
    measured = rates([(rounded.path, cores()), (exact.path, cores())])
    gain = measured.tokens_per_second[0] / measured.tokens_per_second[1]
    if gain < MIN_INT8_GAIN:
        return _engine(model, exact, f"int8 is only {gain:.2f} times as fast here", measured.share)
    why = f"it keeps the order and is {gain:.2f} times as fast as fp32 here"
    return _engine(model, rounded, why, measured.share)


def _engine(model: ResolvedModel, made: Made, why: str, share: float = 1.0) -> tuple[Path, Engine]:
    """What to note of ``made``; ``share`` is how much of a core there was when it was held against others."""
    reference = "the bundled file" if is_ours(model) else "torch"
    threads = choose_threads(made.path)
    threads = replace(threads, share=min(threads.share, share))
    return made.folder, Engine(
        made.name, made.agreement, reference, why, threads=threads, machine=machine_key(), measured=time()
    )


def _exported(model: ResolvedModel, work: Path) -> Path:
    """The model's graph in fp32 arithmetic, not yet fused: its own file, or made from its torch weights."""
    if is_ours(model):
        return model.folder / MODEL_FILE
    from sentence_transformers import CrossEncoder

    from rerank.engines.export import export_fp32

    folder = work / "exported"
    folder.mkdir()
    length = model.spec.max_length
    # Written out step by step, attention has the form that ONNX Runtime knows how to fuse.
    loaded = load_sentence_model(
        CrossEncoder, model.folder, device="cpu", max_length=length, attention="eager"
    )
    export_fp32(cast(Any, loaded.eval()), folder / MODEL_FILE)
    return folder / MODEL_FILE
