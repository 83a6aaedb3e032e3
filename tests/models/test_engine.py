"""Cross-encoders on ONNX Runtime: only where the order stands, made once, whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ingest.hub import Hub
from ingest.models import ResolvedModel
from rerank.models import resolve_reranker
from rerank.scorers import engine
from rerank.scorers.cross_encoder import CrossEncoderScorer
from rerank.scorers.engine import PASSAGES, QUESTIONS, engine_of, open_cross_encoder


@pytest.fixture(scope="module")
def model(tiny_cross_encoder: Path) -> ResolvedModel:
    return resolve_reranker(str(tiny_cross_encoder), Hub(allow_downloads=False))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, model: ResolvedModel) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    open_cross_encoder(model, folder)
    return folder


def test_the_graph_keeps_torchs_order_and_says_how_well(model: ResolvedModel, cache: Path) -> None:
    scorer = open_cross_encoder(model, cache)
    chosen = engine_of(model, cache)
    assert chosen is not None
    assert chosen.name.startswith("onnxruntime")
    assert chosen.agreement >= engine.MIN_INT8_TAU
    assert scorer.model == model
    exact = CrossEncoderScorer(model).score(QUESTIONS[0], PASSAGES)
    found = scorer.score(QUESTIONS[0], PASSAGES)
    spread = float(np.ptp(exact.logits))
    assert np.abs(found.logits - exact.logits).max() < 0.15 * spread
    assert found.tokens.tolist() == exact.tokens.tolist()


def test_int8_that_would_change_the_order_is_not_used(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MIN_INT8_TAU", 1.1)
    scorer = open_cross_encoder(model, tmp_path)
    chosen = engine_of(model, tmp_path)
    assert chosen is not None
    assert chosen.name == "onnxruntime fp32"
    exact = CrossEncoderScorer(model).score(QUESTIONS[1], PASSAGES).logits
    assert scorer.score(QUESTIONS[1], PASSAGES).logits == pytest.approx(exact, abs=1e-4)


def test_where_no_graph_keeps_the_order_torch_does_the_work(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine, "MIN_INT8_TAU", 1.1)
    monkeypatch.setattr(engine, "MIN_FP32_TAU", 1.1)
    assert isinstance(open_cross_encoder(model, tmp_path), CrossEncoderScorer)
    assert "stays on torch" in caplog.text
    assert list(tmp_path.iterdir()) == [], "litter"


def test_a_damaged_graph_is_noticed_and_made_again(model: ResolvedModel, cache: Path) -> None:
    before = open_cross_encoder(model, cache).score(QUESTIONS[0], PASSAGES).logits
    (graph,) = cache.glob("*/model_int8.onnx")
    graph.write_bytes(graph.read_bytes()[:-1000])
    assert open_cross_encoder(model, cache).score(QUESTIONS[0], PASSAGES).logits == pytest.approx(
        before, abs=1e-5
    )


def test_once_the_graph_is_there_torch_is_never_imported(model: ResolvedModel, cache: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ingest.hub import Hub; from rerank.models import resolve_reranker;"
        "from rerank.scorers.engine import open_cross_encoder;"
        "s = open_cross_encoder(resolve_reranker(sys.argv[1], Hub(allow_downloads=False)), Path(sys.argv[2]));"
        "print(s.score('a snake', ['a boa', 'a crane']).logits.shape, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(model.folder), str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "(2,) False"
