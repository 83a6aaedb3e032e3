"""Asking: the first look at once, the second after it, and models run only when they must."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from ingest.library.library import Library
from ingest.models.encoders import BUNDLED_ENCODER
from ingest.models.spec import ModelSource
from rerank.search import Searcher
from tests.integration.ui.page.conftest import APP, TEXTS, Screen
from tests.parts.stand_ins import MoodyScorer
from ui.page.search import answer
from ui.presentation.payload import Payload

QUESTION = "which snake kills without venom?"


@pytest.fixture
def filled(screen: Screen, fill) -> Screen:
    fill(TEXTS, screen.library, screen.encoder)
    return screen


def test_search_shows_both_orders_and_says_what_reranking_did(filled: Screen) -> None:
    filled.open().ask(QUESTION)
    before, after = filled.columns()
    assert before[0] == "vipers"
    assert after[0] == "python"
    assert sorted(before) == sorted(after) == ["banks", "cranes", "python", "vipers"]
    assert filled.payload()["state"] == "done"
    assert "The best passage stood at place 2 before reranking." in filled.texts()
    assert "word-encoder (folder) → word-scorer (folder)" in filled.texts()


def test_candidates_by_words_and_a_fused_order_are_asked_for_and_named(filled: Screen) -> None:
    filled.open().ask("the crane and venom")
    assert filled.payload()["before"]["heading"] == "First look — bi-encoder"
    filled.app.selectbox(key="candidates-from").select("words").run()
    data = filled.settle().payload()
    assert data["before"]["heading"] == "First look — words (BM25)"
    assert [score["label"] for score in data["before"]["cards"][0]["scores"]] == ["BM25", "cosine"]
    filled.app.selectbox(key="candidates-from").select("both").run()
    filled.settle().app.selectbox(key="second-order").select("rrf").run()
    data = filled.settle().payload()
    assert data["before"]["heading"] == "First look — vectors and words"
    labels = [score["label"] for score in data["after"]["cards"][0]["scores"]]
    assert labels == ["logit", "fused score"]
    assert "The second order is a mix: reciprocal rank fusion" in filled.texts()


def test_why_these_models_says_what_was_tried(filled: Screen) -> None:
    tried = ("a-larger-encoder: not in the cache",)
    filled.encoder.model = replace(filled.encoder.model, source=ModelSource.BUNDLED, tried=tried)
    filled.open()
    assert "a-larger-encoder: not in the cache." in filled.texts()
    assert "The library was made with" not in filled.texts()


def test_a_library_of_the_bundled_encoder_says_how_to_change_over(
    screen: Screen, fill: Callable[..., Library]
) -> None:
    model = screen.encoder.model
    screen.encoder.model = replace(
        model, spec=replace(model.spec, name=BUNDLED_ENCODER), source=ModelSource.BUNDLED
    )
    fill(TEXTS, screen.library, screen.encoder)
    screen.open()
    assert f"The library was made with {BUNDLED_ENCODER}, and only that finds in it." in screen.texts()


def test_address_with_a_question_searches_at_once(filled: Screen) -> None:
    filled.open(q=QUESTION)
    assert filled.columns()[1][0] == "python"
    assert filled.app.text_input(key="question").value == QUESTION


def test_a_question_that_is_asked_goes_into_the_address(filled: Screen) -> None:
    filled.open().ask("a & b = snake?")
    assert filled.app.query_params["q"] == "a & b = snake?"


def test_back_to_an_earlier_address_asks_the_earlier_question(filled: Screen) -> None:
    filled.open(q="snake").ask("river bank")
    assert filled.payload()["query"] == "river bank"
    filled.open(q="snake")
    assert filled.payload()["query"] == "snake"


def test_first_look_is_there_while_the_second_works(filled: Screen) -> None:
    filled.scorer.gate.clear()
    filled.app.query_params["q"] = QUESTION
    filled.app.run()
    data = filled.payload()
    assert data["state"] in ("waiting", "scoring")
    assert len(data["before"]["cards"]) == 4
    assert all(card["scores"] == [] for card in data["after"]["cards"])
    filled.app.run()
    assert "1 of 4 passages read." in filled.texts()
    filled.scorer.gate.set()
    assert filled.settle().payload()["state"] == "done"


MANY = {f"snake-{n:02d}.txt": f"A snake, number {n}." for n in range(24)} | {
    "python.txt": TEXTS["python.txt"]
}


def test_the_second_column_fills_while_the_rest_is_scored(screen: Screen, fill) -> None:
    fill(MANY, screen.library, screen.encoder)
    screen.scorer.gate.clear()
    screen.scorer.free = 1
    screen.app.query_params["q"] = "does a snake, number 7, kill?"
    screen.app.run()
    assert screen.scorer.waiting.wait(10)
    screen.app.slider(key="results").set_value(12).run()
    data = screen.payload()
    assert data["state"] == "scoring"
    assert data["after"]["note"] == "10 of 25 passages scored; the order may still change"
    cards = data["after"]["cards"]
    assert [card["pending"] for card in cards] == [False] * 10 + [True] * 2
    assert [card["rank"] for card in cards] == list(range(1, 13))
    assert [bool(card["scores"] and card["badge"]) for card in cards] == [True] * 10 + [False] * 2
    assert {line["key"] for line in data["flow"]} == {card["key"] for card in cards[:10]}
    assert data["summary"] == ""
    screen.scorer.gate.set()
    data = screen.settle().payload()
    assert (data["state"], data["after"]["note"]) == ("done", "25 passages reranked, 12 shown")
    assert not any(card["pending"] for card in data["after"]["cards"])


def test_what_is_drawn_together_is_of_one_moment(filled: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Payload] = []
    verdict = answer.verdict

    def finish_in_between(*given: Any) -> Any:
        """The last scores come after the page has asked how to read them, and before it draws the lists."""
        filled.scorer.gate.set()
        if filled.state.search is not None:
            filled.state.search.wait(20)
        return verdict(*given)

    filled.scorer.gate.clear()
    monkeypatch.setattr(answer, "verdict", finish_in_between)
    monkeypatch.setattr(answer, "comparison", lambda payload, **_: drawn.append(payload))
    filled.open(q=QUESTION)
    done = [payload for payload in drawn if payload["state"] == "done"]
    assert done
    assert all(payload["after"]["cards"][0]["above"] for payload in done), "scores without their bands"


def test_the_first_slice_is_shown_in_the_run_that_asked(screen: Screen, fill) -> None:
    fill(MANY, screen.library, screen.encoder)
    screen.scorer.gate.clear()
    screen.scorer.free = 1
    screen.app.query_params["q"] = "does a snake, number 7, kill?"
    screen.app.run()
    data = screen.payload()
    assert data["state"] == "scoring"
    assert not any(card["pending"] for card in data["after"]["cards"])


def test_a_search_that_stopped_as_its_tab_was_lost_begins_again_when_the_tab_is_back(
    screen: Screen, fill
) -> None:
    fill(MANY, screen.library, screen.encoder)
    screen.scorer.gate.clear()
    screen.app.query_params["q"] = "does a snake, number 7, kill?"
    screen.app.run()
    lost = screen.state.search
    assert lost is not None
    lost.cancel()
    screen.scorer.gate.set()
    lost.wait(20)
    assert lost.result is None
    assert screen.settle().payload()["state"] == "done"


def test_what_a_tab_waits_for_is_said(screen: Screen, fill) -> None:
    fill(MANY, screen.library, screen.encoder)
    screen.scorer.gate.clear()
    screen.app.query_params["q"] = "does a snake, number 7, kill?"
    screen.app.run()
    before = screen.state.search
    assert screen.scorer.waiting.wait(10)
    other = AppTest.from_file(str(APP), default_timeout=30)
    other.query_params["q"] = "a snake, number 8"
    other.run().run()  # whoever waits is told so after a tenth of a second
    assert "25 passages found; the second look waits for 1 other." in [text.value for text in other.text]
    screen.scorer.gate.set()
    assert before is not None
    before.wait(20)
    other.session_state["second_look"].search.wait(20)


def test_a_time_budget_is_a_setting_that_asks_again_and_says_what_it_left_out(
    screen: Screen, fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(MANY, screen.library, screen.encoder)
    screen.open(q="does a snake, number 7, kill?")
    assert screen.app.number_input(key="budget").value is None
    assert screen.payload()["after"]["note"] == "25 passages reranked, 10 shown"
    ticks = count(step=0.01)  # ten milliseconds pass from one look at the clock to the next
    monkeypatch.setattr("rerank.second_look.perf_counter", lambda: next(ticks))
    screen.app.number_input(key="budget").set_value(1.0).run()
    data = screen.settle().payload()
    assert "10 of 25 passages were scored, in" in screen.texts()
    assert data["after"]["note"] == "10 of 25 passages reranked, 10 shown"


def test_changing_the_results_shown_runs_no_model(filled: Screen) -> None:
    filled.open(q=QUESTION)
    calls = (len(filled.encoder.calls), len(filled.scorer.calls))
    filled.app.slider(key="results").set_value(3)
    filled.app.run()
    filled.settle()
    assert len(filled.payload()["after"]["cards"]) == 3
    assert (len(filled.encoder.calls), len(filled.scorer.calls)) == calls


def test_changing_the_candidates_asks_the_same_question_again(filled: Screen) -> None:
    filled.open(q=QUESTION)
    filled.app.slider(key="candidates").set_value(20)
    filled.app.run()
    filled.settle()
    assert len(filled.scorer.calls) == 2
    assert filled.payload()["query"] == QUESTION


def test_choosing_a_reranker_opens_it_and_asks_again(filled: Screen) -> None:
    filled.open(q=QUESTION)
    filled.app.selectbox(key="reranker").set_value("maxsim")
    filled.app.run()
    filled.settle()
    assert filled.rerankers == [None, "maxsim"]
    assert len(filled.scorer.calls) == 2


def test_a_reranker_that_fails_is_never_shown_as_one_that_worked(filled: Screen) -> None:
    filled.scorer.broken = True
    filled.open(q=QUESTION)
    data = filled.payload()
    assert data["state"] == "failed"
    assert data["after"]["cards"] == []
    assert data["before"]["cards"][0]["movement"] is None
    assert "Not reranked: the scores are not numbers. The first look's order stands." in filled.texts()
    assert "best passage stood" not in filled.texts()


def test_whatever_a_reranker_raises_leaves_the_first_order(
    filled: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MoodyScorer, "score", _explode)
    filled.open(q=QUESTION)
    assert filled.payload()["state"] == "failed"
    assert (
        "Not reranked: the reranker ended with KeyError ('logits'). The first look's order stands."
        in filled.texts()
    )


def test_an_error_nobody_foresaw_is_a_sentence_too(filled: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Searcher, "second_look", _explode)
    filled.open(q=QUESTION)
    assert filled.payload()["state"] == "failed"
    assert "There is no second look." in filled.errors()
    assert "KeyError" in filled.texts()


def _explode(*_: object, **__: object) -> None:
    raise KeyError("logits")


def test_the_context_holds_the_passages_in_the_reranked_order(filled: Screen) -> None:
    filled.open(q=QUESTION)
    copied = filled.app.code[0].value
    assert copied.startswith(f"Question: {QUESTION}\n\nPassages from documents follow.")
    assert copied.index("[1] python") < copied.index("[2] ")
    assert f"> {TEXTS['python.txt']}" in copied


def test_an_empty_question_explains_instead_of_failing(filled: Screen) -> None:
    filled.open().ask("   ")
    assert not filled.errors()
    assert filled.app.get("bidi_component") == []
    assert "Ask a question in your own words." in filled.texts()


@pytest.mark.parametrize("question", ["crane " * 10_000, "\x00\x07\x7f"])
def test_a_question_that_cannot_be_asked_is_refused_in_a_sentence(filled: Screen, question: str) -> None:
    filled.open(q=question)
    assert "Ask it shorter." in filled.texts() or "Type a few words." in filled.texts()
    filled.open().ask("snake \x1b[31m 鹤 \u202e 👩‍👩‍👧")
    assert not filled.errors()
    assert len(filled.columns()[1]) == 4


def test_hostile_words_reach_the_page_as_they_are(screen: Screen, fill) -> None:
    name = "$x$ :red[a] [b](c) <b>d _e_ `f` :smile: www.example.com -> g.txt"
    title = name.removesuffix(".txt")
    fill({name: "A snake <script>alert(1)</script> :red[x] $y$."}, screen.library, screen.encoder)
    screen.open(q="snake")
    passage = next(iter(screen.payload()["passages"].values()))
    assert passage["title"] == title
    assert (
        "".join(part["text"] for part in passage["full"]) == "A snake <script>alert(1)</script> :red[x] $y$."
    )
    in_markdown = [
        e.value for kind in ("markdown", "caption", "header", "subheader") for e in screen.app.get(kind)
    ]
    assert not any("smile" in value for value in in_markdown), in_markdown
    assert any(element.value == title for element in screen.app.sidebar.text)
