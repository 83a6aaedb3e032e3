"""Two rerankers on the page: each in its own time, and neither is lost with the other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingest.errors import ModelError
from ingest.library.labels import Labels
from ingest.library.library import Library
from rerank.labels.judging import pair_of
from rerank.search import Searcher
from retrieval.retriever import Retriever
from tests.integration.ui.page.conftest import TEXTS, Screen
from tests.parts.stand_ins import MoodyScorer
from ui.page import resources

QUESTION = "which snake kills without venom?"


class Contrary(MoodyScorer):
    """Scores turned round: what A finds best, B finds worst."""

    def score(self, query, passages, on_batch=None):
        scores = super().score(query, passages, on_batch)
        scores.logits[:] = -scores.logits
        return scores


@pytest.fixture
def other(screen: Screen, fill, monkeypatch: pytest.MonkeyPatch) -> Contrary:
    """The reranker that the page gets for “maxsim”, beside the usual one."""
    fill(TEXTS, screen.library, screen.encoder)
    made, usual = Contrary(), resources.open_with
    made.model = replace(made.model, spec=replace(made.model.spec, name="contrary"))

    def open_with(library, choice, given):
        if choice.reranker != "maxsim":
            return usual(library, choice, given)
        return Searcher(Retriever(library, given), made)

    monkeypatch.setattr(resources, "open_with", open_with)
    yield made
    made.gate.set()


def settle(screen: Screen) -> Screen:
    """Until both searches are done and drawn, with the marks that they need together."""
    screen.settle()
    if screen.state.other is not None:
        screen.state.other.job.wait(20)
        screen.app.run()
        screen.state.other.fused_marks.wait(20)
    screen.app.run()
    return screen


def test_an_address_with_two_rerankers_shows_before_a_and_b(screen: Screen, other: Contrary) -> None:
    settle(screen.open(q=QUESTION, compare="maxsim"))
    data = screen.payload()
    assert data["other"]["state"] == "done"
    assert data["after"]["heading"] == "A — word-scorer"
    a = [card["key"] for card in data["after"]["cards"]]
    assert a[0] == [card["key"] for card in data["other"]["cards"]][-1]
    assert "A and B share 4 of their first 4 passages, with another best passage each" in screen.texts()
    assert screen.app.selectbox(key="compare").value == "maxsim"


@pytest.mark.parametrize("fused", [{}, {"together": "rrf"}], ids=["side by side", "fused"])
def test_a_judgement_notes_the_places_of_each_by_itself(
    screen: Screen, other: Contrary, fused: dict[str, str]
) -> None:
    settle(screen.open(q=QUESTION, compare="maxsim", **fused)).judge(("python", 2))
    labels = Labels(Library(screen.library))
    places = {}
    for searched in (screen.state.search, screen.state.other.job):
        pair = pair_of(searched.result.models)
        (found,) = labels.places(pair)[QUESTION].values()
        places[pair.reranker] = found.after
    assert places == {"word-scorer": 1, "contrary": 4}


def test_a_slow_reranker_keeps_nobody_waiting(screen: Screen, other: Contrary) -> None:
    other.gate.clear()
    screen.open(q=QUESTION)
    screen.app.selectbox(key="compare").set_value("maxsim").run()
    assert other.waiting.wait(10)
    calls = len(screen.scorer.calls)
    screen.app.run()
    data = screen.payload()
    assert (data["state"], data["other"]["state"]) == ("done", "scoring")
    assert data["after"]["cards"][0]["scores"]
    assert screen.app.query_params["compare"] == "maxsim"
    other.gate.set()
    assert settle(screen).payload()["other"]["state"] == "done"
    assert len(screen.scorer.calls) == calls, "A was not asked again for B's sake"


def test_b_first_is_shown_first(screen: Screen, other: Contrary) -> None:
    screen.scorer.gate.clear()
    screen.app.query_params["q"] = QUESTION
    screen.app.query_params["compare"] = "maxsim"
    screen.app.run()
    screen.state.other.job.wait(20)
    screen.app.run()
    data = screen.payload()
    assert (data["state"], data["other"]["state"]) == ("scoring", "done")
    screen.scorer.gate.set()
    assert settle(screen).payload()["state"] == "done"


@pytest.mark.parametrize("when", ["scoring", "loading"])
def test_what_goes_wrong_with_b_is_said_in_its_column(
    screen: Screen, other: Contrary, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if when == "scoring":
        other.broken = True
    else:
        usual = resources.open_with

        def open_with(library, choice, given):
            if choice.reranker == "maxsim":
                raise ModelError("The model maxsim cannot be had.")
            return usual(library, choice, given)

        monkeypatch.setattr(resources, "open_with", open_with)
    settle(screen.open(q=QUESTION, compare="maxsim"))
    data = screen.payload()
    assert (data["state"], data["other"]["state"]) == ("done", "failed")
    assert screen.columns()[1][0] == "python"
    said = {
        "scoring": "Not reranked: the scores are not numbers",
        "loading": "The model maxsim cannot be had.",
    }
    assert said[when] in data["other"]["note"]


def test_a_service_as_b_waits_for_leave_and_a_does_not(
    screen: Screen, other: Contrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDLOOK_RERANKER", "cohere")
    screen.open(q=QUESTION, reranker="maxsim", compare="cohere")
    assert "May text leave this machine?" in [header.value for header in screen.app.subheader]
    data = screen.payload()
    assert (data["state"], data["other"]) == ("done", None)


def test_the_same_reranker_twice_is_one(screen: Screen, other: Contrary) -> None:
    settle(screen.open(q=QUESTION, compare="maxsim"))
    screen.app.selectbox(key="reranker").set_value("maxsim").run()
    settle(screen)
    assert screen.payload()["other"] is None
    assert screen.app.query_params["reranker"] == "maxsim"
    assert "compare" not in screen.app.query_params
