"""Seconds for 100 candidates: ours, exact, against three others on the same weights and the same tokens.

"Ours, as it is by default" reads the window of long passages that the model's card asks for, which is found anew.

    python -m tests.benchmarks.rerank_speed [--rounds 3] [--shapes short,mixed,long] [--models bundled,random]

Two models: the bundled reranker, and one with the shape of ms-marco-MiniLM-L-6 and random weights made here. Random
weights take as long as trained ones, but their scores are so close together that no order agreement says anything.
FlashRank and fastembed are measured where they are importable; they are not dependencies. Install them beside the same
torch, onnxruntime and sentence-transformers in an environment of their own:

    python3 -m venv --system-site-packages PEERS && PEERS/bin/pip install flashrank fastembed
    PYTHONPATH=PEERS/lib/python3.11/site-packages python -m tests.benchmarks.rerank_speed

All are given the same file in fp32 (ONNX, or the weights that it was made from), the same token limit, and take turns.
The bundled model exists only as ONNX, so that `CrossEncoder.predict` is given it only with --fp32 DIR (the folder of
its training run).
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from sentence_transformers import CrossEncoder
from transformers import BertConfig, BertForSequenceClassification

from ingest.models.hub import Hub
from ingest.models.resolve import bundled_encoder_folder
from ingest.models.spec import ResolvedModel
from rerank.engines.choose import engine_of
from rerank.engines.export import export_fp32
from rerank.factory import open_scorer
from rerank.registry import resolve_reranker
from rerank.scorers.base import Scorer
from rerank.scorers.onnx_cross_encoder import MODEL_FILE, TOKENIZER_FILE
from rerank.scorers.windowed import windowed
from rerank.training.model import load_base
from tests.benchmarks.machine import machine
from ui.settings import SAMPLE

QUESTION = "what happens to my savings when a bank fails?"
CANDIDATES, LIMIT = 100, 320
# Words of each passage; a token is about three quarters of a word.
WORDS = {"short": (58,), "mixed": (20, 58, 110, 215), "long": (215,)}
Timed = Callable[[list[str]], object]


def passages(kind: str, count: int = CANDIDATES) -> list[str]:
    """The sample's documents cut anew into ``count`` passages."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((SAMPLE / "documents").rglob("*.md"))]
    words = " ".join(texts).split()
    found: list[str] = []
    sizes, at = itertools.cycle(WORDS[kind]), 0
    while len(found) < count:
        size = next(sizes)
        if at + size > len(words):
            at = len(found) + 1  # from the start again, off by a few words, so that no passage comes twice
        found.append(" ".join(words[at : at + size]))
        at += size
    return found


def random_model(folder: Path) -> Path:
    """A cross-encoder of ms-marco-MiniLM-L-6's shape (6 layers, 384 wide, 12 heads) with random weights."""
    raw = folder / "raw"
    raw.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(bundled_encoder_folder() / name, raw / name)
    torch.manual_seed(7)
    shape = BertConfig(  # type: ignore[call-arg]  # its base class takes what it does not name
        vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536,
        max_position_embeddings=512, num_labels=1,
    )  # fmt: skip
    BertForSequenceClassification(shape).save_pretrained(raw)
    saved = folder / "random-minilm-l6"
    CrossEncoder(str(raw), max_length=LIMIT).save_pretrained(str(saved))
    return saved


def others(folder: Path, torch_folder: Path | None, graph: Path, work: Path) -> dict[str, Timed]:
    """Each library's own call, as its documentation shows it, on the weights in ``torch_folder`` or on ``graph``."""
    found: dict[str, Timed] = {}
    if torch_folder is not None:
        predict = load_base(torch_folder, LIMIT).eval()
        found["CrossEncoder.predict"] = lambda texts: predict.predict(
            [(QUESTION, text) for text in texts], show_progress_bar=False
        )
    if importlib.util.find_spec("flashrank"):
        found["FlashRank"] = flashrank(folder, graph, work)
    if importlib.util.find_spec("fastembed"):
        found["fastembed"] = fastembed(folder, graph, work)
    return found


def peer_folder(folder: Path, graph: Path, target: Path, name: str) -> Path:
    """The files as the peers want them: logits of shape (n, 1), and the token limit where they look for it."""
    target.mkdir(parents=True)
    model = onnx.load(str(graph))
    for node in model.graph.node:
        for place, output in enumerate(node.output):
            if output == "logits":
                node.output[place] = "logits.flat"
    model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "logits.axis"))
    model.graph.node.append(helper.make_node("Unsqueeze", ["logits.flat", "logits.axis"], ["logits"]))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 1]))
    onnx.save(model, str(target / name))
    shutil.copy(folder / TOKENIZER_FILE, target / TOKENIZER_FILE)
    shape = {"pad_token_id": 0, "model_max_length": LIMIT, "pad_token": "[PAD]"}
    for file in ("config.json", "tokenizer_config.json"):
        (target / file).write_text(json.dumps(shape), encoding="utf-8")
    special = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    (target / "special_tokens_map.json").write_text(json.dumps(special), encoding="utf-8")
    return target


