"""Before, A and B: what the three columns say, worked out by hand."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from tests.parts.looks import candidates, search
from ui.files.results import CSV_COLUMNS, OTHER_COLUMNS, to_csv, to_json, to_trec
from ui.presentation.columns import Look
from ui.presentation.view_model import comparison_payload

NINE = candidates(9)
A, B = search(NINE, [7, 1, 3]), search(NINE, [3, 8, 7])


def shown(other: Look, one: Any = A, **fields: Any) -> Any:
    given = {"state": "done", "progress": None, "marks": {}, **fields}
    return comparison_payload(
        query="a question", before=NINE, result=one, top_k=3, name="one", other=other, **given
    )


def keys(column: Any) -> list[str]:
    return [card["key"] for card in column["cards"]]


def test_both_rerankers_move_against_the_first_look() -> None:
    data = shown(Look(B, "done", name="two"))
    assert (data["after"]["heading"], data["other"]["heading"]) == ("A — one", "B — two")
    assert keys(data["other"]) == ["c3", "c8", "c7"]
    assert [card["badge"] for card in data["other"]["cards"]] == ["▲ 2", "▲ 6", "▲ 4"]
    assert [card["elsewhere"] for card in data["after"]["cards"]] == [
        "B: place 3",
        "B: place 4",
        "B: place 1",
    ]
    assert [card["elsewhere"] for card in data["other"]["cards"]] == [
        "A: place 3",
        "A: place 8",
        "A: place 1",
    ]
    assert [card["origin"] for card in data["before"]["cards"]] == ["A 2, B 4", "A 4, B 5", "A 3, B 1"]
    assert [card["direction"] for card in data["before"]["cards"]] == ["faller", "faller", "same"]
    assert set(data["passages"]) == {"c1", "c2", "c3", "c7", "c8"}
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_the_second_flow_leads_from_as_places_to_bs() -> None:
    lines = {line["key"]: line for line in shown(Look(B, "done", name="two"))["other"]["flow"]}
    assert set(lines) == {"c7", "c1", "c3", "c8"}
    assert (lines["c7"]["before"], lines["c7"]["after"], lines["c7"]["direction"]) == (1, 3, "faller")
    assert (lines["c8"]["before"], lines["c8"]["enters"]) == (8, True)
    assert (lines["c1"]["after"], lines["c1"]["leaves"]) == (4, True)


def test_neither_waits_for_the_other() -> None:
    waiting = shown(Look(None, "waiting", name="two"))
    assert (waiting["state"], waiting["other"]["state"]) == ("done", "waiting")
    assert keys(waiting["after"]) == ["c7", "c1", "c3"]
    assert keys(waiting["other"]) == ["c1", "c2", "c3"]
    assert all(card["pending"] for card in waiting["other"]["cards"])
    assert waiting["other"]["flow"] == []
    late = shown(Look(B, "done", name="two"), one=None, state="waiting")
    assert (late["state"], late["other"]["state"]) == ("waiting", "done")
    assert late["other"]["flow"] == []


def test_a_reranker_that_failed_leaves_the_other_with_a_sentence() -> None:
    data = shown(Look(None, "failed", name="two", failure="There is no second look B. It is not here."))
    assert keys(data["after"]) == ["c7", "c1", "c3"]
    assert data["other"]["note"] == "There is no second look B. It is not here."
    assert (data["other"]["cards"], data["other"]["flow"]) == ([], [])


def test_b_adds_columns_to_the_table_and_leaves_the_others_where_they_were() -> None:
    table = list(csv.reader(io.StringIO(to_csv(A, None, B), newline="")))
    assert tuple(table[0]) == (*CSV_COLUMNS, *OTHER_COLUMNS)
    alone = list(csv.reader(io.StringIO(to_csv(A), newline="")))
    assert [row[: len(CSV_COLUMNS)] for row in table] == alone
    assert [row[len(CSV_COLUMNS) :][:2] for row in table[1:4]] == [["3", "4"], ["4", "-3"], ["1", "2"]]


def test_the_json_holds_bs_order_and_how_the_two_agree() -> None:
    record = json.loads(to_json(A, None, B))
    assert [(row["rank"], row["before_rank"]) for row in record["other"]["after"][:2]] == [(1, 3), (2, 8)]
    assert record["other"]["reranker"] == "the cross-encoder"
    assert -1 < record["other"]["agreement"]["kendall_tau"] < 1
    assert "other" not in json.loads(to_json(A))


def test_trec_runs_are_a_file_an_order_with_the_ids_of_the_judgements() -> None:
    files = to_trec(A, B)
    assert list(files) == ["before.run", "A.run", "B.run"]
    assert list(to_trec(A)) == ["before.run", "after.run"]
    first = files["B.run"].splitlines()[0].split(" ")
    assert first[1:] == ["Q0", NINE[2].chunk.passage_hash, "1", "9", "B"]
    assert len({line.split(" ")[0] for text in files.values() for line in text.splitlines()}) == 1
