"""Evaluation over a real library: verdicts on planted rerankers, MaxP, the cache, faults of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ingest.errors import DamagedFileError, ModelError, UsageError
from ingest.models.spec import ModelSpec
from rerank.evaluation.cache import FILE
from rerank.evaluation.comparison import Comparison, Contrast, Row
from rerank.evaluation.corpus import default_folder, fill_library
from rerank.evaluation.plan import evaluate
from rerank.evaluation.runs import write_both
from rerank.judged.dataset import read_judged_set
from rerank.judged.records import Verdict
from tests.fakes import WordEncoder, WordScorer
from tests.parts.evaluation_parts import (
    Planted,
    as_before,
    knows,
    open_set,
    reversed_order,
    searcher,
    write_set,
)


def judge(dataset: Path, scorer: WordScorer | None, candidates: int = 4) -> Comparison:
    judged, library, encoder = open_set(dataset, dataset.parent / "library")
    return evaluate(judged, library, searcher(library, encoder, scorer), candidates)


def reranked(comparison: Comparison) -> Row:
    assert comparison.main is not None
    return comparison.main


def contrast(comparison: Comparison) -> Contrast:
    assert reranked(comparison).contrast is not None
    return reranked(comparison).contrast


def test_a_planted_good_reranker_helps(dataset: Path) -> None:
    found = judge(dataset, Planted("good", knows))
    assert contrast(found).verdict is Verdict.HELPS
    assert found.before.means["MRR@10"] == 0.5
    assert reranked(found).means["MRR@10"] == reranked(found).means["nDCG@10"] == 1.0
    difference = contrast(found).differences["nDCG@10"]
    assert difference.mean == pytest.approx(1 - 0.63093, abs=1e-5)
    assert difference.low == pytest.approx(difference.mean) == difference.high, "all queries gain the same"
    assert difference.p < 0.01
    assert (found.queries, found.documents) == (11, 44)


def test_a_reversed_order_hurts(dataset: Path) -> None:
    found = judge(dataset, Planted("reversed", reversed_order))
    assert contrast(found).verdict is Verdict.HURTS
    assert reranked(found).means["MRR@10"] == pytest.approx(1 / 3)
    assert found.main_gains[0].gain < 0


def test_an_identical_order_is_undecided(dataset: Path) -> None:
    found = judge(dataset, Planted("same", as_before))
    assert contrast(found).verdict is Verdict.UNDECIDED
    assert found.before.means == reranked(found).means
    assert {d.p for d in contrast(found).differences.values()} == {1.0}


def test_a_gain_on_one_query_of_many_is_undecided(dataset: Path) -> None:
    def lucky(query: str, passages: Sequence[str]) -> list[float]:
        return knows(query, passages) if query == "snake" else as_before(query, passages)

    found = judge(dataset, Planted("lucky", lucky))
    assert contrast(found).differences["nDCG@10"].mean > 0
    assert contrast(found).verdict is Verdict.UNDECIDED
    assert found.main_gains[-1].query == "snake"


def test_a_document_stands_where_its_best_passage_does(tmp_path: Path) -> None:
    far = " ".join(["steel"] * 400)  # several passages about something else, then the one that answers
    corpus = {"long": f"{far}\n\n{'snake ' * 120}", "short": "snake bird", "none": "river"}
    folder = write_set(tmp_path / "set", corpus, {"q": "snake"}, [("q", "long", 1)])
    found = judge(folder, Planted("same", as_before), candidates=100)
    order = found.before.system.orders["q"]
    assert order[0] == "long"
    assert sorted(order) == ["long", "none", "short"], "a document is ranked once"


def test_a_second_run_asks_no_model_and_a_changed_one_asks_again(dataset: Path) -> None:
    first, second, third = Planted("good", knows), Planted("good", knows), Planted("other", knows)
    before = judge(dataset, first)
    again = judge(dataset, second)
    assert (len(first.calls), len(second.calls)) == (11, 0)
    assert again == before
    judge(dataset, third)
    assert len(third.calls) == 11, "another reranker's results were taken"
    deeper = Planted("good", knows)
    judge(dataset, deeper, candidates=5)
    assert {passages for _, passages in deeper.calls} == {1}, "only the fifth passage of each is new"
    assert len(deeper.calls) == 11


def test_a_changed_corpus_makes_first_looks_void_and_only_new_passages_are_scored(dataset: Path) -> None:
    judge(dataset, Planted("good", knows))
    path = dataset / "corpus.jsonl"
    path.write_text(path.read_text() + '{"_id": "late", "text": "snake snake"}\n')
    scorer = Planted("good", knows)
    found = judge(dataset, scorer)
    assert scorer.calls == [("snake", 1)], "the other topics' candidates are what they were"
    assert "late" in found.before.system.orders["snake"]
    path.write_text(
        "".join(line for line in path.read_text().splitlines(keepends=True) if '"late"' not in line)
    )
    assert "late" not in judge(dataset, scorer).before.system.orders["snake"]


@pytest.mark.parametrize("content", [None, b"no database at all, but long enough to be taken for one" * 99])
def test_the_cache_may_be_deleted_or_damaged(dataset: Path, content: bytes | None) -> None:
    before = judge(dataset, Planted("good", knows))
    path = dataset.parent / "library" / FILE
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    scorer = Planted("good", knows)
    assert reranked(judge(dataset, scorer)).means == reranked(before).means
    assert len(scorer.calls) == 11


def test_a_failed_rerank_counts_as_unchanged_is_told_and_is_not_kept(dataset: Path) -> None:
    def fails_once(query: str, passages: Sequence[str]) -> Sequence[float]:
        if query == "snake":
            raise RuntimeError("out of memory")
        return knows(query, passages)

    found = judge(dataset, Planted("good", fails_once))
    assert reranked(found).system.orders["snake"] == found.before.system.orders["snake"]
    assert any(
        n.text.startswith("1 of 11 queries were not reranked") and "out of memory" in n.text
        for n in found.notices
    )
    mended = Planted("good", knows)
    assert reranked(judge(dataset, mended)).means["MRR@10"] == 1.0
    assert [query for query, _ in mended.calls] == ["snake"]


def test_without_a_reranker_there_is_nothing_to_evaluate(dataset: Path) -> None:
    with pytest.raises(ModelError, match="no second look to evaluate"):
        judge(dataset, None)


def test_a_folder_of_documents_is_a_corpus_by_its_file_names(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", {}, {"q": "snake"}, [("q", "a.md", 1), ("q", "gone.txt", 1)])
    (folder / "corpus.jsonl").unlink()
    (folder / "documents").mkdir()
    for name, text in (("a.md", "snake"), ("b.txt", "river"), ("c.txt", "river")):
        (folder / "documents" / name).write_text(text)
    judged = read_judged_set(folder, "test")
    library, notices = fill_library(judged, tmp_path / "library", WordEncoder())
    assert [notice for notice in notices if "c.txt" in notice.text], (
        "a duplicate that cannot be found must be told"
    )
    assert any("1 of 2 relevant documents" in notice.text and "gone.txt" in notice.text for notice in notices)
    found = evaluate(judged, library, searcher(library, WordEncoder(), Planted("same", as_before)), 10)
    assert found.before.system.orders["q"][0] == "a.md"
    assert found.before.means["recall@10"] == 0.5


def test_the_sets_own_library_follows_the_folder_and_lies_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = write_set(tmp_path / "set", {}, {"q": "snake"}, [("q", "a.md", 1)])
    (folder / "corpus.jsonl").unlink()
    (folder / "documents").mkdir()
    for name in ("a.md", "b.md"):
        (folder / "documents" / name).write_text(f"snake {name}")
    spec: ModelSpec = WordEncoder().model.spec
    judged = read_judged_set(folder, "test")
    place = default_folder(judged, spec)
    assert place.is_relative_to(tmp_path / "cache")
    fill_library(judged, place, WordEncoder())
    (folder / "documents" / "b.md").unlink()
    encoder = WordEncoder()
    library, _ = fill_library(read_judged_set(folder, "test"), place, encoder)
    assert [Path(document.path).name for document in library.documents()] == ["a.md"]
    assert encoder.calls == [], "what was embedded is embedded again"


def test_only_judged_queries_of_the_split_are_asked(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", {"a": "snake"}, {"q1": "snake", "q2": "bird"}, [("q1", "a", 1)])
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq2\ta\t0\nq2\tb\t1\n")
    assert list(read_judged_set(folder, "test").queries) == ["q1"]
    assert read_judged_set(folder, "train").qrels == {"q2": {"a": 0, "b": 1}}
    with pytest.raises(UsageError, match=r"dev\.tsv is not there.*test, train"):
        read_judged_set(folder, "dev")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("q\ta\n", "Line 1 of .* is not “query-id"),
        ("q\ta\tmuch\n", "Line 1"),
        ("q\ta\t1\nq\tb\t99999999999999999999999\n", "Line 2"),
        ("query-id\tcorpus-id\tscore\n", "no judgements"),
        ("other\ta\t1\n", "no text for 1 of 1 queries.*“other”"),
        ("q\ta\t0\n", "no document relevant"),
    ],
)
def test_damaged_judgements_are_named(tmp_path: Path, table: str, words: str) -> None:
    folder = write_set(tmp_path / "set", {"a": "snake"}, {"q": "snake"}, [])
    (folder / "qrels" / "test.tsv").write_text(table)
    with pytest.raises(DamagedFileError, match=words):
        read_judged_set(folder, "test")


def test_judgements_of_another_corpus_are_refused(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", {"a": "snake"}, {"q": "snake"}, [("q", "elsewhere", 1)])
    with pytest.raises(DamagedFileError, match="None of the 1 relevant documents"):
        open_set(folder, tmp_path / "library")


@pytest.mark.parametrize(
    ("corpus", "words"),
    [("", "is empty"), ('{"_id": "a", "text": "snake"}\n{oops\n', "line 2 is not JSON")],
    ids=["empty", "damaged"],
)
def test_a_corpus_that_cannot_be_indexed_is_said_to_be_the_fault(
    tmp_path: Path, corpus: str, words: str
) -> None:
    folder = write_set(tmp_path / "set", {"a": "snake"}, {"q": "snake"}, [("q", "a", 1)])
    (folder / "corpus.jsonl").write_text(corpus)
    with pytest.raises(
        DamagedFileError, match=f"^No document of set could be indexed: .*corpus.jsonl .*{words}"
    ):
        open_set(folder, tmp_path / "library")


def test_a_folder_that_is_no_judged_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a judged set"):
        read_judged_set(tmp_path, "test")


def test_an_overlong_query_is_cut_and_told(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", {"a": "snake"}, {"q": "snake " * 500}, [("q", "a", 1)])
    judged = read_judged_set(folder, "test")
    assert len(judged.queries["q"]) == 2000
    assert "1 queries are longer" in judged.notices[0].text


def test_a_run_with_white_space_in_an_id_is_refused(dataset: Path, tmp_path: Path) -> None:
    found = judge(dataset, Planted("good", knows))
    orders = reranked(found).system.orders
    before, after = write_both(tmp_path / "out.txt", found.before.system.orders, orders)
    assert (before.name, after.name) == ("out.before.txt", "out.after.txt")
    first = after.read_text().splitlines()[0].split()
    assert first == ["snake", "Q0", "snake1", "1", "44", "second-look"], "all are listed, four are reranked"
    with pytest.raises(UsageError, match="white space"):
        write_both(tmp_path / "out.txt", {}, {"two words": orders["snake"]})
