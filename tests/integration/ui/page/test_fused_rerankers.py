"""Two rerankers on the page as one order: what is said of it, and that changing the view runs no model."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from ingest.library.library import Library
from ingest.notices import Notice, NoticeKind
from rerank.ensemble import fused_second_look
from rerank.request import SearchRequest
from rerank.scorers.base import Scores
from rerank.search import Searcher
from retrieval.fusion import Fusion
from retrieval.retriever import Retriever
from tests.integration.ui.page.conftest import Screen
from tests.integration.ui.page.test_two_rerankers import QUESTION, Contrary, other, settle
from tests.parts.stand_ins import MoodyScorer
from ui.files.results import to_csv, to_json
from ui.jobs.fused import fused_moment
from ui.jobs.search import shown_chunks
from ui.settings import MAX_RESULTS

__all__ = ["other"]  # a fixture

FUSED = {"q": QUESTION, "compare": "maxsim", "together": "weighted"}


def order(screen: Screen) -> list[str]:
    return screen.columns()[1]


def test_an_address_with_two_fused_rerankers_shows_one_order_and_what_it_is_of(
    screen: Screen, other: Contrary
) -> None:
    settle(screen.open(**FUSED))
    data = screen.payload()
    assert (data["state"], data["other"]) == ("done", None)
    assert data["after"]["heading"] == "Second look — word-scorer and contrary, fused"
    library = Library(screen.library)
    both = {
        name: Searcher(Retriever(library, screen.encoder), scorer)
        for name, scorer in (("word-scorer", screen.scorer), ("contrary", other))
    }
    wanted = fused_second_look(
        both, both["contrary"].first_look(SearchRequest(QUESTION)), Fusion.of_ensemble("weighted")
    )
    assert order(screen) == [hit.candidate.chunk.title for hit in wanted.after]
    (first, *_) = data["after"]["cards"]
    assert [score["label"] for score in first["scores"]] == ["fused score", "word-scorer", "contrary"]
    assert "(place " in first["scores"][1]["value"]
    said = screen.texts()
    assert (
        "a fusion: 33% word-scorer, 33% contrary and 33% the first look (by vectors), by standardised" in said
    )
    assert "A fused score is not read as relevance." in said
    assert "relevance" not in {score["label"] for score in first["scores"]}
    assert not [box for box in screen.app.selectbox if box.label == "Scores are read"]
    assert screen.app.selectbox(key="second-order").disabled


def test_changing_from_side_by_side_to_fused_and_back_runs_no_model(screen: Screen, other: Contrary) -> None:
    settle(screen.open(q=QUESTION, compare="maxsim"))
    calls = len(screen.scorer.calls), len(other.calls)
    screen.app.selectbox(key="together").set_value("rrf").run()
    data = screen.payload()
    assert data["other"] is None
    assert len(data["after"]["cards"][0]["scores"][0]["value"]) == len("0.0489")
    assert screen.app.query_params["together"] == "rrf"
    screen.app.selectbox(key="together").set_value("side-by-side").run()
    assert screen.payload()["other"]["state"] == "done"
    assert "together" not in screen.app.query_params
    assert (len(screen.scorer.calls), len(other.calls)) == calls


def test_the_choice_is_there_only_where_two_are_chosen(screen: Screen, other: Contrary) -> None:
    screen.open(q=QUESTION)
    assert "Two rerankers" not in [box.label for box in screen.app.selectbox]
    screen.app.selectbox(key="compare").set_value("maxsim").run()
    assert screen.app.selectbox(key="together").value == "side-by-side"


def test_the_settings_choose_first(screen: Screen, other: Contrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDLOOK_FUSE_RERANKERS", "weighted:0.1,0.8")
    settle(screen.open(q=QUESTION, compare="maxsim"))
    assert screen.app.selectbox(key="together").value == "weighted:0.1,0.8"
    assert "10% word-scorer, 80% contrary and 10% the first look" in screen.texts()


def test_shares_for_another_number_of_rerankers_are_refused_in_a_sentence(
    screen: Screen, other: Contrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDLOOK_FUSE_RERANKERS", "weighted:0.1,0.2,0.3")
    screen.open(q=QUESTION, compare="maxsim")
    assert "holds 3 of the rerankers' shares, and 2 are fused" in screen.texts()


@pytest.mark.parametrize("whose", ["A", "B"])
def test_one_that_fails_is_left_out_and_said_so(screen: Screen, other: Contrary, whose: str) -> None:
    broken, left = (screen.scorer, "contrary") if whose == "A" else (other, "word-scorer")
    broken.broken = True
    settle(screen.open(**FUSED))
    data = screen.payload()
    assert data["state"] == "done"
    assert data["after"]["heading"] == f"Second look — {left}, fused"
    assert "is not in the fused order. Not reranked: the scores are not numbers." in screen.texts()
    assert [score["label"] for score in data["after"]["cards"][0]["scores"]] == ["fused score", left]


def test_where_both_fail_there_is_no_second_look(screen: Screen, other: Contrary) -> None:
    screen.scorer.broken = other.broken = True
    settle(screen.open(**FUSED))
    assert screen.payload()["state"] == "failed"
    assert screen.texts().count("is not in the fused order. Not reranked: the scores are not numbers.") == 2


def test_while_one_is_slow_there_is_no_order_of_the_other_alone(screen: Screen, other: Contrary) -> None:
    other.gate.clear()
    screen.open(**FUSED)
    assert other.waiting.wait(10)
    screen.app.run()
    data = screen.payload()
    assert data["state"] == "scoring"
    assert all(card["pending"] for card in data["after"]["cards"])
    other.gate.set()
    assert settle(screen).payload()["state"] == "done"


def test_an_order_so_far_is_of_what_both_have_scored(screen: Screen, other: Contrary) -> None:
    settle(screen.open(q=QUESTION, compare="maxsim"))
    one, two = screen.state.search.now(), screen.state.other.job.now()
    partial = replace(two.result, after=tuple(hit for hit in two.result.after if hit.candidate.rank <= 2))
    moving = replace(two, result=None, partial=partial, finished=False, progress=(2, 4))
    found = fused_moment(one, "contrary", moving, Fusion.of_ensemble("rrf"))
    assert (found.result, found.finished, found.progress) == (None, False, (2, 4))
    assert {hit.candidate.rank for hit in found.so_far.after} == {1, 2}
    assert found.first.notices[0].text.startswith("The second order is a fusion: ")


def test_the_mix_of_the_first_ones_own_order_is_not_said_of_the_fused_one(
    screen: Screen, other: Contrary
) -> None:
    settle(screen.open(q=QUESTION, compare="maxsim"))
    one, two = screen.state.search.now(), screen.state.other.job.now()
    cost, mix = Notice(NoticeKind.COST, "Said."), Notice(NoticeKind.MIX, "It is a mix.")
    first = replace(one.first, notices=(cost, mix))
    waiting = replace(two, result=None, partial=None, finished=False)
    found = fused_moment(replace(one, first=first), "contrary", waiting, Fusion.of_ensemble("rrf"))
    assert found.first.notices == (cost,)


def test_what_is_taken_along_holds_what_each_reranker_gave(screen: Screen, other: Contrary) -> None:
    settle(screen.open(**FUSED))
    one, two = screen.state.search.now(), screen.state.other.job.now()
    result = fused_moment(one, "contrary", two, Fusion.of_ensemble("weighted")).result
    labels = [button.proto.label for button in screen.app.get("download_button")]
    assert [label for label in labels if label != "Original"] == [
        f"All orders as {kind}" for kind in ("CSV", "JSON", "TREC runs")
    ]
    record = json.loads(to_json(result))
    assert [part["reranker"] for part in record["rerankers"]] == ["word-scorer", "contrary"]
    assert [own["reranker"] for own in record["after"][0]["rerankers"]] == ["word-scorer", "contrary"]
    assert "other" not in record
    table = list(csv.DictReader(io.StringIO(to_csv(result))))
    python = next(row for row in table if row["title"] == "python")
    assert (python["word-scorer rank"], python["contrary rank"]) == ("1", "4")
    assert float(python["word-scorer logit"]) == -float(python["contrary logit"])
    assert python["logit"] == python["relevance"] == ""


GROUPS = 4  # of twenty passages each: first by the first look, by A, by B; and the last, second best by both


def opinion(best: int) -> Callable[[str], float]:
    def of(passage: str) -> float:
        found = re.search(r"number (\d+)", passage)
        group = int(found[1]) // 20 if found else 0
        return {best: 10.0, GROUPS - 1: 9.0}.get(group, -10.0)

    return of


def say(scorer: MoodyScorer, of: Callable[[str], float]) -> None:
    def score(query: str, passages: Sequence[str], on_batch: object = None) -> Scores:
        count = len(passages)
        logits = np.array([of(passage) for passage in passages], np.float32)
        return Scores(logits, np.full(count, 9, np.int64), np.zeros(count, np.bool_))

    scorer.score = score  # type: ignore[method-assign]


def second_best_by_both(screen: Screen, other: Contrary, fill: Callable[..., Library]) -> None:
    """A library and two rerankers whose fused first twenty are the first twenty of nothing else."""
    texts = {
        f"{n}.txt": f"The snake number {n} has venom{' and venom' * (n < 20)} in it. A crane stands by the river bank."
        for n in range(20 * GROUPS)
    }
    fill(texts, screen.library, screen.encoder)
    say(screen.scorer, opinion(1))
    say(other, opinion(2))


def marked(screen: Screen) -> list[bool]:
    """Of each shown passage of the second order, whether a sentence of it is marked."""
    data = screen.payload()
    passages = [data["passages"][card["key"]] for card in data["after"]["cards"]]
    return [any(part["mark"] for part in passage["excerpt"]) for passage in passages]


@pytest.mark.parametrize("at_once", [True, False])
def test_passages_that_only_the_fused_order_shows_are_marked_too(
    screen: Screen,
    other: Contrary,
    fill: Callable[..., Library],
    monkeypatch: pytest.MonkeyPatch,
    at_once: bool,
) -> None:
    second_best_by_both(screen, other, fill)
    evenly = "weighted:0.5,0.5"
    monkeypatch.setenv("SECONDLOOK_FUSE_RERANKERS", evenly)
    settle(screen.open(q="snake venom", compare="maxsim", together=evenly if at_once else "side-by-side"))
    if not at_once:
        assert screen.payload()["other"] is not None
        screen.app.selectbox(key="together").set_value(evenly).run()
    settle(screen)
    result = fused_moment(
        screen.state.search.now(), "contrary", screen.state.other.job.now(), Fusion.of_ensemble(evenly)
    ).result
    own = {
        chunk.id
        for job in (screen.state.search, screen.state.other.job)
        for chunk in shown_chunks(job.result, MAX_RESULTS)
    }
    assert not own & {hit.candidate.chunk.id for hit in result.after[:MAX_RESULTS]}, "none is shown alone"
    assert marked(screen) == [True] * 10
    encoded = len(screen.encoder.calls)
    screen.app.run()
    assert len(screen.encoder.calls) == encoded, "what was marked is not marked again"
