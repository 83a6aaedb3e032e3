"""Any cross-encoder on the fastest engine that keeps its order: a GPU, int8 or fp32 on ONNX Runtime, or torch.

The graph is made once a model revision from the very model that sentence-transformers loads, compared with it on
passages of our own, and kept in the user's cache folder. int8 is used only where it leaves the order standing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from ingest.errors import ModelError
from ingest.models import ResolvedModel, sha256_of
from rerank.scorers.base import Scorer
from rerank.scorers.onnx_cross_encoder import CARD_FILE, MODEL_FILE, TOKENIZER_FILE, OnnxCrossEncoderScorer

log = logging.getLogger(__name__)

# Raise it when graphs are made otherwise, so that older ones are not used.
GRAPH_VERSION = 1
# Kendall's τ between torch's order of the calibration passages and the graph's, mean over the questions.
# int8 has to be very good: at 0.88 the bundled model lost 0.02 of nDCG@10 and more (docs/model-card.md). What it
# does not reach is run in fp32, which has to agree all but perfectly.
MIN_INT8_TAU, MIN_FP32_TAU = 0.99, 0.999

QUESTIONS = ("which snake kills without venom?", "crane migration route", "when may the tenant leave early?")
PASSAGES = (
    "A boa coils around its prey and tightens until the blood no longer flows; it has no venom at all.",
    "The venom of a cobra stops the nerves from working, and the prey can no longer breathe.",
    "Python is a language for code; a list holds values in order and a dictionary finds them by key.",
    "Cranes fly from Scandinavia over Germany and France to Spain, and rest at the lakes on their way.",
    "A tower crane must not be worked in a wind above twenty metres a second, and its jib has to turn freely.",
    "Either party may bring this agreement to an end on the third anniversary by six months' written notice.",
    "The rent is due on the first of each month. If it comes late, interest runs at four per cent above the base rate.",
    "The bank gives way where the river has washed out its foot; cracks along the top come first.",
    "Savings are protected up to a limit for each person and each bank, and paid back within seven days.",
    "Snakes.",
    "Migration of birds has been studied with rings since 1899, with radar since the war, and today with "
    "satellite transmitters that weigh a few grams and report a place every hour.",
    "The tenant may leave early if the landlord agrees in writing.",
)


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs a model, and how well it keeps torch's order (Kendall's τ on the calibration passages)."""

    name: str
    agreement: float

    def __str__(self) -> str:
        return f"{self.name}, order agreement with torch {self.agreement:.3f}"


def open_cross_encoder(model: ResolvedModel, cache: Path | None = None) -> Scorer:
    """A scorer for any sentence-transformers cross-encoder; the first call for a revision makes its graph.

    ``cache`` is the folder of graphs, the user's cache folder where ``None``. Raises `ModelError` where
    the model is no reranker.
    """
    if Path("/proc/driver/nvidia/version").exists():
        return _torch(model)
    folder = graph_folder(model, cache)
    scorer = _open(model, folder)
    if scorer is not None:
        return scorer
    reference = _torch(model)
    return _make(model, reference, folder) or reference


def graph_folder(model: ResolvedModel, cache: Path | None = None) -> Path:
    """Where the graph of this model lies once it is made; named by its weights and how it is made."""
    base = cache or Path(platformdirs.user_cache_dir("second-look")) / "onnx"
    weights = "".join(sha256_of(path) for path in sorted(model.folder.glob("*.safetensors")))
    key = f"{GRAPH_VERSION}-{model.spec.max_length}-{weights}"
    return base / f"reranker-{hashlib.sha256(key.encode()).hexdigest()[:24]}"


def engine_of(model: ResolvedModel, cache: Path | None = None) -> Engine | None:
    """The engine that was chosen for a model on this machine; ``None`` before its first use."""
    try:
        noted = json.loads((graph_folder(model, cache) / "engine.json").read_text(encoding="utf-8"))
        return Engine(str(noted["name"]), float(noted["agreement"]))
    except (OSError, ValueError, KeyError):
        return None


def _torch(model: ResolvedModel) -> Scorer:
    from rerank.scorers.cross_encoder import CrossEncoderScorer

    return CrossEncoderScorer(model)


def _open(model: ResolvedModel, folder: Path) -> Scorer | None:
    """The graph in ``folder``, if it is whole."""
    if not (folder / CARD_FILE).is_file():
        return None
    try:
        return _OnGraph(model, folder)
    except ModelError as error:
        log.warning("the graph of %s is made again: %s", model.name, error)
        shutil.rmtree(folder, ignore_errors=True)
        return None


class _OnGraph(OnnxCrossEncoderScorer):
    """The graph in a folder of ours, under the name and the spec of the model that it was made from."""

    def __init__(self, model: ResolvedModel, folder: Path) -> None:
        super().__init__(replace(model, folder=folder))
        self._named = model

    @property
    def model(self) -> ResolvedModel:
        """The model that the graph was made from."""
        return self._named


def _make(model: ResolvedModel, reference: Scorer, folder: Path) -> Scorer | None:
    """Export, compare, and publish by one rename; ``None`` (and a warning) where that fails."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as name:
            made = Path(name) / "graph"
            made.mkdir()
            engine = _export_best(model, reference, made)
            (made / "engine.json").write_text(
                json.dumps({"name": engine.name, "agreement": engine.agreement})
            )
            os.replace(made, folder)
        return _OnGraph(model, folder)
    except Exception as error:  # noqa: BLE001 - whatever the model is made of, torch can still run it
        log.warning(
            "the reranker %s stays on torch: no ONNX graph of it keeps its order (%s)", model.name, error
        )
        return None


def _export_best(model: ResolvedModel, reference: Scorer, folder: Path) -> Engine:
    """int8 into ``folder`` where it keeps the order, else fp32. Raises `ModelError` where neither does."""
    from sentence_transformers import CrossEncoder

    from rerank.onnx_export import export_dynamic_int8, export_fp32

    shutil.copy(model.folder / TOKENIZER_FILE, folder / TOKENIZER_FILE)
    loaded = CrossEncoder(
        str(model.folder), device="cpu", max_length=model.spec.max_length, local_files_only=True
    )
    wanted = _logits(reference)
    for name, export, least in (
        ("onnxruntime int8", partial(export_dynamic_int8, reduce_range=not _has_vnni()), MIN_INT8_TAU),
        ("onnxruntime fp32", export_fp32, MIN_FP32_TAU),
    ):
        export(loaded, folder / MODEL_FILE)
        files = {file: sha256_of(folder / file) for file in (MODEL_FILE, TOKENIZER_FILE)}
        (folder / CARD_FILE).write_text(json.dumps({"files": files}), encoding="utf-8")
        agreement = _agreement(wanted, _logits(_OnGraph(model, folder)))
        if agreement >= least:
            return Engine(name, agreement)
        log.info("%s of %s keeps the order only to τ = %.3f", name, model.name, agreement)
    raise ModelError(f"the graph's order differs from torch's (τ = {agreement:.3f})")


def _has_vnni() -> bool:
    """Whether the processor multiplies int8 without overflow; taken for absent where the system does not say."""
    try:
        return "vnni" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False


def _logits(scorer: Scorer) -> list[NDArray[np.float32]]:
    return [scorer.score(question, PASSAGES).logits for question in QUESTIONS]


def _agreement(wanted: Sequence[NDArray[np.float32]], found: Sequence[NDArray[np.float32]]) -> float:
    """Kendall's τ, mean over the questions."""
    from scipy.stats import kendalltau

    return float(np.mean([kendalltau(a, b).statistic for a, b in zip(wanted, found, strict=True)]))
