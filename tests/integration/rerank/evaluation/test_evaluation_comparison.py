"""Several systems over a real library: planted rerankers, depths from one scoring, fusion, corrected p, the front."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.models.spec import ModelSpec
from rerank.evaluation.cache import FILE
from rerank.evaluation.comparison import Comparison, pareto_front
from rerank.evaluation.ensemble import ensemble_systems
from rerank.evaluation.plan import Plan, compare, evaluate
from rerank.evaluation.scoring import ScoredQuery
from rerank.evaluation.systems import Combination, best_weight, systems_of
from rerank.judged.dataset import read_judged_set, read_tuning_set
from rerank.judged.records import Verdict
from rerank.judged.significance import holm
from retrieval.records import CandidateSource
from tests.parts.evaluation_parts import (
    Planted,
    as_before,
    knows,
    open_set,
    reversed_order,
    searcher,
    write_set,
)


def throws_dice(query: str, passages: Sequence[str]) -> list[float]:
    drawn = random.Random(query)
    return [drawn.random() for _ in passages]


def contest(dataset: Path, *planted: Planted, depths: tuple[int, ...] = (4,), **more: bool) -> Comparison:
    judged, library, encoder = open_set(dataset, dataset.parent / "library")
    openers = {
        scorer.model.name: (lambda scorer=scorer: searcher(library, encoder, scorer)) for scorer in planted
    }
    tuning = read_tuning_set(judged)
    return compare(judged, library, openers, Plan(depths, **more), tuning)


def test_bad_rerankers_hurt_a_good_one_helps_and_an_identical_order_is_undecided(dataset: Path) -> None:
    found = contest(
        dataset,
        Planted("reversed", reversed_order),
        Planted("random", throws_dice),
        Planted("same", as_before),
        Planted("good", knows),
        depths=(44,),
    )
    verdicts = {row.system.name: row.contrast.verdict for row in found.rows}
    assert verdicts == {
        "reversed": Verdict.HURTS,
        "random": Verdict.HURTS,
        "same": Verdict.UNDECIDED,
        "good": Verdict.HELPS,
    }
    assert found.rows[2].means == found.before.means
    assert found.main == found.rows[0]


def test_p_is_corrected_for_the_number_of_systems(dataset: Path) -> None:
    found = contest(dataset, Planted("good", knows), Planted("same", as_before), depths=(2, 4), pairs=True)
    for row in found.rows[:2]:
        raw = row.contrast.differences["nDCG@10"].p
        assert raw < row.contrast.adjusted["nDCG@10"] <= 4 * raw
    (pair,) = found.pairs
    assert (pair.earlier.name, pair.later.name, pair.later.depth) == ("good", "same", 4)
    assert pair.contrast.verdict is Verdict.HURTS
    assert pair.contrast.adjusted["nDCG@10"] == pair.contrast.differences["nDCG@10"].p, "one pair, one test"


def test_holms_method_by_hand() -> None:
    # Sorted .01, .02, .03, .9 count 4, 3, 2 and 1 times; none falls below the one before it.
    assert holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx([0.06, 0.04, 0.9, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_every_depth_comes_of_one_scoring_and_leaves_the_rest_in_the_first_order(dataset: Path) -> None:
    reverse = Planted("reversed", reversed_order)
    found = contest(dataset, reverse, depths=(1, 3, 4))
    assert [passages for _, passages in reverse.calls] == [4] * 11
    first = found.before.system.orders["snake"]
    assert len(first) == 44, "all are listed, few are reordered"
    orders = {row.system.depth: row.system.orders["snake"] for row in found.rows}
    assert orders[1] == first
    assert orders[3] == (*first[2::-1], *first[3:])
    assert orders[4] == (*first[3::-1], *first[4:])
    alone = contest(dataset, Planted("reversed", reversed_order), depths=(3,)).rows[0]
    assert alone.figures == found.rows[1].figures


def test_a_further_reranker_runs_alone_and_deeper_lists_score_only_what_is_new(dataset: Path) -> None:
    contest(dataset, Planted("good", knows))
    good, other = Planted("good", knows), Planted("other", as_before)
    contest(dataset, good, other, fusion=True)
    assert (len(good.calls), len(other.calls)) == (0, 11)
    contest(dataset, good, depths=(2, 6))
    assert {passages for _, passages in good.calls} == {2}


def scored(logits: Sequence[float], cosines: Sequence[float], tokens: Sequence[int]) -> ScoredQuery:
    """Candidates a, b, c, …, each of a document of its own."""
    return ScoredQuery(
        tuple("abcdefgh"[: len(cosines)]),
        np.array(cosines, dtype=np.float32),
        np.array(logits, dtype=np.float32),
        np.array(tokens),
        10.0,
        600.0,
    )


def test_a_shorter_list_costs_its_share_of_the_tokens() -> None:
    query = scored([1, 2, 3], [0.9, 0.8, 0.7, 0.6], [10, 20, 30])
    assert [query.milliseconds(depth) for depth in (1, 2, 3, 4)] == [110.0, 310.0, 610.0, 610.0]


def test_systems_mix_fuse_and_stand_alone() -> None:
    query = {"q": scored([0, 1, 4], [0.9, 0.8, 0.1], [1, 1, 1])}
    systems = systems_of("ours", query, (3,), bi_weight=5.0, fusion_weight=0.2)
    orders = {system.title: "".join(system.orders["q"]) for system in systems}
    assert orders == {
        "ours": "bac",  # 4.5, 5, 4.5: a before c, as at first
        "ours, logit alone": "cba",
        "ours + weighted 0.2": "abc",
        "ours + reciprocal rank": "acb",  # 1/61 + 1/63, 2/62, and the same as a's
    }
    assert [s.combination for s in systems_of("x", query, (3,), 0.0, 0.5)].count(Combination.ALONE) == 0


def test_several_rerankers_and_the_first_look_are_fused_as_one() -> None:
    one = {"q": scored([0, 1, 4], [0.9, 0.8, 0.1, 0.05], [1, 1, 1])}
    other = {"q": scored([9, 1, 8], [0.9, 0.8, 0.1, 0.05], [1, 1, 1])}
    systems = ensemble_systems({"one": one, "other": other}, (2, 3))
    found = {(system.title, system.depth): "".join(system.orders["q"]) for system in systems}
    assert found == {
        # z of the first look .80, .54, -1.34, of one -.98, -.39, 1.37, of the other .84, -1.40, .56
        ("one and other + weighted", 3): "acbd",
        ("one and other + weighted", 2): "abcd",  # two for a, one for b
        # a is 1st, 3rd, 1st; b 2nd, 2nd, 3rd; c 3rd, 1st, 2nd
        ("one and other + reciprocal rank", 3): "acbd",
        ("one and other + reciprocal rank", 2): "abcd",
    }
    assert systems[1].milliseconds["q"] == 10.0 + 600.0 + 600.0


def test_a_reranker_that_failed_at_a_query_takes_no_part_in_its_fusion() -> None:
    cosines = [0.9, 0.8, 0.1]
    failed, good = scored([], cosines, []), scored([0, 1, 4], cosines, [1, 1, 1])
    systems = ensemble_systems({"failed": {"q": failed}, "good": {"q": good}}, (3,))
    alone = systems_of("good", {"q": good}, (3,), 0.0, 0.5)
    assert [system.orders for system in systems] == [system.orders for system in alone[1:]]
    (nothing, _) = ensemble_systems({"a": {"q": failed}, "b": {"q": failed}}, (3,))
    assert nothing.orders["q"] == tuple("abc")
    with pytest.raises(ValueError, match="same candidates"):
        ensemble_systems({"a": {"q": good}, "b": {"q": replace(good, documents=("x", "y", "z"))}}, (3,))


def test_rerankers_are_fused_in_a_comparison_where_that_is_asked_for(dataset: Path) -> None:
    planted = [Planted("good", knows), Planted("same", as_before)]
    plain = contest(dataset, *planted)
    found = contest(dataset, *planted, ensemble=True)
    titles = [row.system.title for row in found.rows]
    assert titles == ["good", "same", "good and same + weighted", "good and same + reciprocal rank"]
    assert [row.means for row in found.rows[:2]] == [row.means for row in plain.rows]
    assert found.rows[2].means["nDCG@10"] > found.before.means["nDCG@10"]
    assert found.main == found.rows[0]
    assert len(contest(dataset, planted[0], ensemble=True).rows) == 1, "one reranker is no company"


def test_the_weight_is_the_one_that_is_best_and_even_where_nothing_tells() -> None:
    query = {"q": scored([0, 1, 4], [0.9, 0.8, 0.1], [1, 1, 1])}
    assert best_weight(query, {"q": {"c": 1}}, 3) > 0.5, "only the reranker finds c"
    assert best_weight(query, {"q": {"a": 1}}, 3) <= 0.5
    assert best_weight(query, {"q": {"z": 1}}, 3) == 0.5


def test_weights_are_chosen_on_the_train_split_and_never_on_a_reported_question(dataset: Path) -> None:
    assert read_tuning_set(read_judged_set(dataset, "test")) is None
    even = contest(dataset, Planted("good", knows), fusion=True)
    assert even.rows[1].system.weight == 0.5
    assert any("even weights" in notice.text for notice in even.notices)
    queries = (dataset / "queries.jsonl").read_text()
    (dataset / "queries.jsonl").write_text(
        queries + '{"_id": "again", "text": "snake"}\n{"_id": "new", "text": "bird code"}\n'
    )
    (dataset / "qrels" / "train.tsv").write_text("again\tsnake1\t1\nvenom\tvenom1\t1\nnew\tbird1\t1\n")
    other = read_tuning_set(read_judged_set(dataset, "test"))
    assert other is not None
    assert list(other.queries) == ["new"]
    assert read_tuning_set(read_judged_set(dataset, "train")) is None
    chosen = contest(dataset, Planted("good", knows), fusion=True)
    assert any("on 1 queries of the split “train”" in notice.text for notice in chosen.notices)


def test_the_front_holds_what_nothing_beats() -> None:
    points = [(10, 0.3), (100, 0.5), (200, 0.4), (100, 0.5), (50, 0.3)]
    assert pareto_front(points) == [True, True, False, True, False]


def test_progress_is_told_over_all_rerankers(dataset: Path) -> None:
    judged, library, encoder = open_set(dataset, dataset.parent / "library")
    heard: list[tuple[int, int]] = []
    openers = {n: (lambda n=n: searcher(library, encoder, Planted(n, as_before))) for n in ("a", "b")}
    compare(judged, library, openers, Plan((4,)), on_progress=lambda done, total: heard.append((done, total)))
    assert heard == [(done, 22) for done in range(1, 23)]


def test_the_weight_of_a_mix_is_no_part_of_what_is_kept(dataset: Path) -> None:
    class Mixing(Planted):
        def __init__(self, weight: float) -> None:
            super().__init__("mixing", reversed_order)
            spec: ModelSpec = self.model.spec
            self.model = replace(self.model, spec=replace(spec, bi_weight=weight, bi_encoder="word-encoder"))

    weak, strong = Mixing(0.0), Mixing(1e6)
    assert contest(dataset, weak).rows[0].contrast.verdict is Verdict.HURTS
    found = contest(dataset, strong)
    assert strong.calls == []
    assert found.rows[0].system.orders["snake"] == found.before.system.orders["snake"]


def test_first_looks_are_compared_alone_and_under_a_reranker(tmp_path: Path) -> None:
    # The encoder knows no codes, so that it ranks the document with the one that was asked for last of all.
    texts = {f"d{n}": f"valve code {n}07" for n in range(1, 9)}
    queries = {f"q{n}": f"which valve has code {n}07" for n in range(2, 9)}
    write_set(tmp_path / "codes", texts, queries, [(f"q{n}", f"d{n}", 1) for n in range(2, 9)])
    judged, library, encoder = open_set(tmp_path / "codes", tmp_path / "library")
    alone = compare(
        judged, library, {}, Plan(sources=tuple(CandidateSource)),
        open_first_look=lambda: searcher(library, encoder, None),
    )  # fmt: skip
    assert [row.system.title for row in alone.rows] == ["words (BM25)", "vectors and words (RRF)"]
    words, both = (row.means["nDCG@10"] for row in alone.rows)
    assert words == 1.0 > both > alone.before.means["nDCG@10"]
    assert alone.main is not None
    planted = Planted("reversed", reversed_order)
    plan = Plan((2,), fusion=True, sources=(CandidateSource.WORDS, CandidateSource.BOTH))
    found = compare(judged, library, {"reversed": lambda: searcher(library, encoder, planted)}, plan)
    assert found.before.system.orders == alone.rows[0].system.orders
    assert [row.system.title for row in found.rows] == [
        "vectors and words (RRF)",
        *(
            f"reversed{how}, from {look}"
            for look in ("words (BM25)", "vectors and words (RRF)")
            for how in ("", " + weighted 0.5", " + reciprocal rank")
        ),
    ]
    best, second = found.before.system.orders["q5"][:2]
    assert found.main is not None
    assert found.main.system.orders["q5"][:2] == (second, best)
    # Reversed among two, BM25 and the reranker cancel out, and ties keep the first look's order.
    assert found.rows[3].system.orders["q5"][:2] == (best, second)


@pytest.fixture
def far_behind(tmp_path: Path) -> Path:
    """For one query, 130 passages of two long documents stand before the document that answers."""
    long = {f"long{n}": "\n\n".join(f"{'snake ' * 120}{n} {m}" for m in range(65)) for n in range(2)}
    corpus = {**long, "answer": "snake river", "none": "river bank"}
    return write_set(tmp_path / "far", corpus, {"q": "snake"}, [("q", "answer", 1)])


def test_the_first_looks_figures_are_the_same_however_deep_it_is_reranked(far_behind: Path) -> None:
    judged, library, encoder = open_set(far_behind, far_behind.parent / "library")
    scorer = Planted("same", as_before)
    asked = searcher(library, encoder, scorer)
    alone = [evaluate(judged, library, asked, depth) for depth in (1, 10, 100, 200, 1)]
    figures = [found.before.means for found in alone]
    assert figures == [figures[0]] * 5
    assert figures[0]["recall@100"] == 1.0, "the third document comes after 130 passages"
    assert {found.before.system.orders["q"] for found in alone} == {("long0", "long1", "answer", "none")}
    assert [depth for _, depth in scorer.calls] == [1, 9, 90, 32], "what is listed is not all scored"


@pytest.mark.parametrize("source", list(CandidateSource))
def test_a_hundred_documents_are_listed_for_every_first_look(tmp_path: Path, source: CandidateSource) -> None:
    """Each of 120 documents has two passages that say the same, so that 100 passages are of 50."""
    corpus = {f"d{n:03d}": "\n\n".join(["snake " * 100 + f"{'bird ' * n}"] * 2) for n in range(20)}
    corpus |= {f"e{n:03d}": f"snake {'river ' * (n + 1)}" for n in range(100)}
    folder = write_set(tmp_path / "set", corpus, {"q": "snake"}, [("q", "e099", 1)])
    judged, library, encoder = open_set(folder, tmp_path / "library")
    asked = searcher(library, encoder, Planted("same", as_before))
    found = [
        compare(judged, library, {"same": lambda: asked}, Plan((n,), sources=(source,))) for n in (5, 150)
    ]
    orders = [one.before.system.orders["q"] for one in found]
    assert len(orders[0]) == 100
    assert orders[1][:100] == orders[0]
    assert found[0].before.means == found[1].before.means


def test_first_looks_that_were_kept_otherwise_are_made_anew_and_scores_are_not(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("rerank.evaluation.cache.LOOKS", "2")
        contest(dataset, Planted("good", knows))
    with sqlite3.connect(dataset.parent / "library" / FILE) as db:
        kept = {key: json.loads(entry) for key, entry in db.execute("SELECT key, entry FROM entries")}
        for key, entry in kept.items():
            if "documents" in entry:  # as they were: no more than were asked for
                short = {n: row[:2] if isinstance(row, list) else row for n, row in entry.items()}
                db.execute("UPDATE entries SET entry = ? WHERE key = ?", (json.dumps(short), key))
    again = Planted("good", knows)
    assert len(contest(dataset, again).before.system.orders["snake"]) == 44
    assert again.calls == []


def test_without_rerankers_somebody_has_to_look(dataset: Path) -> None:
    judged, library, _ = open_set(dataset, dataset.parent / "library")
    with pytest.raises(ValueError, match="no reranker"):
        compare(judged, library, {}, Plan())
