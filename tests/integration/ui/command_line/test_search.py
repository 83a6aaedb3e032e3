"""`secondlook search`: scores read as was asked for, in process, with models worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rerank.calibration.calibrate import calibrate
from rerank.calibration.labels import Labelled
from rerank.calibration.methods import Method
from rerank.calibration.records import LibraryState
from rerank.calibration.store import FILE, save
from rerank.scorers.score_store import ScoreStore
from rerank.search import Searcher
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WORD_SCORER, WordScorer
from ui.command_line.main import main

QUESTION = "which snake kills without venom"


@pytest.fixture
def asked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`asked(options…)` → (exit status, JSON or None, stderr) of a library with six passages."""
    words = QUESTION.split()
    desk.add(*(desk.write(f"{n}.txt", f"{' '.join(words[:n])} text {n}") for n in range(6)))
    searcher = Searcher(Retriever(desk.library, desk.encoder), WordScorer())
    monkeypatch.setattr("ui.command_line.search.searcher_for", lambda *_: searcher)

    def ask(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, Any, str]:
        status = main(["search", QUESTION, "--library", str(desk.library.folder), "--json", *options])
        out, err = capsys.readouterr()
        return status, json.loads(out) if out else None, err

    return ask


def fit(desk: Desk, revision: str = WORD_SCORER.revision, **changes: Any) -> None:
    """A Platt calibration from labels that are relevant from a logit of 3 on, all but two of them."""
    rows = [
        Labelled(f"q{n}", float(logit), (logit >= 3) != (n == 5 and logit in (2, 3)))
        for n in range(12)
        for logit in range(-1, 5)
    ]
    found = calibrate(
        rows, replace(WORD_SCORER, revision=revision), LibraryState.of(desk.library), Method.PLATT
    )
    save(desk.library.folder / FILE, replace(found, **changes))


