"""Scores known from before: what is found again, what is not, and everything that can happen to the file."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.models.spec import ResolvedModel
from rerank.scorers import score_store
from rerank.scorers.base import OnBatch, Scores
from rerank.scorers.cached import CachedScorer
from rerank.scorers.score_store import ScoreStore
from tests.fakes import WordScorer

PASSAGES = ("a snake kills", "venom of a cobra", "the bank of the river", "python code")


class Fractions(WordScorer):
    """Logits that only float32 keeps, and a passage that is cut."""

    def __init__(self, engine: str = "int8") -> None:
        super().__init__()
        self.engine = engine

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        scores = super().score(query, passages, on_batch)
        logits = np.array([np.float32(len(passage)) / np.float32(3) for passage in passages], np.float32)
        return replace(
            scores, logits=logits, truncated=np.array(["bank" in passage for passage in passages], np.bool_)
        )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "scores.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[ScoreStore]:
    made = ScoreStore(path)
    yield made
    made.close()


def again(path: Path) -> tuple[Fractions, CachedScorer]:
    """A scorer in what might be another process: nothing in memory, the same file."""
    inner = Fractions()
    return inner, CachedScorer(inner, ScoreStore(path))


def test_scores_come_back_bit_for_bit_from_memory_and_from_disk(store: ScoreStore, path: Path) -> None:
    inner = Fractions()
    scorer = CachedScorer(inner, store)
    first = scorer.score("snake", PASSAGES)
    other, reopened = again(path)
    for found in (scorer.score("snake", PASSAGES), reopened.score("snake", PASSAGES)):
        assert (
            found.logits.tobytes()
            == first.logits.tobytes()
            == Fractions().score("snake", PASSAGES).logits.tobytes()
        )
        assert found.tokens.tolist() == first.tokens.tolist()
        assert found.truncated.tolist() == [False, False, True, False]
        assert (first.cached, found.cached) == (0, 4)
    assert (len(inner.calls), len(other.calls)) == (1, 0)


def test_only_what_is_missing_is_scored_and_progress_still_adds_up(store: ScoreStore) -> None:
    inner = Fractions()
    scorer = CachedScorer(inner, store)
    scorer.score("snake", PASSAGES[1:3])
    heard: list[int] = []
    scores = scorer.score("snake", PASSAGES, heard.append)
    assert inner.calls == [("snake", 2), ("snake", 2)]
    assert heard == [2, 2]
    assert scores.cached == 2
    assert scores.logits.tolist() == Fractions().score("snake", PASSAGES).logits.tolist()


def test_another_question_model_engine_or_text_is_scored_anew(store: ScoreStore, tmp_path: Path) -> None:
    CachedScorer(Fractions(), store).score("snake", PASSAGES)
    retrained = Fractions()
    retrained.model = replace(retrained.model, folder=tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"other")
    renamed = Fractions()
    renamed.model = replace(renamed.model, spec=replace(renamed.model.spec, revision="2"))
    for inner, query in (
        (Fractions("fp32"), "snake"), (Fractions(), "snakes"), (retrained, "snake"), (renamed, "snake"),
    ):  # fmt: skip
        CachedScorer(inner, store).score(query, PASSAGES)
        assert len(inner.calls) == 1
    assert CachedScorer(Fractions(), store).score("snake", ["a snake kills."]).cached == 0


def test_another_weight_of_the_mix_uses_the_same_scores(store: ScoreStore) -> None:
    CachedScorer(Fractions(), store).score("snake", PASSAGES)
    mixed = Fractions()
    mixed.model = ResolvedModel(
        replace(mixed.model.spec, bi_weight=9.0), mixed.model.source, mixed.model.folder
    )
    assert CachedScorer(mixed, store).score("snake", PASSAGES).cached == 4


def test_numbers_that_are_none_are_tried_again(store: ScoreStore) -> None:
    class Failing(Fractions):
        def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
            scores = super().score(query, passages, on_batch)
            scores.logits[0] = np.nan
            return scores

    CachedScorer(Failing(), store).score("snake", PASSAGES)
    assert CachedScorer(Fractions(), store).score("snake", PASSAGES).cached == 3


def test_the_file_holds_no_text(store: ScoreStore, path: Path) -> None:
    CachedScorer(Fractions(), store).score("a secret question", ["a secret passage"])
    store.close()
    assert path.stat().st_size > 0
    assert all(b"secret" not in file.read_bytes() for file in path.parent.iterdir())


def test_memory_keeps_what_was_used_last() -> None:
    store = ScoreStore(None, memory_entries=3)
    scorer = CachedScorer(Fractions(), store)
    scorer.score("snake", PASSAGES[:3])
    scorer.score("snake", PASSAGES[:1])  # used again, so it stays
    scorer.score("snake", PASSAGES[3:])
    assert [scorer.score("snake", [PASSAGES[row]]).cached for row in (0, 3, 1)] == [1, 1, 0]


def test_the_file_is_bounded_and_loses_what_was_longest_unused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_store, "ASKED_EVERY", 20)
    monkeypatch.setattr(score_store, "_today", lambda: today)
    for today in range(10):
        scorer = CachedScorer(Fractions(), ScoreStore(path, disk_entries=100))
        scorer.score("snake", [f"passage {today} {number}" for number in range(20)])
        scorer.score("snake", ["passage 0 7"])
    with sqlite3.connect(path) as db:
        (count,) = db.execute("SELECT count(*) FROM scores").fetchone()
    assert 80 <= count <= 120
    last = CachedScorer(Fractions(), ScoreStore(path))
    wanted = ["passage 9 3", "passage 0 7", "passage 0 8"]
    assert [last.score("snake", [text]).cached for text in wanted] == [1, 1, 0]


def test_a_changed_byte_costs_one_score_and_never_an_order(store: ScoreStore, path: Path) -> None:
    CachedScorer(Fractions(), store).score("snake", PASSAGES)
    store.close()
    with sqlite3.connect(path) as db:
        ((key, entry),) = db.execute("SELECT key, entry FROM scores LIMIT 1").fetchall()
        db.execute("UPDATE scores SET entry = ? WHERE key = ?", (b"\x01" + entry[1:], key))
    inner, scorer = again(path)
    assert scorer.score("snake", PASSAGES).cached == 3
    assert inner.calls == [("snake", 1)]


def another_version(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {score_store.VERSION + 1}")


def before_versions(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 0")


def without_its_table(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE scores")


def torn(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\x5a" * (len(whole) - 4096))


def overwritten(path: Path) -> None:
    path.write_bytes(b"no database at all" * 300)


@pytest.mark.parametrize("harm", [another_version, before_versions, without_its_table, torn, overwritten])
def test_a_file_with_anything_wrong_is_begun_anew(
    path: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    filler = ScoreStore(path)
    CachedScorer(Fractions(), filler).score("snake", [f"passage {number}" for number in range(2000)])
    filler.close()
    path.with_suffix(".damaged").write_bytes(b"what an earlier version put aside")
    harm(path)
    with caplog.at_level(logging.WARNING):
        _, scorer = again(path)
        assert scorer.score("snake", ["passage 7"]).cached == 0
        scorer.score("snake", PASSAGES)
    assert caplog.text.count("begun anew") == 1
    assert again(path)[1].score("snake", PASSAGES).cached == 4
    assert again(path)[1].score("snake", ["passage 8"]).cached == 0
    assert {file.name.partition("-")[0] for file in path.parent.iterdir()} == {"scores.sqlite"}


def test_a_file_that_another_process_holds_is_done_without(
    store: ScoreStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CachedScorer(Fractions(), store).score("snake", PASSAGES)
    monkeypatch.setattr(score_store, "WAIT_S", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        store.close()
        holder.execute("BEGIN EXCLUSIVE")
        _, scorer = again(path)
        assert scorer.score("snake", PASSAGES).cached == 0
        assert scorer.score("snake", PASSAGES).cached == 4  # from memory
    assert again(path)[1].score("snake", PASSAGES).cached == 4


def test_the_file_may_be_deleted_while_it_is_open(store: ScoreStore, path: Path) -> None:
    scorer = CachedScorer(Fractions(), store)
    scorer.score("snake", PASSAGES)
    for query, gone in (("cobra", [path]), ("python", list(path.parent.iterdir()))):
        for file in gone:
            file.unlink(missing_ok=True)
        scorer.score(query, PASSAGES)
        assert scorer.score(query, PASSAGES).cached == 4
        assert again(path)[1].score(query, PASSAGES).cached == 4  # the new file has them
    assert again(path)[1].score("snake", PASSAGES).cached == 0


def test_a_folder_that_cannot_be_written_costs_only_the_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    scorer = CachedScorer(Fractions(), ScoreStore(tmp_path / "taken" / "scores.sqlite"))
    with caplog.at_level(logging.WARNING):
        for query in ("snake", "cobra"):
            scorer.score(query, PASSAGES)
            assert scorer.score(query, PASSAGES).cached == 4
    assert caplog.text.count("rests for") == 1  # and not with every search


def test_a_full_disk_still_answers_what_it_holds(store: ScoreStore, path: Path) -> None:
    CachedScorer(Fractions(), store).score("snake", PASSAGES)
    store.close()
    full = ScoreStore(path)
    scorer = CachedScorer(Fractions(), full)
    assert scorer.score("snake", PASSAGES[:1]).cached == 1
    assert full._disk is not None
    assert full._disk._db is not None
    full._disk._db.execute(
        "PRAGMA max_page_count = 1"
    )  # what SQLite says then is what a full disk makes it say
    scorer.score("snake", [f"{number}" for number in range(3000)])
    assert scorer.score("snake", PASSAGES).cached == 1  # the disk rests; memory goes on
    assert again(path)[1].score("snake", PASSAGES).cached == 4


def test_many_threads_and_two_processes_share_one_file(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.integration.rerank.scorers.test_score_cache import again\n"
        "scorer = again(Path(sys.argv[1]))[1]\n"
        "for number in range(60): scorer.score(f'{sys.argv[2]} {number}', ['a', 'bb', 'ccc'])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(path), name], env=environment) for name in "xy"
    ]
    shared = CachedScorer(Fractions(), ScoreStore(path))

    def ask(number: int) -> None:
        for turn in range(20):
            found = shared.score(f"t {(number + turn) % 30}", ["a", "bb", "ccc"])
            assert found.logits.tolist() == Fractions().score("t", ["a", "bb", "ccc"]).logits.tolist()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(60) for process in processes] == [0, 0]
    scorer = again(path)[1]
    asked = [f"{name} {number}" for name, most in (("x", 60), ("y", 60), ("t", 27)) for number in range(most)]
    known = [scorer.score(query, ["a", "bb", "ccc"]).cached == 3 for query in asked]
    assert sum(known) >= 0.9 * len(known)  # who finds the file held by another does without
