"""Scorers against slow references, and models that are none. What all share is in
tests/integration/rerank/scorers/test_scorer_contract.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.errors import ModelError
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.models.spec import ModelSource, ResolvedModel
from ingest.notices import Help, Remedy
from rerank.factory import open_scorer
from rerank.registry import BUNDLED_FOLDER, resolve_reranker
from rerank.scorers.late_interaction import late_interaction_of
from tests.parts.later import later
from tests.parts.passages import PASSAGES, QUERY
from tests.parts.tiny_models import (
    make_colbert,
    make_cross_encoder,
    make_electra,
    make_encoder,
    make_monot5,
    make_xlm_roberta,
)

torch = later("torch")
load_file, save_file = later("safetensors.torch", "load_file", "save_file")
CrossEncoderScorer = later("rerank.scorers.cross_encoder", "CrossEncoderScorer")

OFFLINE = Hub(allow_downloads=False)


@pytest.mark.parametrize("make", [make_cross_encoder, make_xlm_roberta, make_electra])
@pytest.mark.parametrize("engine", ["torch", "onnx-fp32"])
def test_the_cross_encoder_gives_the_models_own_logits(
    make: Callable[[Path], Path], engine: str, tmp_path: Path
) -> None:
    """Against a slow reference: transformers alone, one pair at a time."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = make(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    expected = []
    passages = [
        passage for passage in PASSAGES if passage
    ]  # of an empty one, transformers makes no pair at all
    for passage in passages:
        pair = tokenizer(QUERY, passage, truncation=True, max_length=128, return_tensors="pt")
        with torch.no_grad():
            expected.append(float(model(**pair).logits[0, 0]))
    scorer = open_scorer(resolve_reranker(str(folder), OFFLINE), engine)
    assert scorer.engine.startswith("onnx") == (engine != "torch")
    scores = scorer.score(QUERY, passages)
    assert scores.logits == pytest.approx(np.array(expected), abs=1e-4)
    assert scores.truncated.tolist()[:3] == [False, False, True]


def test_a_batch_of_long_pairs_has_no_more_tokens_than_one_of_usual_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_xlm_roberta(tmp_path / "model", places=8194)
    model = resolve_reranker(str(folder), OFFLINE)
    assert model.spec.max_length == 8192
    scorer = CrossEncoderScorer(model, "cpu")
    sizes: list[tuple[int, int]] = []
    monkeypatch.setattr(
        scorer, "_predict",
        lambda pairs: sizes.append((len(pairs), max(len(text) for _, text in pairs))) or np.zeros(len(pairs)),
    )  # fmt: skip
    heard: list[int] = []
    scorer.score("snake", ["snake " * 9000] * 3 + ["snake " * 1000] * 20 + ["snake"] * 40, heard.append)
    assert [count for count, _ in sizes] == [1, 1, 1, 8, 8, 8, 16, 16, 4]
    assert sum(heard) == 63


