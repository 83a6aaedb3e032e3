"""`secondlook search --reranker A --reranker B`, with models worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ingest.errors import ModelError
from rerank.factory import ModelChoice
from rerank.search import Searcher
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WordScorer
from ui.command_line.main import main

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

    def open_searcher(_: object, choice: ModelChoice, **__: object) -> Searcher:
        if (choice.reranker or "").startswith("missing"):
            raise ModelError(f"The model {choice.reranker} cannot be had.")
        scorer = Contrary() if choice.reranker == "contrary" else WordScorer()
        model = scorer.model
        scorer.model = replace(model, spec=replace(model.spec, name=choice.reranker or model.name))
        return Searcher(Retriever(desk.library, desk.encoder), scorer)

    monkeypatch.setattr("ui.command_line.search_rerankers.resolve_models", lambda choice, *_: choice)
    monkeypatch.setattr("ui.command_line.search_rerankers.open_searcher", open_searcher)

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
    assert [row["path"] for row in other["after"]] == [row["path"] for row in found["after"]][::-1]
    assert other["agreement"] == {
        "places": 4, "shared": 4, "same_best": False, "kendall_tau": pytest.approx(-1), "compared": 4,
    }  # fmt: skip
    assert [row["before_rank"] for row in other["after"]] == [
        next(b["rank"] for b in found["before"] if b["path"] == row["path"]) for row in other["after"]
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


@pytest.mark.parametrize("fused", [(), ("--fuse-rerankers", "rrf")], ids=["side by side", "fused"])
@pytest.mark.parametrize(
    ("options", "count"), [((), 4), (("--candidates", "2"), 2), (("--candidates", "2", "--top-k", "3"), 2)]
)
def test_as_many_candidates_are_reranked_as_were_asked_for(
    asked: Any, fused: tuple[str, ...], options: tuple[str, ...], count: int
) -> None:
    found = json.loads(asked("--json", "--reranker", "usual", "--reranker", "contrary", *fused, *options)[1])
    assert (found["candidates"], len(found["before"]), len(found["after"])) == (count, count, count)


def test_that_a_threshold_is_held_against_a_alone_is_said(asked: Any) -> None:
    said = "The threshold is held against A’s numbers alone; B’s places are all shown."
    found = json.loads(asked("--json", *TWO, "--threshold", "0.99")[1])
    assert (len(found["after"]), len(found["other"]["after"])) == (0, 4)
    assert any(said in notice["text"] for notice in found["notices"])
    assert said not in asked("--reranker", "usual", "--threshold", "0.99")[2]


def test_one_reranker_says_nothing_of_another(asked: Any) -> None:
    _, out, _ = asked("--json", "--reranker", "usual")
    assert "other" not in json.loads(out)


def test_a_b_that_cannot_be_had_leaves_a_with_a_sentence(asked: Any) -> None:
    status, out, err = asked("--json", "--reranker", "usual", "--reranker", "missing")
    found = json.loads(out)
    assert status == 0
    assert (found["other"]["after"], found["other"]["agreement"]) == ([], None)
    assert len(found["after"]) == 4
    assert found["other"]["notices"] == [{"kind": "unavailable", "text": "The model missing cannot be had."}]
    assert "B, missing: The model missing cannot be had." in err


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("a", "a"), "named twice"),
        (("bundled", "second-look-reranker"), "second-look-reranker was named twice"),
        (("cohere", "rerank-v3.5", "--fuse-rerankers", "rrf"), "cohere:rerank-v3.5 was named twice"),
        (("a", "b", "c"), "two are the most"),
    ],
)
def test_a_call_that_cannot_be_meant_is_refused(asked: Any, names: tuple[str, ...], words: str) -> None:
    rerankers = names[: names.index("--fuse-rerankers")] if "--fuse-rerankers" in names else names
    named = (part for name in rerankers for part in ("--reranker", name))
    status, out, err = asked(*named, *names[len(rerankers) :])
    assert (status, out) == (2, "")
    assert words in err


TWO = ("--reranker", "usual", "--reranker", "contrary")


def test_fused_json_holds_one_order_and_what_each_reranker_gave(asked: Any) -> None:
    status, out, err = asked("--json", *TWO, "--fuse-rerankers", "weighted:0.2,0.7")
    found = json.loads(out)
    assert status == 0
    assert "other" not in found
    assert (found["fusion"], found["models"]["reranker"]) == ("weighted:0.2,0.7", "usual and contrary")
    assert found["method"] is None, "a fused score is no relevance"
    assert [(row["reranker"], row["share"], row["scored"], row["failure"]) for row in found["rerankers"]] == [
        ("usual", pytest.approx(0.2), 4, None), ("contrary", pytest.approx(0.7), 4, None),
    ]  # fmt: skip
    documents = [row["path"] for row in found["after"]]
    contrary = json.loads(asked("--json", "--reranker", "contrary")[1])["after"]
    assert documents == [row["path"] for row in contrary], "the one with most of the say"
    for row in found["after"]:
        assert (row["relevance"], row["logit"]) == (None, None)
        assert row["rerankers"][0]["logit"] == -row["rerankers"][1]["logit"]
        assert row["rerankers"][0]["rank"] + row["rerankers"][1]["rank"] == 5
    assert "20% usual, 70% contrary and 10% the first look (by vectors)" in err


def test_fused_text_is_one_column_with_a_line_for_each_reranker(asked: Any) -> None:
    _, out, err = asked(*TWO, "--fuse-rerankers", "rrf")
    first = out.splitlines()[0]
    assert [part.strip() for part in first.split("│")] == [
        "FIRST LOOK  bi-encoder",
        "SECOND LOOK  usual and contrary, fused",
    ]
    assert out.count("usual: logit") == out.count("contrary: logit") == 4
    assert "A fused score is not read as relevance." in err


def test_three_rerankers_are_fused_as_well(asked: Any) -> None:
    status, out, _ = asked("--json", *TWO, "--reranker", "third", "--fuse-rerankers", "rrf")
    assert status == 0
    assert [len(row["rerankers"]) for row in json.loads(out)["after"]] == [3] * 4


@pytest.mark.parametrize("missing", ["first", "second"])
def test_a_reranker_that_cannot_be_had_is_left_out_of_the_fusion(asked: Any, missing: str) -> None:
    names = ("missing", "usual") if missing == "first" else ("usual", "missing")
    options = (part for name in names for part in ("--reranker", name))
    status, out, err = asked("--json", *options, "--fuse-rerankers", "rrf")
    found = json.loads(out)
    assert status == 0
    assert [row["reranker"] for row in found["after"][0]["rerankers"]] == ["usual"]
    assert {row["reranker"]: row["failure"] for row in found["rerankers"]} == {
        "usual": None, "missing": "The model missing cannot be had.",
    }  # fmt: skip
    assert "missing is not in the fused order. The model missing cannot be had." in err


def test_where_no_reranker_can_be_had_the_search_fails(asked: Any) -> None:
    status, out, err = asked("--reranker", "missing", "--reranker", "missing-too", "--fuse-rerankers", "rrf")
    assert (status, out) == (1, "")
    assert err == "The model missing cannot be had.\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--reranker", "usual", "--fuse-rerankers", "rrf"), "two or more rerankers to fuse"),
        (("--fuse-rerankers", "rrf"), "two or more rerankers to fuse"),
        ((*TWO, "--reranker", "usual", "--fuse-rerankers", "rrf"), "usual was named twice"),
        ((*TWO, "--fuse-rerankers", "weighted:0.3"), "holds 1 of the rerankers' shares, and 2 are fused"),
        ((*TWO, "--fuse-rerankers", "rrf", "--threshold", "0.5"), "Leave out --fuse-rerankers or --thresh"),
        ((*TWO, "--fuse-rerankers", "rrf", "--method", "fitted"), "fitted to one reranker"),
        ((*TWO, "--reranker", "third"), "--fuse-rerankers rrf fuses them all"),
    ],
)
def test_a_fusion_that_cannot_be_meant_is_refused(asked: Any, options: tuple[str, ...], words: str) -> None:
    status, out, err = asked(*options)
    assert (status, out) == (2, "")
    assert words in err


def test_both_fusions_at_once_are_refused(asked: Any) -> None:
    with pytest.raises(SystemExit):
        asked(*TWO, "--fuse-rerankers", "rrf", "--fuse", "rrf")


def test_the_settings_say_how_several_are_fused_and_the_command_line_has_the_last_word(
    asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDLOOK_FUSE_RERANKERS", "rrf")
    monkeypatch.setenv("SECONDLOOK_FUSE", "weighted:0.3")
    several, one, aside = (
        json.loads(asked("--json", *options)[1])
        for options in (TWO, ("--reranker", "usual"), (*TWO, "--fuse", "rrf"))
    )
    assert (several["fusion"], len(several["rerankers"])) == ("rrf", 2)
    assert (one["fusion"], one["rerankers"]) == ("weighted:0.3", [])
    assert (aside["fusion"], aside["rerankers"], aside["other"]["reranker"]) == ("rrf", [], "contrary")
