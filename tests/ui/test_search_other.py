"""`secondlook search --reranker A --reranker B`, with models worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ingest.errors import ModelError
from rerank.opening import ModelChoice
from rerank.search import Searcher
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WordScorer
from ui.cli import main

QUESTION = "which snake kills without venom"


class Contrary(WordScorer):
    """Scores turned round."""

    def score(self, query: str, passages: Any, on_batch: Any = None) -> Any:
        scores = super().score(query, passages, on_batch)
        return replace(scores, logits=-scores.logits)


@pytest.fixture
def asked(desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """`asked(options…)` → (exit status, stdout, stderr) of a library with four passages."""
    words = QUESTION.split()
    desk.add(*(desk.write(f"{n}.txt", f"{' '.join(words[:n])} text {n}") for n in range(4)))

    def open_searcher(_: object, choice: ModelChoice, *__: object) -> Searcher:
        if choice.reranker == "missing":
            raise ModelError("The model missing cannot be had.")
        scorer = Contrary() if choice.reranker == "contrary" else WordScorer()
        model = scorer.model
        scorer.model = replace(model, spec=replace(model.spec, name=choice.reranker or model.name))
        return Searcher(Retriever(desk.library, desk.encoder), scorer)

    monkeypatch.setattr("ui.search.open_searcher", open_searcher)
    monkeypatch.setattr("ui.search_other.open_searcher", open_searcher)

    def ask(*options: str) -> tuple[int, str, str]:
        status = main(["search", QUESTION, "--library", str(desk.library.folder), *options])
        return status, *capsys.readouterr()

    return ask


def test_the_json_holds_both_orders_and_how_they_agree(asked: Any) -> None:
    status, out, _ = asked("--json", "--reranker", "usual", "--reranker", "contrary")
    found = json.loads(out)
    assert status == 0
    assert found["models"]["reranker"] == "usual"
    other = found["other"]
    assert other["reranker"] == "contrary"
    assert [row["document"] for row in other["after"]] == [row["document"] for row in found["after"]][::-1]
    assert other["agreement"] == {
        "places": 4, "shared": 4, "same_best": False, "kendall_tau": pytest.approx(-1), "compared": 4,
    }  # fmt: skip
    assert [row["before_rank"] for row in other["after"]] == [
        next(b["rank"] for b in found["before"] if b["document"] == row["document"]) for row in other["after"]
    ]


def test_three_columns_of_text_end_with_the_agreement(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    _, out, _ = asked("--reranker", "usual", "--reranker", "contrary")
    first = out.splitlines()[0]
    assert [part.strip() for part in first.split("│")] == [
        "FIRST LOOK  bi-encoder", "SECOND LOOK A  usual, reranked", "SECOND LOOK B  contrary, reranked",
    ]  # fmt: skip
    assert "A and B share 4 of their first 4 passages" in out
    assert max(map(len, out.splitlines()[:-2])) <= 150


def test_one_reranker_says_nothing_of_another(asked: Any) -> None:
    _, out, _ = asked("--json", "--reranker", "usual")
    assert "other" not in json.loads(out)


def test_a_b_that_cannot_be_had_leaves_a_with_a_sentence(asked: Any) -> None:
    status, out, err = asked("--json", "--reranker", "usual", "--reranker", "missing")
    found = json.loads(out)
    assert status == 0
    assert (found["other"]["after"], found["other"]["agreement"]) == ([], None)
    assert len(found["after"]) == 4
    assert "B, missing: The model missing cannot be had." in found["notices"]
    assert "B, missing: The model missing cannot be had." in err


@pytest.mark.parametrize(
    ("names", "words"), [(("a", "a"), "named twice"), (("a", "b", "c"), "two are the most")]
)
def test_a_call_that_cannot_be_meant_is_refused(asked: Any, names: tuple[str, ...], words: str) -> None:
    status, out, err = asked(*(part for name in names for part in ("--reranker", name)))
    assert (status, out) == (2, "")
    assert words in err