@pytest.mark.parametrize("engine", ["torch", "onnx-fp32"])
def test_long_pairs_of_an_xlm_roberta_stand_at_the_places_that_it_learnt(engine: str, tmp_path: Path) -> None:
    """Against a slow reference that numbers places itself: XLM-R's begin behind its padding token's number.

    As bge-reranker-v2-m3 reads them, several lengths in one batch, one of them cut: only fewer than its 8,192 tokens.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = make_xlm_roberta(tmp_path / "model", places=2050)
    scorer = open_scorer(resolve_reranker(str(folder), OFFLINE), engine)
    assert scorer.model.spec.max_length == 2048
    assert scorer.engine.startswith("onnx") == (engine != "torch")
    passages = ["boa river venom " * times for times in (1, 200, 230, 600, 682, 3000)]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()

    def reference(passage: str, first: int) -> float:
        ids = tokenizer("snake", passage, truncation="only_second", max_length=2048, return_tensors="pt")
        count = ids["input_ids"].shape[1]
        places = torch.arange(first, first + count)[None]
        with torch.no_grad():
            states = model.roberta(input_ids=ids["input_ids"], position_ids=places).last_hidden_state
            return float(model.classifier(states)[0, 0])

    begin = model.config.pad_token_id + 1
    expected = np.array([reference(passage, begin) for passage in passages])
    shifted = np.array([reference(passage, 0) for passage in passages])
    assert np.abs(expected - shifted).max() > 0.01, "places make no difference: the test shows nothing"
    scores = scorer.score("snake", passages)
    assert scores.logits == pytest.approx(expected, abs=1e-4)
    assert scores.tokens.tolist()[3:] == [1805, 2048, 2048]
    assert scores.truncated.tolist() == [False] * 4 + [True] * 2


def test_late_interaction_is_maxsim_by_the_definition() -> None:
    """Against the formula, token by token (Khattab & Zaharia 2020), averaged over the query's tokens."""
    from sentence_transformers import SentenceTransformer

    model = resolve_encoder("bundled", OFFLINE)
    encoder = SentenceTransformer(str(model.folder))
    scores = open_scorer(late_interaction_of(model)).score(QUERY, PASSAGES).logits
    query = encoder.encode(QUERY, output_value="token_embeddings")
    for passage, score in zip(PASSAGES, scores, strict=True):  # each alone, so that nothing is padded
        told = encoder.encode(passage, output_value="token_embeddings")
        best = []
        for asked in query:
            best.append(max(float(torch.cosine_similarity(asked, token, dim=0)) for token in told))
        assert score == pytest.approx(sum(best) / len(best), abs=1e-4), passage


def test_a_model_with_the_wrong_head_is_refused_by_name(two_label_model: Path) -> None:
    with pytest.raises(ModelError, match=r"gives 2 numbers a pair"):
        open_scorer(resolve_reranker(str(two_label_model), OFFLINE))


@pytest.mark.parametrize("make", [make_cross_encoder, make_monot5, make_colbert])
def test_weights_that_are_cut_off_are_refused_by_name(make: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = make(tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"cannot be (loaded|read)"):
        open_scorer(resolve_reranker(str(folder), OFFLINE)).score(QUERY, PASSAGES)


def test_a_folder_that_holds_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        resolve_reranker(str(tmp_path), OFFLINE)
    unknown = replace(resolve_reranker("maxsim", OFFLINE).spec, architecture="crystal ball")
    with pytest.raises(ModelError, match="No reranker is known"):
        open_scorer(ResolvedModel(unknown, ModelSource.FOLDER, tmp_path))


def test_the_bundled_reranker_is_in_the_repository_or_its_absence_is_said() -> None:
    model = resolve_reranker("bundled", OFFLINE)
    assert model.source is ModelSource.BUNDLED
    if not (BUNDLED_FOLDER / "secondlook.json").is_file():
        assert any("second-look-reranker" in attempt for attempt in model.tried)


def without(folder: Path, ending: str) -> Path:
    """A model's folder with one of its tensors taken out of the file."""
    tensors = load_file(folder / "model.safetensors")
    (name,) = [name for name in tensors if name.endswith(ending)]
    del tensors[name]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_an_encoder_is_no_reranker(engine: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its head would be made by chance, and the order with it."""
    folder = make_encoder(tmp_path / "encoder", "mean", dense=None)
    capfd.readouterr()
    with pytest.raises(ModelError, match=r"holds no weights for classifier.bias and 1 more, ") as caught:
        open_scorer(resolve_reranker(str(folder), OFFLINE), engine)
    assert caught.value.help == Help(Remedy.CHOOSE, subject="encoder")
    assert "LOAD REPORT" not in capfd.readouterr().err, "what is wrong is said in a sentence of ours"


@pytest.mark.parametrize(
    ("make", "ending"),
    [
        (make_cross_encoder, "classifier.weight"),
        (make_electra, "classifier.dense.weight"),
        (make_xlm_roberta, "classifier.out_proj.bias"),
        (make_colbert, "layer.1.output.dense.weight"),
        (make_monot5, "decoder.block.1.layer.0.SelfAttention.q.weight"),
    ],
)
def test_weights_that_are_not_there_are_not_made_by_chance(
    make: Callable[[Path], Path], ending: str, tmp_path: Path
) -> None:
    folder = without(make(tmp_path / "model"), ending)
    with pytest.raises(ModelError, match=f"holds no weights for .*{ending}"):
        open_scorer(resolve_reranker(str(folder), OFFLINE), wait=False)
