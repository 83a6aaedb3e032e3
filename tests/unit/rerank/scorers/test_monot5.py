"""monoT5 against a slow reference written from the paper: one prompt at a time, generated and read off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ingest.errors import ModelError
from ingest.models.hub import Hub
from rerank.factory import open_scorer
from rerank.order import relevance
from rerank.registry import resolve_reranker
from rerank.scorers.windowed import windowed
from tests.parts.later import later
from tests.parts.tiny_models import make_monot5

torch = later("torch")
MonoT5Scorer = later("rerank.scorers.monot5", "MonoT5Scorer")

OFFLINE = Hub(allow_downloads=False)
QUERY = "which snake has venom"
PASSAGES = ["the boa, a snake", "Python code", "", "river  bank\nboa " * 9, "True or false: (x)"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_monot5(tmp_path_factory.mktemp("t5") / "tiny-monot5")


@pytest.fixture(scope="module")
def scorer(folder: Path) -> MonoT5Scorer:
    return MonoT5Scorer(resolve_reranker(str(folder), OFFLINE))


def paper(folder: Path, query: str, document: str) -> float:
    """Probability of “true”: softmax over the logits of “true” and “false” at the first step of decoding."""
    from transformers import AutoTokenizer, T5ForConditionalGeneration

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = T5ForConditionalGeneration.from_pretrained(folder).eval()
    prompt = tokenizer(f"Query: {query} Document: {document} Relevant:", return_tensors="pt")
    answer = model.generate(
        input_ids=prompt["input_ids"], attention_mask=prompt["attention_mask"], max_new_tokens=1, do_sample=False,
        return_dict_in_generate=True, output_logits=True,
    )  # fmt: skip
    vocabulary = tokenizer.get_vocab()
    pair = answer.logits[0][0, [vocabulary["▁true"], vocabulary["▁false"]]]
    return float(torch.log_softmax(pair, dim=0)[0].exp())


def test_relevance_is_the_papers_probability_of_true(folder: Path, scorer: MonoT5Scorer) -> None:
    found = relevance(scorer.score(QUERY, PASSAGES).logits, scorer.model.spec)
    expected = [paper(folder, QUERY, passage) for passage in PASSAGES]
    assert found == pytest.approx(np.array(expected), abs=1e-5)
    assert np.ptp(expected) > 0.01, "the model answers everything alike: the test shows nothing"


def test_a_long_document_is_cut_and_the_prompt_around_it_stays(folder: Path, scorer: MonoT5Scorer) -> None:
    words = (["boa"] * 7 + ["river"]) * 80  # one token each, so that the reference can be cut by words
    scores = scorer.score(QUERY, [" ".join(words), "boa"])
    whole = " ".join(words[: scorer.room(QUERY)])
    assert scores.truncated.tolist() == [True, False]
    assert scores.tokens.tolist() == [512, 512 - scorer.room(QUERY) + 1]
    found = relevance(scores.logits, scorer.model.spec)
    assert found is not None
    assert found[0] == pytest.approx(paper(folder, QUERY, whole), abs=1e-5)


def test_a_query_as_long_as_the_model_leaves_half_for_the_document(scorer: MonoT5Scorer) -> None:
    endless = "snake venom " * 400
    assert scorer.room(endless) >= 256
    logits = scorer.score(endless, ["boa " * 90, "river " * 90]).logits
    assert abs(float(logits[0] - logits[1])) > 1e-3


def test_a_t5_without_the_two_words_is_refused(folder: Path, tmp_path: Path) -> None:
    text = (folder / "tokenizer.json").read_text(encoding="utf-8").replace("▁true", "▁yes")
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "tokenizer.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match="has no “▁true”"):
        open_scorer(resolve_reranker(str(tmp_path), OFFLINE))


def test_a_window_is_as_long_as_the_prompt_leaves_room_for(scorer: MonoT5Scorer) -> None:
    windows = windowed(scorer).score(QUERY, ["boa river. " * 600])
    assert windows.windows != (None,)
    assert windows.tokens.tolist()[0] > 500
    assert windows.truncated.tolist() == [False], "the window's end was cut again"
