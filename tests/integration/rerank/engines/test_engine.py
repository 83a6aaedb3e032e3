"""Engines: only where the order stands, made once, whole or not at all, and again on another machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from ingest.errors import ModelDamagedError, ModelError, UsageError
from ingest.models.hub import Hub
from ingest.models.spec import ResolvedModel
from ingest.runtime.graph_cache import UNFINISHED, UNUSED_FOR, USE_FILE
from rerank.engines import choose, measure, tuning
from rerank.engines.calibration_texts import PASSAGES, QUESTIONS, agreement, calibration_logits
from rerank.engines.choose import (
    choose_quietly,
    engine_of,
    graph_folder,
    is_due,
    is_pending,
    open_cross_encoder,
)
from rerank.engines.fused_graph import linears, split_attention
from rerank.engines.record import AGAIN_AFTER, FAILED_FOR, Engine
from rerank.registry import BUNDLED_FOLDER, resolve_reranker
from rerank.scorers.onnx_cross_encoder import MODEL_FILE, OnnxCrossEncoderScorer
from tests.parts.later import later
from tests.parts.tiny_models import make_electra, make_xlm_roberta

torch = later("torch")
load_file, save_file = later("safetensors.torch", "load_file", "save_file")
CrossEncoderScorer = later("rerank.scorers.cross_encoder", "CrossEncoderScorer")


@pytest.fixture(scope="module")
def model(tiny_cross_encoder: Path) -> ResolvedModel:
    return resolve_reranker(str(tiny_cross_encoder), Hub(allow_downloads=False))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, model: ResolvedModel) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    open_cross_encoder(model, folder)
    return folder


def operators(model: ResolvedModel, cache: Path, wanted: str) -> set[str]:
    graph = onnx.load(str(graph_folder(model, cache, wanted) / MODEL_FILE))
    return {node.op_type for node in graph.graph.node}


def test_fp32_is_fused_and_gives_torchs_logits(model: ResolvedModel, tmp_path: Path) -> None:
    scorer = open_cross_encoder(model, tmp_path, "onnx-fp32")
    exact = CrossEncoderScorer(model).score(QUESTIONS[1], PASSAGES)
    found = scorer.score(QUESTIONS[1], PASSAGES)
    assert found.logits == pytest.approx(exact.logits, abs=1e-4)
    assert found.tokens.tolist() == exact.tokens.tolist()
    assert scorer.model == model
    used = operators(model, tmp_path, "onnx-fp32")
    assert {"Attention", "LayerNormalization", "BiasGelu"} <= used
    assert "SkipLayerNormalization" not in used, "the slow one"


def test_int8_keeps_a_score_whatever_stands_beside_the_passage(model: ResolvedModel, tmp_path: Path) -> None:
    scorer = open_cross_encoder(model, tmp_path, "onnx-int8")
    assert "MatMulIntegerToFloat" in operators(model, tmp_path, "onnx-int8")
    together = scorer.score(QUESTIONS[0], PASSAGES).logits
    alone = np.array([scorer.score(QUESTIONS[0], [passage]).logits[0] for passage in PASSAGES])
    exact = CrossEncoderScorer(model).score(QUESTIONS[0], PASSAGES).logits
    assert np.abs(together - alone).max() < 0.02 * float(np.ptp(exact)), (
        "one scale for a whole batch gives more"
    )
    assert 0 < np.abs(together - exact).max() < 0.15 * float(np.ptp(exact))
    chosen = engine_of(model, tmp_path, "onnx-int8")
    assert chosen is not None
    assert chosen.agreement > 0.9


def test_the_products_inside_attention_are_told_apart(model: ResolvedModel, tmp_path: Path) -> None:
    open_cross_encoder(model, tmp_path, "onnx-fp32")
    graph = onnx.load(str(graph_folder(model, tmp_path, "onnx-fp32") / MODEL_FILE))
    kinds = [linear.kind for linear in linears(split_attention(graph))]
    layer = ["attention in"] * 3 + ["attention out", "feed-forward in", "feed-forward out"]
    assert kinds[:12] == layer * 2


def test_what_is_noted_says_what_was_measured(model: ResolvedModel, cache: Path) -> None:
    chosen = engine_of(model, cache)
    assert chosen is not None
    assert chosen.name.startswith("onnxruntime")
    assert chosen.agreement >= measure.MIN_INT8_TAU
    assert chosen.agreement == pytest.approx(
        agreement(
            calibration_logits(CrossEncoderScorer(model)),
            calibration_logits(open_cross_encoder(model, cache)),
        ),
        abs=0.005,
    )
    assert chosen.threads.tokens_per_second > 0
    assert chosen.why


def test_int8_that_would_change_the_order_is_not_used(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "MIN_INT8_TAU", 1.1)
    open_cross_encoder(model, tmp_path)
    chosen = engine_of(model, tmp_path)
    assert chosen is not None
    assert chosen.name == "onnxruntime fp32"
    assert "1.1 is needed" in chosen.why


def test_where_no_graph_keeps_the_order_torch_does_the_work(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(measure, "MIN_FP32_TAU", 1.1)
    assert isinstance(open_cross_encoder(model, tmp_path), CrossEncoderScorer)
    assert "stays on torch" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == [
        graph_folder(model, tmp_path).name + ".failed.json"
    ], "litter"


def test_a_failed_try_is_not_made_again_by_the_next_process_until_it_is_old(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def fail(*_: object) -> None:
        tries.append("tried")
        raise ModelError("no graph")

    monkeypatch.setattr(measure, "choose", fail)
    for _ in range(2):  # nothing is kept in memory, so that a call is as good as a process
        assert isinstance(open_cross_encoder(model, tmp_path), CrossEncoderScorer)
    assert len(tries) == 1
    assert isinstance(open_cross_encoder(model, tmp_path, "onnx-fp32"), CrossEncoderScorer)
    assert len(tries) == 2, "another engine is another try"
    (note,) = tmp_path.glob(f"{graph_folder(model, tmp_path).name}*")
    note.write_text("{")
    open_cross_encoder(model, tmp_path)
    assert len(tries) == 3, "a damaged note is none"
    monkeypatch.setattr(choose, "time", lambda: time.time() + FAILED_FOR)
    open_cross_encoder(model, tmp_path)
    assert len(tries) == 4
    monkeypatch.setattr(choose, "machine_key", lambda: {"cpu": "another"})
    open_cross_encoder(model, tmp_path)
    assert len(tries) == 5


def test_a_full_disk_is_not_noted_as_the_models_fault(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(measure, "choose", fail)
    assert isinstance(open_cross_encoder(model, tmp_path), CrossEncoderScorer)
    assert not list(tmp_path.iterdir())


def test_our_own_model_is_not_pending_for_ever_where_no_engine_can_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ModelError("no graph")

    monkeypatch.setattr(measure, "choose", fail)
    bundled = resolve_reranker("bundled", Hub(allow_downloads=False))
    assert is_pending(bundled, tmp_path)
    assert type(open_cross_encoder(bundled, tmp_path)) is OnnxCrossEncoderScorer
    assert not is_pending(bundled, tmp_path)


@pytest.mark.parametrize("make", [make_xlm_roberta, make_electra])
def test_bge_and_electra_get_an_engine_with_torchs_order(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    model = resolve_reranker(str(make(tmp_path / "model")), Hub(allow_downloads=False))
    exact = calibration_logits(CrossEncoderScorer(model))
    scorer = open_cross_encoder(model, tmp_path / "graphs", "onnx-fp32")
    assert scorer.engine.startswith("onnxruntime fp32")
    assert agreement(exact, calibration_logits(scorer)) == pytest.approx(1.0)
    assert open_cross_encoder(model, tmp_path / "graphs").engine.startswith("onnx")
    chosen = engine_of(model, tmp_path / "graphs")
    assert chosen is not None
    assert chosen.agreement >= measure.MIN_INT8_TAU


def test_what_a_killed_process_left_unfinished_is_removed_once_it_is_old(
    model: ResolvedModel, tmp_path: Path
) -> None:
    """Another process may be at work in a young one."""
    for name, hours in (("old", 25), ("young", 23)):
        left = tmp_path / f"{UNFINISHED}{name}" / "0"
        left.mkdir(parents=True)
        os.utime(left.parent, times=(time.time() - hours * 3600,) * 2)
    open_cross_encoder(model, tmp_path)
    assert [path.name for path in tmp_path.glob(f"{UNFINISHED}*")] == [f"{UNFINISHED}young"]


def test_a_graph_that_is_used_is_noted_and_what_nobody_uses_goes_then(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "GRAPH_VERSION", choose.GRAPH_VERSION - 1)
    open_cross_encoder(model, tmp_path, "onnx-fp32")
    former = graph_folder(model, tmp_path, "onnx-fp32")
    monkeypatch.undo()
    open_cross_encoder(model, tmp_path, "onnx-fp32")
    ours = graph_folder(model, tmp_path, "onnx-fp32")
    assert {path.name for path in tmp_path.iterdir()} == {former.name, ours.name}, (
        "another version may use it"
    )
    for folder in (former, ours):
        os.utime(folder / USE_FILE, times=(time.time() - UNUSED_FOR - 60,) * 2)
    open_cross_encoder(model, tmp_path, "onnx-fp32")  # only read this time
    assert {path.name for path in tmp_path.iterdir()} == {ours.name}
    assert time.time() - (ours / USE_FILE).stat().st_mtime < UNUSED_FOR


def test_a_damaged_graph_is_noticed_and_made_again(model: ResolvedModel, cache: Path) -> None:
    before = open_cross_encoder(model, cache).score(QUESTIONS[0], PASSAGES).logits
    (graph,) = cache.glob(f"*/{MODEL_FILE}")
    graph.write_bytes(graph.read_bytes()[:-1000])
    assert open_cross_encoder(model, cache).score(QUESTIONS[0], PASSAGES).logits == pytest.approx(
        before, abs=1e-5
    )


def test_a_kept_graph_of_ours_answers_for_no_other_weights(tmp_path: Path) -> None:
    folder, cache = tmp_path / "ours", tmp_path / "graphs"
    shutil.copytree(BUNDLED_FOLDER, folder)
    model = resolve_reranker(str(folder), Hub(allow_downloads=False))
    assert open_cross_encoder(model, cache, "onnx-fp32").engine.startswith("onnxruntime fp32")
    weights = folder / MODEL_FILE
    whole = weights.read_bytes()
    for spoil in (
        lambda: weights.write_bytes(whole[: len(whole) // 2]),
        lambda: weights.write_bytes(whole[:-1] + b"x"),
        weights.unlink,
    ):
        spoil()
        for graphs in (cache, tmp_path / "none"):
            with pytest.raises(ModelDamagedError, match=MODEL_FILE):
                open_cross_encoder(model, graphs, "onnx-fp32")


def test_weights_and_settings_that_changed_make_the_graph_anew(
    tiny_cross_encoder: Path, tmp_path: Path
) -> None:
    folder, cache = tmp_path / "model", tmp_path / "graphs"
    shutil.copytree(tiny_cross_encoder, folder)
    model = resolve_reranker(str(folder), Hub(allow_downloads=False))
    before = open_cross_encoder(model, cache, "onnx-fp32").score(QUESTIONS[1], PASSAGES).logits
    path = folder / "model.safetensors"
    stat, weights = path.stat(), load_file(path)
    save_file(
        {name: -part if "classifier" in name else part for name, part in weights.items()},
        path,
        {"format": "pt"},
    )
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    after = open_cross_encoder(model, cache, "onnx-fp32").score(QUESTIONS[1], PASSAGES).logits
    assert np.allclose(after, -before, atol=1e-3)
    made = graph_folder(model, cache, "onnx-fp32")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"gelu"', '"relu"'))
    assert graph_folder(model, cache, "onnx-fp32") != made
    path.unlink()
    with pytest.raises(ModelError, match="weights"):
        open_cross_encoder(model, cache, "onnx-fp32")


def test_another_processor_or_onnx_runtime_measures_again(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_cross_encoder(model, tmp_path, "onnx-fp32")
    monkeypatch.setattr(choose, "machine_key", lambda: {"cpu": "another"})
    assert engine_of(model, tmp_path, "onnx-fp32") is None
    monkeypatch.setattr(measure, "machine_key", lambda: {"cpu": "another"})
    open_cross_encoder(model, tmp_path, "onnx-fp32")
    chosen = engine_of(model, tmp_path, "onnx-fp32")
    assert chosen is not None
    assert chosen.machine == {"cpu": "another"}


def test_an_engine_that_is_not_there_is_said(model: ResolvedModel, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no engine “fast”"):
        open_cross_encoder(model, tmp_path, "fast")
    with pytest.raises(UsageError, match="no torch weights"):
        open_cross_encoder(resolve_reranker("bundled", Hub(allow_downloads=False)), tmp_path, "torch")


def test_half_precision_gives_fp32_logits_near_the_exact_ones(model: ResolvedModel) -> None:
    exact = CrossEncoderScorer(model, "cpu").score(QUESTIONS[0], PASSAGES).logits
    half = CrossEncoderScorer(model, "cpu", torch.bfloat16).score(QUESTIONS[0], PASSAGES).logits
    assert half.dtype == np.float32
    assert 0 < np.abs(half - exact).max() < 0.1 * float(np.ptp(exact))


def test_once_the_graph_is_there_torch_is_never_imported(model: ResolvedModel, cache: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ingest.models.hub import Hub;"
        "from rerank.registry import resolve_reranker;"
        "from rerank.engines.choose import open_cross_encoder;"
        "s = open_cross_encoder(resolve_reranker(sys.argv[1], Hub(allow_downloads=False)), Path(sys.argv[2]));"
        "print(s.score('a snake', ['a boa', 'a crane']).logits.shape, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(model.folder), str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[4])
    assert done.stdout.strip() == "(2,) False"


def test_our_own_graph_runs_at_once_and_the_choice_is_made_beside_it(tmp_path: Path) -> None:
    model = resolve_reranker("bundled", Hub(allow_downloads=False))
    patience = os.getpriority(os.PRIO_PROCESS, 0)
    assert type(open_cross_encoder(model, tmp_path, wait=False)) is OnnxCrossEncoderScorer
    assert not list(tmp_path.iterdir())
    assert is_pending(model, tmp_path)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(choose_quietly, model, tmp_path).result()
    assert not is_pending(model, tmp_path)
    assert open_cross_encoder(model, tmp_path, wait=False).engine.startswith("onnx")
    assert os.getpriority(os.PRIO_PROCESS, 0) == patience


def test_a_choice_made_on_a_busy_machine_is_made_again_when_it_is_quiet(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, wanted = [1000.0], "onnx-fp32"

    def chosen() -> Engine:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(choose_quietly, model, tmp_path, wanted).result()
        found = engine_of(model, tmp_path, wanted)
        assert found is not None
        return found

    # Others have their turn: of two seconds on the clock, the thread works one.
    monkeypatch.setattr(tuning, "thread_time", lambda: 0.5 * time.perf_counter())
    for module in (choose, measure):
        monkeypatch.setattr(module, "time", lambda: clock[0])
    busy = chosen()
    assert busy.provisional
    assert busy.threads.share == pytest.approx(0.5, abs=0.1)
    assert "measured again" in str(busy)
    assert not is_due(model, tmp_path, wanted), "the machine would not be quieter yet"
    assert chosen() == busy, "it is used meanwhile"

    clock[0] += AGAIN_AFTER
    assert is_due(model, tmp_path, wanted)
    monkeypatch.setattr(tuning, "thread_time", lambda: 0.2 * time.perf_counter())
    busier = chosen()
    assert (busier.threads, busier.measured) == (busy.threads, clock[0]), "a worse measurement is not used"

    clock[0] += AGAIN_AFTER
    assert is_due(model, tmp_path, wanted)
    monkeypatch.setattr(tuning, "thread_time", time.perf_counter)
    quiet = chosen()
    assert (quiet.provisional, quiet.measured) == (False, clock[0])
    clock[0] += AGAIN_AFTER
    assert not is_due(model, tmp_path, wanted)
    assert [path.name for path in tmp_path.iterdir()] == [graph_folder(model, tmp_path, wanted).name], (
        "litter"
    )


def test_a_choice_is_made_again_where_the_machine_was_busy_while_graphs_were_compared(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "MIN_INT8_TAU", -1)
    monkeypatch.setattr(measure, "rates", lambda runs: tuning.Rates((1.0,) * len(runs), 0.4))
    monkeypatch.setattr(tuning, "thread_time", time.perf_counter)  # quiet again when threads are chosen
    open_cross_encoder(model, tmp_path)
    chosen = engine_of(model, tmp_path)
    assert chosen is not None
    assert chosen.why == "int8 is only 1.00 times as fast here"
    assert (chosen.provisional, chosen.threads.share) == (True, 0.4)
