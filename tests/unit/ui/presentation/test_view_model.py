"""What the comparison says, worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rerank.calibration.reading import Choice, read_result
from rerank.records import FirstLook, Timings
from tests.parts.looks import candidates, chunk, search
from ui.command_line.search_text import side_by_side
from ui.presentation.formatting import duration, location, relevance_text, shortened, three_digits
from ui.presentation.insights import FEWEST_TIMED, costs, insight, timing_bar
from ui.presentation.view_model import comparison_payload


def payload(result: Any, top_k: int = 3, state: Any = "done", **fields: Any) -> Any:
    given_fields = {"progress": None, "marks": {}, **fields}
    before = result.before if result else given_fields.pop("before")
    return comparison_payload(
        query="a question", before=before, result=result, top_k=top_k, state=state, **given_fields
    )


def keys(column: Any) -> list[str]:
    return [card["key"] for card in column["cards"]]


def test_both_orders_and_every_movement() -> None:
    shown = payload(search(candidates(9), [7, 1, 3]))
    assert keys(shown["before"]) == ["c1", "c2", "c3"]
    assert keys(shown["after"]) == ["c7", "c1", "c3"]
    cards = shown["after"]["cards"]
    assert [card["badge"] for card in cards] == ["▲ 6", "▼ 1", "="]
    assert [card["spoken"] for card in cards] == ["up 6 places, from 7", "down 1 place, from 1", "unchanged"]
    assert [card["origin"] for card in cards] == ["from place 7", "", ""]
    assert [card["origin"] for card in shown["before"]["cards"]] == ["now 2", "now 4", "stays"]
    assert set(shown["passages"]) == {"c1", "c2", "c3", "c7"}
    assert (
        shown["summary"]
        == "Of the 3 shown, 1 rose, 1 fell and 1 kept their place; 1 came from below place 3."
    )


def test_flow_has_a_line_for_every_passage_on_either_side() -> None:
    lines = {
        line["key"]: line
        for line in payload(
            search(
                candidates(20),
                [15, 4, 1],
            )
        )["flow"]
    }
    assert set(lines) == {"c15", "c4", "c1", "c2", "c3"}
    assert lines["c15"] == {
        "key": "c15", "before": 15, "after": 1, "direction": "riser", "weight": "thick",
        "enters": True, "leaves": False,
    }  # fmt: skip
    assert (lines["c4"]["enters"], lines["c4"]["weight"]) == (True, "thin")
    assert (lines["c3"]["leaves"], lines["c3"]["after"], lines["c3"]["direction"]) == (True, 5, "faller")


def test_the_payload_is_json_without_loss() -> None:
    shown = payload(search(candidates(5), [2, 1]))
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown


@pytest.mark.parametrize("state", ["waiting", "scoring"])
def test_until_the_scores_are_there_the_right_column_is_the_left_one(state: str) -> None:
    shown = payload(None, state=state, before=candidates(9), progress=(4, 9))
    assert keys(shown["after"]) == keys(shown["before"]) == ["c1", "c2", "c3"]
    assert all(card["scores"] == [] and card["badge"] == "" for card in shown["after"]["cards"])
    assert shown["flow"] == []
    assert shown["progress"] == ({"done": 4, "total": 9} if state == "scoring" else None)


def test_progress_is_said_in_the_note() -> None:
    shown = payload(None, state="scoring", before=candidates(9), progress=(4, 9))
    assert shown["after"]["note"] == "4 of 9 passages scored; until then, the first look’s order"


def partly_scored() -> Any:
    """Four of nine candidates are scored: the third came first."""
    return replace(search(candidates(4), [3, 1]), before=candidates(9))


def test_while_it_is_scoring_the_right_column_holds_the_order_so_far() -> None:
    shown = payload(partly_scored(), top_k=6, state="scoring", progress=(5, 9))
    assert keys(shown["after"]) == ["c3", "c1", "c2", "c4", "c5", "c6"]
    assert [card["pending"] for card in shown["after"]["cards"]] == [False] * 4 + [True] * 2
    assert [card["badge"] for card in shown["after"]["cards"]] == ["▲ 2", "▼ 1", "▼ 1", "=", "", ""]
    assert shown["after"]["note"] == "4 of 9 passages scored; the order may still change"
    assert {line["key"] for line in shown["flow"]} == {"c1", "c2", "c3", "c4"}
    assert shown["progress"] == {"done": 5, "total": 9}
    assert shown["before"]["cards"][4]["origin"] == ""
    assert shown["summary"] == "", "what may still change is not announced"


def test_an_answer_that_ended_early_shows_what_was_scored_and_marks_what_was_not() -> None:
    result = partly_scored()
    shown = payload(result, top_k=6)
    assert keys(shown["after"]) == ["c3", "c1", "c2", "c4"]
    assert shown["after"]["note"] == "4 of 9 passages reranked, 4 shown"
    assert [card["origin"] for card in shown["before"]["cards"][3:]] == ["stays", "not scored", "not scored"]


@pytest.mark.parametrize("state", ["done", "failed"])
def test_what_was_not_reranked_is_never_shown_as_reranked(state: str) -> None:
    shown = payload(search(candidates(9), []), state=state)
    assert shown["state"] == "failed"
    assert shown["after"]["cards"] == []
    assert shown["flow"] == []
    assert "not reranked" in shown["after"]["note"]
    assert keys(shown["before"]) == ["c1", "c2", "c3"]


def test_wrong_calls_are_refused() -> None:
    with pytest.raises(ValueError, match="top_k"):
        payload(search(candidates(3), [1]), top_k=0)
    with pytest.raises(ValueError, match="needs its result"):
        payload(None, before=candidates(3))


def test_scores_are_labelled_as_what_they_are() -> None:
    result = search(candidates(3), [2, 1])
    shown = payload(result)
    assert [(s["label"], s["value"]) for s in shown["before"]["cards"][0]["scores"]] == [("cosine", "0.890")]
    assert [(s["label"], s["value"]) for s in shown["after"]["cards"][0]["scores"]] == [
        ("relevance", "0.500"), ("logit", "2.00"),
    ]  # fmt: skip
    assert all(s["help"].endswith(".") for c in shown["after"]["cards"] for s in c["scores"])


def test_a_score_that_is_no_relevance_is_not_shown_as_one_and_a_mix_is_named() -> None:
    result = search(candidates(2), [2, 1])
    hits = (replace(result.after[0], relevance=None), replace(result.after[1], cross_logit=0.25))
    cards = payload(replace(result, after=hits))["after"]["cards"]
    assert [s["label"] for s in cards[0]["scores"]] == ["score"]
    assert [(s["label"], s["value"]) for s in cards[1]["scores"]][1:] == [
        ("logit", "0.250"),
        ("mixed score", "1.00"),
    ]


def test_a_passage_whose_end_was_not_seen_says_so() -> None:
    cards = payload(search(candidates(3), [2, 1], truncated=frozenset({2})))["after"]["cards"]
    assert "did not see its end" in cards[0]["notice"]
    assert cards[1]["notice"] == ""


STOOD = "The best passage stood at place {} before reranking. "


@pytest.mark.parametrize(
    ("order", "top_k", "total", "expected"),
    [
        ([37, 1], 10, 60, STOOD.format(37) + "Retrieving only 10 would have missed it."),
        ([3, 50, 1], 10, 60, STOOD.format(3) + "1 of the 10 shown came from below place 10."),
        ([2, 1], 3, 9, STOOD.format(2) + "The 3 shown are the same passages in another order."),
        ([4, 1], 10, 6, STOOD.format(4) + "All 6 passages found are shown."),
        ([1, 3, 2], 4, 9, "Both looks agree on the best passage; 2 of the 4 shown changed place."),
        ([1, 9], 2, 9, "Both looks agree on the best passage; 1 of the 2 shown changed place, "
         "1 of them from below place 2."),
        ([1], 5, 9, "Both looks agree: the 5 shown stand in the same order."),
        ([1], 5, 1, "Only one passage was found, so there was nothing to reorder."),
        ([], 5, 9, "This is the first look’s order alone: the passages were not reranked."),
        ([], 5, 0, "No passage was found."),
    ],
)  # fmt: skip
def test_the_insight_is_that_of_this_search(order: list[int], top_k: int, total: int, expected: str) -> None:
    assert insight(search(candidates(total), order), top_k) == expected


def test_timing_bar() -> None:
    result = search(candidates(4), [2])
    bar = timing_bar(result)
    assert [(stage["stage"], stage["share"], stage["text"]) for stage in bar] == [
        ("encode", 0.02, "20 ms"), ("retrieve", 0.005, "5 ms"), ("rerank", 0.975, "975 ms"),
    ]  # fmt: skip
    assert bar[-1]["detail"] == "4 passages"
    first = FirstLook("q", result.before, Timings(0.0, 0.0), result.models)
    assert [(stage["stage"], stage["share"]) for stage in timing_bar(first)] == [
        ("encode", 0.0),
        ("retrieve", 0.0),
    ]


def test_costs_say_what_was_measured_and_what_is_estimated() -> None:
    rows = costs(search(candidates(100), [2], timings=Timings(1, 1, 1200.0)), [10, 100, 200])
    assert [(row["candidates"], row["text"], row["estimated"]) for row in rows] == [
        (10, "about 120 ms", True), (100, "1.2 s", False), (200, "about 2.4 s", True),
    ]  # fmt: skip
    early = replace(search(candidates(40), [3, 1]), before=candidates(90))
    assert [row["estimated"] for row in costs(early, [40, 90])] == [False, True]
    assert costs(search(candidates(90), []), [10]) == []


def test_costs_are_not_guessed_from_a_few_passages_or_a_cold_model() -> None:
    few, enough = search(candidates(FEWEST_TIMED - 1), [2]), search(candidates(FEWEST_TIMED), [2])
    assert costs(few, [10, 200]) == []
    assert costs(search(candidates(100), [2], cached=100 - FEWEST_TIMED + 1), [10, 200]) == []
    assert len(costs(enough, [10, 200])) == 2
    assert costs(replace(enough, cold=True), [10, 200]) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"page": 4, "page_end": 4}, "p. 4"),
        ({"page": 4, "page_end": None}, "p. 4"),
        ({"page": 4, "page_end": 5}, "pp. 4–5"),
        ({"page": None, "page_end": None, "heading": ("Care", "Feeding")}, "Care › Feeding"),
        ({"page": None, "page_end": None}, ""),
    ],
)
def test_location(fields: dict[str, Any], said: str) -> None:
    assert location(chunk(1, **fields)) == said


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.7123, "0.712"), (2.744, "2.74"), (-11.25, "−11.2"), (0.0, "0.000"), (-0.0001, "0.000"),
        (0.9996, "1.00"), (9.996, "10.0"), (99.96, "100"), (1234.5, "1234"), (float("nan"), "none"),
    ],
)  # fmt: skip
def test_three_digits(value: float, text: str) -> None:
    assert three_digits(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1e-5, "< 0.001"), (0.99999, "> 0.999"), (1.0, "1.00"), (0.42, "0.420")]
)
def test_relevance_is_never_rounded_to_certainty(value: float, text: str) -> None:
    assert relevance_text(value) == text


@pytest.mark.parametrize(
    ("ms", "text"), [(0.4, "0.4 ms"), (14.2, "14 ms"), (999.6, "1.0 s"), (1234, "1.2 s"), (123_456, "123 s")]
)
def test_duration(ms: float, text: str) -> None:
    assert duration(ms) == text


def test_a_heading_path_does_not_repeat_the_title() -> None:
    from ingest.records import Chunk
    from ui.presentation.formatting import location

    def at(*heading: str) -> str:
        return location(Chunk(1, "d", "Cranes", "p.md", None, None, heading, 0, 1, "x"))

    assert at("Cranes", "Care", "Feeding") == "Care › Feeding"
    assert at("Birds", "Care") == "Birds › Care"
    assert at("Cranes") == at() == ""


def test_scores_known_from_before_are_told_and_make_no_reranking_look_free() -> None:
    known = search(candidates(40), [2], cached=40)
    assert timing_bar(known)[-1]["detail"] == "40 passages, 40 of them scored earlier"
    assert costs(known, [40, 100]) == []
    (row,) = costs(search(candidates(40), [2], timings=Timings(1, 1, 100.0), cached=20), [40])
    assert (row["ms"], row["estimated"]) == (200.0, True)


def test_a_card_says_which_part_of_its_passage_was_read() -> None:
    result = search(candidates(3), [2, 1], windows={2: (0, 5)}, truncated=frozenset({1}))
    cards = payload(result)["after"]["cards"]
    assert "most of the question’s words" in cards[0]["notice"]
    assert "did not see its end" in cards[1]["notice"]
    assert cards[2]["notice"] == ""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("  a crane\nby the river ", "a crane by the river"),
        ("a crane stands by the river and waits", "a crane stands by…"),
        ("蛇" * 30, "蛇" * 19 + "…"),
        ("see annual_report_of_the_harbour.pdf", "see annual_report_o…"),
    ],
)
def test_a_line_that_is_cut_short_still_says_something(text: str, line: str) -> None:
    assert shortened(text, 20) == line


def test_passages_without_spaces_are_read_in_the_terminal() -> None:
    result = search(candidates(2, chunk(1, "蛇" * 400, title="鹤" * 90)), [2, 1])
    text = side_by_side(result, 2, read_result(result, Choice.SIGMOID, None), 2)
    assert "鹤" * 20 in text
    assert "蛇" * 20 in text