def flashrank(folder: Path, graph: Path, work: Path) -> Timed:
    """FlashRank's Ranker on the same file, at the same limit."""
    from flashrank import Ranker, RerankRequest  # type: ignore[import-not-found]
    from flashrank.Config import model_file_map  # type: ignore[import-not-found]

    model_file_map["second-look"] = "graph.onnx"
    peer_folder(folder, graph, work / "flashrank" / "second-look", "graph.onnx")
    ranker = Ranker(model_name="second-look", cache_dir=str(work / "flashrank"), max_length=LIMIT)
    return lambda texts: ranker.rerank(
        RerankRequest(query=QUESTION, passages=[{"id": n, "text": text} for n, text in enumerate(texts)])
    )


def fastembed(folder: Path, graph: Path, work: Path) -> Timed:
    """fastembed's TextCrossEncoder on the same file, at the same limit."""
    from fastembed.common.model_description import ModelSource  # type: ignore[import-not-found]
    from fastembed.rerank.cross_encoder import TextCrossEncoder  # type: ignore[import-not-found]

    place, name = peer_folder(folder, graph, work / "fastembed", "model.onnx"), f"second/{folder.name}"
    TextCrossEncoder.add_custom_model(model=name, model_file="model.onnx", sources=ModelSource(hf=name))
    encoder = TextCrossEncoder(name, specific_model_path=str(place))
    return lambda texts: list(encoder.rerank(QUESTION, texts))


def multiply_rate(rounds: int = 5) -> float:
    """Operations a second of fp32 matrix products of the model's largest shape: what no fp32 engine passes."""
    left, right = torch.randn(2048, 384), torch.randn(384, 1536)
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(20):
            left @ right
        seconds.append((time.perf_counter() - started) / 20)
    return 2 * 2048 * 384 * 1536 / min(seconds)


def operations(lengths: np.ndarray[Any, Any]) -> float:
    """Multiplications and additions of 6 layers, 384 wide, for pairs of these lengths, no padding."""
    width, layers = 384, 6
    linear = 2 * 12 * width * width * lengths.sum()
    attention = 4 * width * (lengths.astype(float) ** 2).sum()
    return float(layers * (linear + attention))


def measure(runs: dict[str, Timed], texts: list[str], rounds: int) -> dict[str, float]:
    """Median seconds of each, in turn in every round, once a few passages have warmed all of them up."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run(texts[:4])
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            run(texts)
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in taken.items()}


def report(title: str, model: ResolvedModel, torch_folder: Path | None, options: argparse.Namespace) -> None:
    """One model's table: seconds, and how many times as long as ours the others take."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        graph = model.folder / MODEL_FILE
        if torch_folder is not None and not graph.is_file():
            graph = work / "exported.onnx"
            export_fp32(CrossEncoder(str(torch_folder), device="cpu", max_length=LIMIT), graph)
        runs: dict[str, Timed] = {}
        for label, wanted in (("ours", "auto"), ("ours, int8 forced", "onnx-int8")):
            runs[label] = ours(open_scorer(model, wanted))
            print(f"{title}: {label}: {engine_of(model, wanted=wanted)}")
        if model.spec.window is not None:
            runs["ours, by default"] = by_default(open_scorer(model))
        runs |= others(model.folder, torch_folder, graph, work)
        scorer = open_scorer(model)
        for kind in options.shapes.split(","):
            texts = passages(kind, options.candidates)
            lengths = scorer.score(QUESTION, texts).tokens
            found = measure(runs, texts, options.rounds)
            floor = operations(lengths) / multiply_rate()
            print(f"\n{title}, {kind}: {lengths.mean():.0f} tokens a pair, {len(texts)} candidates")
            for label, seconds in [*found.items(), ("floor of fp32", floor)]:
                print(f"  {label:<22}{seconds:7.2f} s {seconds / found['ours']:7.2f} × ours", flush=True)


def ours(scorer: Scorer) -> Timed:
    """Every candidate, every token; nothing kept from one question to the next."""
    return lambda texts: scorer.score(QUESTION, texts)


def by_default(scorer: Scorer) -> Timed:
    """The same with windows; passages are cut anew each time, though a library's come again."""
    return lambda texts: windowed(scorer).score(QUESTION, texts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both models and print their tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--candidates", type=int, default=CANDIDATES)
    parser.add_argument("--shapes", default="short,mixed,long")
    parser.add_argument("--fp32", type=Path, help="the folder of the bundled model's training run")
    parser.add_argument("--models", default="bundled,random")
    options = parser.parse_args(arguments)
    print(machine())
    for peer in ("flashrank", "fastembed"):
        there = importlib.util.find_spec(peer) is not None
        print(f"{peer} {version(peer)}" if there else f"{peer} is not installed, so it is left out")
    hub = Hub(allow_downloads=False)
    if "bundled" in options.models:
        report("the bundled reranker", resolve_reranker("bundled", hub), options.fp32, options)
    if "random" in options.models:
        with tempfile.TemporaryDirectory() as name:
            folder = random_model(Path(name))
            report("MiniLM-L6, random weights", resolve_reranker(str(folder), hub), folder, options)


if __name__ == "__main__":
    main()