def test_a_fitted_calibration_gives_probabilities_and_keeps_the_order(
    desk: Desk, asked: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    _, plain, _ = asked(capsys)
    assert plain["method"] == "sigmoid"
    assert [row["probability"] for row in plain["after"]] == [None] * 6
    fit(desk)
    status, found, _ = asked(capsys)
    assert (status, found["method"]) == (0, "platt")
    probabilities = [row["probability"] for row in found["after"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert probabilities[1] > 0.7
    assert probabilities[2] < 0.4  # a logit of 2, which the model itself reads as .88
    assert [row["logit"] for row in found["after"]] == [row["logit"] for row in plain["after"]]
    assert [row["relevance"] for row in found["after"]] == [row["relevance"] for row in plain["after"]]


def test_a_threshold_hides_what_is_read_lower(
    desk: Desk, asked: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(desk)
    _, found, err = asked(capsys, "--threshold", "0.5")
    assert len(found["after"]) == 2
    assert len(found["before"]) == 6
    assert "4 of the first 6 of the second order are below 0.5 and not shown." in err
    assert err.count("not shown") == 1
    _, found, _ = asked(capsys, "--threshold", "0.5", "--method", "sigmoid")
    assert [row["relevance"] >= 0.5 for row in found["after"]] == [True] * 5


def test_relative_numbers_are_no_probabilities_and_have_no_threshold(
    asked: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found, _ = asked(capsys, "--method", "min-max")
    rows = found["after"]
    assert (rows[0]["relative"], rows[-1]["relative"]) == (1.0, 0.0)
    assert [row["probability"] for row in rows] == [None] * 6
    status, _, err = asked(capsys, "--method", "softmax", "--threshold", "0.5")
    assert status == 2
    assert "--threshold says nothing with --method softmax" in err


def test_a_question_that_nothing_answers_gets_no_second_order_unless_asked(
    desk: Desk, asked: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(desk)
    _, answered, _ = asked(capsys)
    assert (answered["answers_none"], len(answered["after"])) == (None, 6)
    fit(desk, answers_from=1.0)
    status, found, err = asked(capsys)
    assert (status, found["after"], len(found["before"])) == (0, [], 6)
    assert found["answers_none"].startswith("Nothing here answers this: the best passage is relevant")
    assert found["answers_none"] in err
    assert "Its 6 passages are not shown; --show-anyway shows them." in err
    _, anyway, err = asked(capsys, "--show-anyway")
    assert anyway["after"] == answered["after"]
    assert anyway["answers_none"] == found["answers_none"]
    assert "not shown" not in err
    _, sigmoid, _ = asked(capsys, "--method", "sigmoid")
    assert (sigmoid["answers_none"], len(sigmoid["after"])) == (None, 6), "only a fitted reading can say so"


def test_people_are_told_in_the_second_column_that_nothing_answers(
    desk: Desk, asked: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(desk, answers_from=1.0)
    call = ["search", QUESTION, "--library", str(desk.library.folder)]
    assert main(call) == 0
    columns = [line.partition("│") for line in capsys.readouterr().out.splitlines()]
    second = " ".join(" ".join(right for _, _, right in columns).split())
    assert second.startswith(
        "SECOND LOOK reranked Nothing here answers this: the best passage is relevant with"
    )
    assert "logit" not in second
    assert main([*call, "--show-anyway"]) == 0
    assert capsys.readouterr().out.count("logit") == 6


def test_a_temperature_evens_the_shares_of_softmax_out(
    asked: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def shares(*options: str) -> list[float]:
        _, found, _ = asked(capsys, "--method", "softmax", *options)
        return [row["relative"] for row in found["after"]]

    _, plain, _ = asked(capsys)
    powers = np.exp([row["logit"] / 4 for row in plain["after"]])
    assert shares("--temperature", "4") == pytest.approx(powers / powers.sum())
    assert shares("--temperature", "1") == shares()
    assert shares("--temperature", "4")[0] < shares()[0]
    status, _, err = asked(capsys, "--temperature", "4")
    assert (status, "--temperature is of --method softmax alone" in err) == (2, True)
    with pytest.raises(SystemExit, match="2"):
        asked(capsys, "--method", "softmax", "--temperature", "0")


def test_words_find_the_candidates_and_a_fusion_makes_the_second_order(
    asked: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    _, plain, _ = asked(capsys)
    assert (plain["candidates_from"], plain["fusion"]) == ("vectors", None)
    assert [row["vector_rank"] for row in plain["before"]] == [1, 2, 3, 4, 5, 6]
    status, found, err = asked(capsys, "--candidates-from", "words", "--fuse", "rrf")
    assert (status, found["candidates_from"], found["fusion"]) == (0, "words", "rrf")
    # Passage n holds the first n words of the question; “which” and “without” do not tell, and 0 and 1 hold no other.
    assert [row["title"] for row in found["before"]] == ["5", "4", "3", "2"]
    assert [row["word_rank"] for row in found["before"]] == [1, 2, 3, 4]
    scores = [row["bm25"] for row in found["before"]]
    assert scores == sorted(scores, reverse=True)
    # Both looks agree, so that the sums of reciprocal ranks are known.
    assert [row["second_score"] for row in found["after"]] == pytest.approx(
        [2 / (60 + n) for n in (1, 2, 3, 4)]
    )
    assert [row["logit"] for row in found["after"]] == [4, 3, 2, 1]
    assert {row["relevance"] for row in found["after"]} == {None}
    assert "The second order is a mix: reciprocal rank fusion, of the first look (by words, BM25)" in err
    status, _, err = asked(capsys, "--fuse", "rrf", "--threshold", "0.5")
    assert (status, "a fused score is not" in err) == (2, True)


def test_a_void_calibration_says_why_and_is_not_used(
    desk: Desk, asked: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(desk, revision="older")
    status, found, err = asked(capsys)
    assert (status, found["method"]) == (0, "sigmoid")
    assert (
        "The calibration of this library is void: word-scorer is now of revision 1, and was of older" in err
    )
    assert found["notices"][-1]["text"] in err
    status, _, err = asked(capsys, "--method", "fitted")
    assert status == 2
    assert "is void" in err


def test_fitted_without_any_calibration_says_how_to_get_one(
    asked: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = asked(capsys, "--method", "fitted")
    assert status == 2
    assert "secondlook calibrate --library DIR" in err


def test_no_cache_runs_the_model_again_and_keeps_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.add(*(desk.write(f"{n}.txt", f"a snake, number {n}") for n in range(6)))
    scorer, store = WordScorer(), ScoreStore(None)
    monkeypatch.setattr("rerank.factory.open_encoder", lambda *_, **__: desk.encoder)
    monkeypatch.setattr("rerank.factory.encoder_for", lambda *_: desk.encoder.model)
    monkeypatch.setattr("rerank.factory.resolve_reranker", lambda *_: scorer.model)
    monkeypatch.setattr("rerank.factory.open_scorer", lambda *_: scorer)
    monkeypatch.setattr("rerank.factory.user_store", lambda: store)
    question = ["search", "which snake has number 3", "--library", str(desk.library.folder), "--json"]
    asked = []
    for options in (["--no-cache"], [], [], ["--no-cache"]):
        main([*question, *options])
        asked.append(len(scorer.calls))
    assert asked == [1, 2, 2, 3]
