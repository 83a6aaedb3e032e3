"""Judging, the running verdict, and how scores are read, on the page."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from typing import Any

import pytest

from ingest.errors import LibraryError
from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from ingest.library.library import Library
from rerank.calibration.calibrate import calibrate
from rerank.calibration.labels import Labelled
from rerank.calibration.methods import Method
from rerank.calibration.records import LibraryState
from rerank.calibration.store import FILE, load, save
from rerank.labels import verdict
from tests.fakes import WORD_SCORER
from tests.integration.ui.page.conftest import Screen
from ui.jobs import calibration as fitting
from ui.page.search import calibration as calibration_panel
from ui.page.search import judging
from ui.presentation import running_verdict
from ui.presentation.bands import threshold_text

QUESTION = "which snake kills without venom"
CHART = "vega_lite_chart"
OTHER = "does a snake kill without any venom"


@pytest.fixture
def filled(screen: Screen, fill) -> Screen:
    """Twelve passages: passage n has the first 1 + n % 5 words of the question."""
    words = QUESTION.split()
    texts = {f"p{n:02d}.txt": f"{' '.join(words[: 1 + n % 5])}, text {n}." for n in range(12)}
    fill(texts, screen.library, screen.encoder)
    return screen


def labels(screen: Screen) -> Labels:
    return Labels(Library(screen.library))


def bands(screen: Screen) -> list[tuple[int, str]]:
    cards = screen.payload()["after"]["cards"]
    return [(card["rank"], line["text"]) for card in cards for line in card["above"]]


def order(screen: Screen) -> list[str]:
    return [card["key"] for card in screen.payload()["after"]["cards"]]


def number(screen: Screen, place: int) -> tuple[str, str]:
    score = screen.payload()["after"]["cards"][place]["scores"][0]
    return score["label"], score["value"]


def calibration(screen: Screen, **changes: Any) -> None:
    """A Platt curve from labels that are relevant from a logit of 3 on, with some noise, saved in the library."""
    rows = [
        Labelled(f"q{n}", float(logit), (logit >= 3) != (n == 5 and logit in (2, 3)))
        for n in range(changes.pop("questions", 12))
        for logit in range(-1, 5)
    ]
    spec = replace(WORD_SCORER, revision=changes.pop("revision", WORD_SCORER.revision))
    library = Library(screen.library)
    save(
        library.folder / FILE,
        replace(calibrate(rows, spec, LibraryState.of(library), Method.PLATT), **changes),
    )


def cited(filled: Screen) -> int:
    """How many passages are offered as context."""
    return len(re.findall(r"^\[\d+\] ", filled.app.code[0].value, re.MULTILINE))


def test_a_judgement_is_kept_and_shown_and_runs_no_model(filled: Screen) -> None:
    filled.open(q=QUESTION)
    calls = (len(filled.encoder.calls), len(filled.scorer.calls))
    filled.judge(("p04", 2), ("p00", 0))
    assert sorted(labels(filled).grades(QUESTION).values()) == [Grade.NOT, Grade.RELEVANT]
    grades = {p["title"]: p["grade"] for p in filled.payload()["passages"].values()}
    assert (grades["p04"], grades["p00"], grades["p09"]) == (2, 0, None)
    assert filled.payload()["confirmed"] == 2
    assert (len(filled.encoder.calls), len(filled.scorer.calls)) == calls
    pair = labels(filled).pairs()[0]
    places = labels(filled).places(pair)[QUESTION]
    assert sorted(place.after for place in places.values())[0] == 1
    filled.judge(("p04", None))
    assert list(labels(filled).grades(QUESTION).values()) == [Grade.NOT]


def test_what_is_sent_twice_or_is_no_judgement_does_not_count(filled: Screen) -> None:
    filled.open(q=QUESTION)
    name = next(iter(filled.payload()["passages"].values()))["hash"]
    good = {"n": 1, "query": QUESTION, "passage": name, "grade": 2}
    filled.send(
        [good, {**good, "n": 2, "grade": 7}, {**good, "n": 3, "passage": "x'); --"}, "junk", {"n": True}]
    )
    assert labels(filled).judgements() == {QUESTION: {name: Grade.RELEVANT}}
    filled.send([{**good, "grade": 0}, {**good, "n": 4, "query": OTHER, "grade": 1}])
    assert labels(filled).judgements() == {QUESTION: {name: Grade.RELEVANT}, OTHER: {name: Grade.PARTLY}}


def test_a_model_whose_scores_cannot_be_read_has_no_bands_until_fitted(filled: Screen) -> None:
    late = replace(WORD_SCORER, relevance_scale=None)
    filled.scorer.model = replace(filled.scorer.model, spec=late)
    filled.open(q=QUESTION)
    assert bands(filled) == []
    assert "This model was not trained to give relevance" in filled.texts()
    assert filled.app.toggle(key="hide").disabled
    assert number(filled, 0)[0] == "score"


def test_a_judgement_that_cannot_be_kept_is_said_and_not_shown(
    filled: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.open(q=QUESTION)

    def locked(*_: object) -> None:
        raise LibraryError("The library is locked. Try again.")

    monkeypatch.setattr(judging, "judge", locked)
    filled.judge(("p04", 2))
    assert "Not everything that was judged could be kept." in filled.errors()
    assert "The library is locked. Try again." in filled.texts()
    assert {p["grade"] for p in filled.payload()["passages"].values()} == {None}


def test_the_verdict_follows_the_labels_and_is_weighed_only_when_they_change(
    filled: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed: list[object] = []
    monkeypatch.setattr(
        running_verdict, "weigh", lambda *given: weighed.append(given) or verdict.weigh(*given)
    )
    filled.open(q=QUESTION)
    assert "then this line says whether reranking helps here." in filled.texts()
    filled.judge(("p04", 2))
    assert (
        "1 judged here, 1 label in all. Not enough labels yet: no question has passages of" in filled.texts()
    )
    filled.judge(("p00", 0))
    assert "2 judged here, 2 labels in all. Not enough labels yet: nDCG@10" in filled.texts()
    before = len(weighed)
    filled.app.run()
    filled.app.run()
    assert len(weighed) == before == 3
    filled.ask(OTHER)
    assert "0 judged here, 2 labels in all." in filled.texts()


def test_worth_judging_are_at_most_three_that_are_not_judged(filled: Screen) -> None:
    filled.open(q=QUESTION)
    marked = {p["title"]: p["worth"] for p in filled.payload()["passages"].values() if p["worth"]}
    assert len(marked) == 3
    assert set(marked.values()) <= {"the two orders disagree on it", "its relevance is near the threshold"}
    first = next(iter(marked))
    filled.judge((first, 1))
    again = {p["title"]: p["worth"] for p in filled.payload()["passages"].values() if p["worth"]}
    assert first not in again
    assert len(again) == 3


def test_fitting_moves_the_bands_and_keeps_the_order(filled: Screen) -> None:
    filled.open(q=QUESTION)
    filled.app.session_state["calibration-panel"] = True
    filled.judge(*((f"p{n:02d}", 2 if n % 5 == 4 else 0) for n in range(5)))
    assert "5 labels so far; 5 more are needed before a curve can be fitted to them." in filled.texts()
    filled.ask(OTHER)
    filled.judge(*((f"p{n:02d}", 2 if n % 5 == 4 else 0) for n in range(5)))
    filled.ask(QUESTION)
    before, were, unread = bands(filled), order(filled), number(filled, 1)
    assert before[0] == (1, "Relevance 0.7 or more")  # nobody has checked yet what that means here
    assert unread[0] == "relevance"
    filled.press("Fit")
    assert not filled.errors()
    assert number(filled, 1)[0] == "probability"
    assert bands(filled) != before
    assert order(filled) == were
    assert "Platt, fitted on" in filled.texts()
    assert "are too few to rely on" in filled.texts()
    assert "Figures on 10 labels" in filled.texts()
    assert (filled.library / FILE).is_file()


def test_the_panel_says_how_often_nothing_answers_is_wrong(filled: Screen) -> None:
    calibration(filled)
    filled.app.session_state["calibration-panel"] = True
    filled.open(q=QUESTION)
    assert "“Nothing here answers this” is never said: the labels do not show from where on" in filled.texts()
    calibration(filled, questions=20)
    filled.app.run()
    assert "“Nothing here answers this” is said where the best passage is below 0." in filled.texts()
    assert (
        "By cross-validation by query, 5 folds it was said wrongly of 0% of the questions that"
        in filled.texts()
    )
    assert "and rightly of 100% once their relevant passages were taken away" in filled.texts()


def test_labels_that_scores_do_not_tell_apart_are_said_to_be_so(filled: Screen) -> None:
    filled.app.session_state["calibration-panel"] = True
    for question in (QUESTION, OTHER):
        filled.open(q=question)
        filled.judge(*((f"p{n:02d}", 2 if n % 5 == 0 else 0) for n in range(5)))  # the lowest scores
    filled.press("Fit")
    assert not filled.errors()
    assert (
        "No clean separation: relevant passages do not score reliably higher than others." in filled.texts()
    )
    assert "Learnt threshold" not in filled.texts()
    assert load(filled.library / FILE).threshold is None


def test_the_score_picture_is_drawn_when_it_is_opened(filled: Screen) -> None:
    calibration(filled)
    filled.open(q=QUESTION)
    assert filled.app.get(CHART) == []
    filled.app.session_state["score-picture"] = True
    filled.app.run()
    assert not filled.app.exception
    before, after = (json.loads(chart.proto.spec) for chart in filled.app.get(CHART))
    assert before["mark"]["type"] == "bar"
    assert "All 12 scored passages: above as the model gives the scores" in filled.texts()
    assert after["layer"]


def test_a_fit_that_ends_while_the_page_is_drawn_is_taken_up(
    filled: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_for = calibration_panel.load_for

    def late(*given: Any) -> Any:
        """What is there now; and then the fit ends."""
        loaded, fit = load_for(*given), filled.state.judging.fit
        if fit is not None:
            fit.wait(20)
        return loaded

    monkeypatch.setattr(calibration_panel, "load_for", late)
    hold = threading.Event()
    monkeypatch.setattr(
        fitting, "calibrate", lambda *given, **named: hold.wait(20) and calibrate(*given, **named)
    )
    filled.app.session_state["calibration-panel"] = True
    for question in (QUESTION, OTHER):
        filled.open(q=question)
        filled.judge(*((f"p{n:02d}", 2 if n % 5 == 4 else 0) for n in range(5)))
    threading.Timer(1.0, hold.set).start()  # after the page has looked for what is saved
    filled.press("Fit")
    assert number(filled, 1)[0] == "probability"


def test_a_wanted_precision_learns_its_own_threshold_and_the_list_is_cut_there(filled: Screen) -> None:
    filled.app.session_state["calibration-panel"] = True
    for question in (QUESTION, OTHER):
        filled.open(q=question)
        filled.judge(*((f"p{n:02d}", 2 if n % 5 == 4 else 0) for n in range(5)))
    filled.app.number_input(key="fit-precision").set_value(0.8).run()
    filled.press("Fit")
    assert not filled.errors()
    assert "Threshold for a precision of 0.8: " in filled.texts()
    found = load(filled.library / FILE)
    assert found.precise is not None
    assert f"Learnt threshold: {threshold_text(found.precise)}." in filled.texts()


def test_a_fit_that_fails_says_why(filled: Screen) -> None:
    filled.open(q=QUESTION)
    filled.app.session_state["calibration-panel"] = True
    store = labels(filled)
    for n in range(10):  # of passages that no search finds
        store.set(QUESTION, f"{n:064x}", Grade(2 * (n % 2)))
    filled.app.run()
    filled.press("Fit")
    assert "No calibration was fitted." in filled.errors()
    assert "There are no labels to learn from." in filled.texts()


def test_a_void_calibration_says_why(filled: Screen) -> None:
    calibration(filled, revision="older")
    filled.open(q=QUESTION)
    assert "void: word-scorer is now of revision 1, and was of older" in filled.texts()
    assert number(filled, 0)[0] == "relevance"


def test_relative_readings_have_no_bands_and_say_so(filled: Screen) -> None:
    calibration(filled)
    filled.open(q=QUESTION)
    were = order(filled)
    assert number(filled, 0)[0] == "probability"
    assert bands(filled)
    for choice, label in (("min-max", "relative to this list"), ("softmax", "share of this list")):
        filled.app.selectbox(key="reading").set_value(choice).run()
        filled.settle()
        assert number(filled, 0)[0] == label
        assert bands(filled) == []
        assert order(filled) == were
        assert "No bands are drawn" in filled.texts()
    assert not filled.app.exception


def test_a_temperature_evens_the_shares_out(filled: Screen) -> None:
    filled.open(q=QUESTION)
    filled.app.selectbox(key="reading").set_value("softmax").run()
    filled.settle()
    were, sharp = order(filled), float(number(filled, 0)[1])
    filled.app.number_input(key="temperature").set_value(20.0).run()
    filled.settle()
    assert float(number(filled, 0)[1]) < sharp
    assert order(filled) == were


@pytest.mark.parametrize("places", [10, 20], ids=["more than fit", "room for all"])
def test_hiding_what_is_below_the_line_leaves_the_first_column(filled: Screen, places: int) -> None:
    calibration(filled)
    filled.open(q=QUESTION)
    filled.app.slider(key="results").set_value(places).run()
    everything = order(filled)
    filled.app.toggle(key="hide").set_value(True).run()
    filled.settle()
    data = filled.payload()
    shown = order(filled)
    assert 0 < len(shown) < len(everything)
    assert shown == everything[: len(shown)]
    assert f", {len(shown)} shown; {len(everything) - len(shown)} below" in data["after"]["note"]
    assert len(data["before"]["cards"]) == len(everything) == min(places, 12)
    assert all(line["leaves"] == (line["after"] > len(shown)) for line in data["flow"])
    assert cited(filled) == len(shown)


@pytest.mark.parametrize("places", [10, 20], ids=["more than fit", "room for all"])
def test_a_question_that_nothing_answers_shows_nothing_until_asked(filled: Screen, places: int) -> None:
    calibration(filled, answers_from=0.5)
    filled.open(q="river venom")
    filled.app.slider(key="results").set_value(places).run()
    assert "Nothing here answers this: the best passage is relevant with a probability of" in filled.texts()
    assert filled.payload()["after"]["cards"] == []
    assert len(filled.payload()["before"]["cards"]) == min(places, 12)
    assert cited(filled) == 0
    filled.press("Show the passages all the same")
    assert len(order(filled)) == cited(filled) == min(places, 12)
    filled.ask(QUESTION)
    assert "answers" not in filled.payload()["after"]["note"]
