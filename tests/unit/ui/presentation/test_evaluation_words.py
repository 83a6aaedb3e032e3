"""What the Evaluate view says, from comparisons whose figures are planted."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from rerank.evaluation.comparison import Comparison, compare_orders
from rerank.evaluation.systems import System
from rerank.judged.records import JudgedSet
from retrieval.records import CandidateSource
from ui.files.evaluation import report_json, table_csv
from ui.jobs.evaluation import Moment, Pace, progress_words
from ui.presentation.evaluation.frontier import frontier_svg
from ui.presentation.evaluation.page_table import table_html
from ui.presentation.evaluation.report import evaluation_report
from ui.presentation.evaluation.words import evidence, movers, verdict_words

QUERIES = [f"q{number}" for number in range(12)]
QRELS = {query: {"good": 1} for query in QUERIES}
FIRST = {"good": ("good", "poor"), "poor": ("poor", "good")}


def system(
    name: str, first: str, depth: int = 100, source: CandidateSource = CandidateSource.VECTORS
) -> System:
    return System(
        name,
        dict.fromkeys(QUERIES, FIRST[first]),
        dict.fromkeys(QUERIES, 2000.0 if depth else 14.0),
        depth,
        source=source,
    )


def compared(before: str, *others: System) -> Comparison:
    return compare_orders("set", QRELS, system("first look", before, 0), others, pairs=False)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("poor", "good", "Reranking helps here"),
        ("good", "poor", "Reranking hurts here"),
        ("good", "good", "Undecided: both orders score the same on every one of 12 questions."),
    ],
)
def test_the_verdict_in_plain_words(before: str, after: str, said: str) -> None:
    assert verdict_words(compared(before, system("a", after))).startswith(said)


def test_the_verdict_is_on_the_first_reranker_and_the_highest_is_named_beside_it() -> None:
    comparison = compared("good", system("a", "poor"), system("b", "good"))
    assert verdict_words(comparison).startswith("Reranking hurts here")
    lines = evidence(comparison)
    assert lines[0].startswith("a at depth 100: nDCG@10 1.000 → 0.631, a difference of −0.369")
    assert "(corrected for 2 systems)" in lines[0]
    assert lines[1] == "A search takes 2.0 s instead of 14 ms (medians)."
    assert lines[2] == "None of the 2 systems scores higher than the first look."


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("poor", "good", "These questions are answered better by words (BM25) than by the first look."),
        ("good", "poor", "These questions are answered better by the first look than by words (BM25)."),
    ],
)
def test_first_looks_alone_are_not_called_reranking(before: str, after: str, said: str) -> None:
    words = system("words (BM25)", after, 0, CandidateSource.WORDS)
    assert verdict_words(compared(before, words)) == said


def test_questions_that_moved_are_in_order_the_largest_moves_first() -> None:
    def order(place: int) -> tuple[str, ...]:
        return (*(f"poor{n}" for n in range(place - 1)), "good")

    before = dict(zip(QUERIES, (1, 1, 1, 1, 3, 4, 2, 2, 2, 2, 2, 2), strict=True))
    after = dict(zip(QUERIES, (3, 9, 2, 1, 1, 1, 1, 2, 2, 2, 2, 2), strict=True))
    first, second = (
        System(name, {q: order(place) for q, place in places.items()}, dict.fromkeys(QUERIES, 1.0), depth)
        for name, places, depth in (("first look", before, 0), ("a", after, 100))
    )
    comparison = compare_orders("set", QRELS, first, [second], pairs=False)
    judged = JudgedSet(Path("set"), "test", {query: f"{query}?" for query in QUERIES}, QRELS, ())
    fell, rose = movers(judged, comparison, comparison.rows[0])
    assert [mover.query for mover in fell] == ["q1", "q0", "q2"], "to places 9, 3 and 2"
    assert [mover.query for mover in rose] == ["q5", "q4", "q6"], "from places 4, 3 and 2"
    assert fell[0].places == "first relevant at\u00a01\u00a0→\u00a09"


def test_names_are_escaped_in_the_table_and_harmless_in_a_spreadsheet() -> None:
    comparison = compared("poor", system("=1+<b>", "good"))
    assert "<b>" not in table_html(comparison)
    assert "=1+&lt;b&gt;" in table_html(comparison)
    rows = list(csv.DictReader(io.StringIO(table_csv(comparison))))
    assert [row["system"] for row in rows] == ["first look", "'=1+<b>"]
    assert float(rows[1]["nDCG@10 difference"]) == pytest.approx(0.3691, abs=1e-4)
    assert (rows[0]["verdict"], rows[1]["verdict"]) == ("", "helps")


def test_what_a_large_corpus_costs_is_said_while_it_is_indexed() -> None:
    moment = Moment(200_000, 17_664, 412.3)
    said = "1 of 2: indexing 200,000 documents; 17,664 passages embedded, 412 a second"
    assert progress_words(moment, cancelled=False) == (0.0, said)


def test_the_picture_tells_a_rerankers_first_looks_apart() -> None:
    sources = (CandidateSource.VECTORS, CandidateSource.WORDS)
    rows = [system("a", "good", depth, source) for source in sources for depth in (10, 100)]
    picture = frontier_svg(compared("poor", *rows))
    assert len(set(re.findall(r'class="path" stroke="([^"]+)"', picture))) == 3
    assert picture.count(">from words (BM25)<") == 1


def test_json_is_the_report_of_the_command_line() -> None:
    comparison = compared("poor", system("a", "good"))
    assert json.loads(report_json(comparison)) == json.loads(json.dumps(evaluation_report(comparison)))


def test_time_left_follows_the_last_steps() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    for done in range(1, 31):  # twenty questions from the cache, then ten of 6 s
        now[0] += 6.0 if done > 20 else 0.0
        pace.note(done)
        if done == 1:
            assert pace.left(40) is None
    assert pace.left(40) == pytest.approx(10 * 60 / 12)  # two of the last twelve steps were still free
    assert progress_words(Moment(done=30, total=40, left=50.0), cancelled=False) == (
        0.75,
        "2 of 2: 30 of 40 questions asked, about 50 s left",
    )
