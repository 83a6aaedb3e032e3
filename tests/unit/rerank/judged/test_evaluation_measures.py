"""The figures are trec_eval's, and those that can be worked out by hand are right."""

from __future__ import annotations

import math
import random

import pytest
import pytrec_eval

from rerank.evaluation.runs import write_both
from rerank.judged.measures import measure
from rerank.judged.records import Difference, Verdict
from rerank.judged.significance import bootstrap_interval, difference, verdict

# Our names beside trec_eval's; its reciprocal rank knows no cut-off, so it is given ten documents.
TREC = {
    "nDCG@10": "ndcg_cut_10", "recall@10": "recall_10", "recall@100": "recall_100", "success@1": "success_1"
}  # fmt: skip


def dice(seed: int = 7) -> tuple[dict[str, dict[str, int]], dict[str, list[str]]]:
    """60 queries with grades from −1 to 3 on some of 200 documents, and an order of 150 for each but two."""
    throw = random.Random(seed)
    names = [f"d{number}" for number in range(200)]
    qrels = {
        f"q{n}": {d: throw.choice([-1, 0, 0, 1, 2, 3]) for d in throw.sample(names, 60)} for n in range(60)
    }
    return qrels, {query: throw.sample(names, 150) for query in list(qrels)[:-2]}


def test_figures_equal_trec_evals_on_a_run_that_we_wrote(tmp_path) -> None:
    qrels, orders = dice()
    both = orders, {query: order[::-1] for query, order in orders.items()}
    for path, run in zip(write_both(tmp_path / "run.trec", *both), both, strict=True):
        written = pytrec_eval.parse_run(path.read_text().splitlines(keepends=True))
        ours = measure(qrels, run)
        theirs = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut", "recall", "success"}).evaluate(written)
        top = {q: dict(sorted(row.items(), key=lambda pair: -pair[1])[:10]) for q, row in written.items()}
        first = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(top)
        for query in run:
            assert ours["MRR@10"][query] == pytest.approx(first[query]["recip_rank"], abs=1e-6)
            for name, key in TREC.items():
                assert ours[name][query] == pytest.approx(theirs[query][key], abs=1e-6), (name, query)
        assert list(ours["nDCG@10"]) == list(qrels), "pairs are drawn by place, so the order must be the same"
        assert ours["nDCG@10"]["q59"] == 0.0, "a query without an order counts as nothing found"
        assert len({round(value, 6) for value in ours["nDCG@10"].values()}) > 20, "the dice are too even"


def by_hand(grades: dict[str, int], order: list[str]) -> dict[str, float]:
    return {name: values["q"] for name, values in measure({"q": grades}, {"q": order}).items()}


def test_graded_gains_are_linear_as_in_trec_eval() -> None:
    found = by_hand({"good": 3, "fair": 1}, ["fair", "good"])
    dcg, ideal = 1 / math.log2(2) + 3 / math.log2(3), 3 / math.log2(2) + 1 / math.log2(3)
    assert found["nDCG@10"] == pytest.approx(dcg / ideal, abs=1e-9)
    assert (found["MRR@10"], found["recall@10"], found["success@1"]) == (1.0, 1.0, 1.0)


def test_an_unjudged_document_counts_as_not_relevant_and_keeps_its_place() -> None:
    found = by_hand({"good": 1, "bad": 0, "lost": 2}, ["never judged", "bad", "good"])
    assert found["nDCG@10"] == pytest.approx((1 / math.log2(4)) / (2 + 1 / math.log2(3)), abs=1e-9)
    assert found["MRR@10"] == pytest.approx(1 / 3)
    assert (found["recall@10"], found["recall@100"], found["success@1"]) == (0.5, 0.5, 0.0)


def test_a_query_without_a_relevant_document_counts_as_zero_in_every_mean() -> None:
    figures = measure({"q1": {"a": 1}, "q2": {"a": 0}}, {"q1": ["a"], "q2": ["a"], "unasked": ["a"]})
    assert all(values == {"q1": 1.0, "q2": 0.0} for values in figures.values())


def test_cut_offs_are_where_they_say() -> None:
    order = [f"x{number}" for number in range(10)] + ["good"]
    found = by_hand({"good": 1}, order)
    assert (found["nDCG@10"], found["MRR@10"], found["recall@10"], found["recall@100"]) == (0, 0, 0, 1)


def test_the_order_is_kept_where_names_would_break_ties_otherwise() -> None:
    assert by_hand({"a": 1}, ["a", "z"])["success@1"] == 1.0
    assert by_hand({"z": 1}, ["a", "z"])["success@1"] == 0.0


def test_p_of_the_randomisation_test_is_that_of_all_sign_flips() -> None:
    # Three gains of a half: of the 8 ways to flip signs, 2 are as far from zero as what was seen.
    assert difference([0.0] * 3, [0.5] * 3).p == pytest.approx(2 / 8, abs=0.02)
    # Ten of them: 2 of 1,024.
    assert difference([0.0] * 10, [0.5] * 10).p == pytest.approx(2 / 1024, abs=0.002)
    assert difference([0.3, 0.7], [0.3, 0.7]) == Difference(0.0, 0.0, 0.0, 1.0)


def test_the_bootstrap_interval_is_that_of_a_mean() -> None:
    values = [float(number % 2) for number in range(400)]  # standard error 0.5 / 20
    low, high = bootstrap_interval(values)
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.025, 0.5 + 1.96 * 0.025), abs=0.004)
    assert bootstrap_interval(values) == (low, high), "the same figures must give the same interval"
    assert bootstrap_interval([0.25]) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("mean", "p", "expected"),
    [
        (0.1, 0.049, Verdict.HELPS),
        (-0.1, 0.049, Verdict.HURTS),
        (0.1, 0.05, Verdict.UNDECIDED),
        (-0.1, 0.4, Verdict.UNDECIDED),
        (0.0, 0.001, Verdict.UNDECIDED),
    ],
)
def test_the_verdict_goes_by_ndcg_and_needs_p_below_a_twentieth(
    mean: float, p: float, expected: Verdict
) -> None:
    others = dict.fromkeys(("MRR@10", "recall@10"), Difference(0.9, 0.8, 1.0, 0.0001))
    assert verdict({"nDCG@10": Difference(mean, mean, mean, p), **others}) is expected
