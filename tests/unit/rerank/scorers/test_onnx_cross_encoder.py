"""The ONNX scorer and the export: order, batching, truncation, damage, and what int8 costs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ingest.errors import ModelDamagedError, ModelError
from ingest.models.spec import ModelKind, ModelSource, ModelSpec, ResolvedModel
from rerank.scorers.onnx_cross_encoder import MODEL_FILE, OnnxCrossEncoderScorer, open_session
from tests.parts.later import later
from tests.parts.training_parts import tiny_bi_encoder

torch = later("torch")
RowwiseInt8Embedding = later("rerank.engines.export", "RowwiseInt8Embedding")
export_int8, quantise = later("rerank.training.export", "export_int8", "quantise")
Job, write_card = later("rerank.training.finish", "Job", "write_card")
load_base, score_pairs = later("rerank.training.model", "load_base", "score_pairs")

PASSAGES = [
    "its colour is red",
    "it weighs nine kilograms at most nobody lifts it " * 3,
    "it costs forty coins a year",
    "mint is quiet",
    "the place is quiet and the water is deep " * 2,
]
LENGTH = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, exported: its card and its fp32 weights beside it."""
    root = tmp_path_factory.mktemp("onnx")
    base = tiny_bi_encoder(root / "tiny")
    model = load_base(base, LENGTH)
    torch.manual_seed(3)
    torch.nn.init.normal_(model[1].out.weight, std=0.5)
    output = root / "model"
    model.save_pretrained(str(output))
    export_int8(model, output / MODEL_FILE)
    job = Job(output, "tiny", "tiny", base, "tiny", LENGTH, "Apache-2.0", 0, 1, {})
    write_card(job, 0.0, 1.0, 0.0)
    return output


def resolved(folder: Path) -> ResolvedModel:
    spec = ModelSpec("tiny", ModelKind.RERANKER, "onnx-cross-encoder", "1", "Apache-2.0", LENGTH)
    return ResolvedModel(spec, ModelSource.FOLDER, folder)


@pytest.fixture(scope="module")
def scorer(folder: Path) -> OnnxCrossEncoderScorer:
    return OnnxCrossEncoderScorer(resolved(folder), threads=1)


def test_a_batch_scores_as_each_passage_alone_and_in_the_order_given(scorer: OnnxCrossEncoderScorer) -> None:
    together = scorer.score("what is the colour of mint", PASSAGES).logits
    alone = np.array([scorer.score("what is the colour of mint", [text]).logits[0] for text in PASSAGES])
    backwards = scorer.score("what is the colour of mint", PASSAGES[::-1]).logits[::-1]
    assert np.allclose(together, alone, atol=1e-4), "a score must not depend on the passages beside it"
    assert np.allclose(together, backwards, atol=1e-5)
    assert np.ptp(together) > 1.0
    assert together.dtype == np.float32


def test_int8_is_close_to_fp32(scorer: OnnxCrossEncoderScorer, folder: Path) -> None:
    with torch.no_grad():
        exact = score_pairs(
            load_base(folder, LENGTH), [("colour of mint", text) for text in PASSAGES], LENGTH
        ).numpy()
    assert np.allclose(scorer.score("colour of mint", PASSAGES).logits, exact, atol=0.3)


def test_only_the_passage_is_cut_and_the_cut_is_told(scorer: OnnxCrossEncoderScorer) -> None:
    long = " ".join(["its colour is red"] * 20)
    scores = scorer.score("colour of mint", ["its colour is red", long])
    assert scores.truncated.tolist() == [False, True]
    assert scores.tokens.tolist() == [10, LENGTH]
    further = scorer.score("colour of mint", [long + " and it costs nine coins"])
    assert further.logits[0] == pytest.approx(scorer.score("colour of mint", [long]).logits[0], abs=1e-5)


def test_a_query_as_long_as_the_model_leaves_room_for_the_passage(scorer: OnnxCrossEncoderScorer) -> None:
    query = " ".join(["what is the colour of mint"] * 20)
    logits = scorer.score(query, ["its colour is red " * 9, "it costs nine coins " * 9]).logits
    assert abs(float(logits[0] - logits[1])) > 1e-3


def test_no_passage_no_score_and_progress_adds_up(scorer: OnnxCrossEncoderScorer) -> None:
    heard: list[int] = []
    assert scorer.score("x", []).logits.shape == (0,)
    scorer.score("x", PASSAGES * 60, heard.append)
    assert sum(heard) == len(PASSAGES) * 60
    assert len(heard) > 2


@pytest.mark.parametrize("name", [MODEL_FILE, "tokenizer.json"])
def test_a_changed_byte_is_refused_before_the_file_is_used(folder: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    raw = bytearray((copy / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (copy / name).write_bytes(raw)
    with pytest.raises(ModelDamagedError, match=name):
        OnnxCrossEncoderScorer(resolved(copy))


def test_a_folder_without_its_card_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / MODEL_FILE, tmp_path)
    with pytest.raises(ModelDamagedError, match=r"secondlook\.json"):
        OnnxCrossEncoderScorer(resolved(tmp_path))


@pytest.mark.parametrize("threads", [1, 4])
def test_who_cancels_while_scoring_is_heard_and_the_next_question_answered(
    folder: Path, threads: int
) -> None:
    scorer = OnnxCrossEncoderScorer(resolved(folder), threads)

    def cancel(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scorer.score("colour of mint", PASSAGES * 200, cancel)
    wanted = OnnxCrossEncoderScorer(resolved(folder), threads=1).score("colour of mint", PASSAGES * 9).logits
    assert np.allclose(scorer.score("colour of mint", PASSAGES * 9).logits, wanted, atol=1e-5)


def test_what_onnx_runtime_cannot_load_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="cannot load"):
        open_session(tmp_path / "model.onnx")


@pytest.mark.parametrize(("shape", "inputs"), [((64, 5), 0), ((5, 64), 1), ((50, 3), 0)])
def test_weights_come_back_within_half_a_step_of_their_block(shape: tuple[int, int], inputs: int) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    values.flat[3] = 40.0  # an outlier must cost its own block alone
    rounded, scale = quantise(values, inputs)
    back = (rounded.astype(np.float32) * scale.astype(np.float32)).reshape(shape)
    assert rounded.dtype == np.int8
    assert np.abs(back - values).max() <= 0.51 * float(scale.max())
    if 64 in shape:
        assert np.median(np.abs(back - values)) < 0.02


def test_each_token_has_its_own_scale() -> None:
    weight = torch.tensor([[1e-3, -5e-4], [100.0, 1.0]])
    found = RowwiseInt8Embedding(weight)(torch.tensor([0, 1]))
    assert torch.allclose(found, weight, rtol=0.02, atol=0.5)
    assert torch.allclose(found[0], weight[0], rtol=0.02, atol=1e-5)
