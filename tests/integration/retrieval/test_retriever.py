"""Retrieval against cosines worked out by hand."""

from __future__ import annotations

import threading
from math import sqrt
from typing import Any

import pytest

from ingest.library.index_files import open_index
from ingest.library.writer import writing
from ingest.notices import NoticeKind
from retrieval.retriever import PINS, Retriever
from tests.conftest import Desk


@pytest.fixture
def filled(desk: Desk) -> Desk:
    desk.add(
        desk.write("snake.txt", "snake snake venom"),
        desk.write("python.txt", "python code"),
        desk.write("bank.txt", "bank river flood"),
    )
    return desk


def test_scores_are_cosines_and_ranks_count_from_one(filled: Desk) -> None:
    found = Retriever(filled.library, filled.encoder).retrieve("snake", 2).candidates
    # The passage is "snake\nsnake snake venom": counts 3 and 1, so the cosine with "snake" is 3/√10.
    assert found[0].chunk.text == "snake snake venom"
    assert found[0].score == pytest.approx(3 / sqrt(10), abs=1e-6)
    assert [candidate.rank for candidate in found] == [1, 2]


def test_equal_scores_come_in_a_fixed_order_and_small_libraries_give_fewer(filled: Desk) -> None:
    retriever = Retriever(filled.library, filled.encoder)
    orders = {
        tuple(c.chunk.id for c in retriever.retrieve("nothing known here", 100).candidates) for _ in range(5)
    }
    assert len(orders) == 1
    assert len(orders.pop()) == 3


def test_an_empty_library_has_no_candidates(desk: Desk) -> None:
    assert Retriever(desk.library, desk.encoder).retrieve("snake", 10).candidates == ()


def test_adding_and_deleting_show_in_the_very_next_search(filled: Desk) -> None:
    retriever = Retriever(filled.library, filled.encoder)
    assert retriever.retrieve("snake", 1).candidates[0].chunk.title == "snake"
    with writing(filled.library) as writer:
        writer.delete([filled.library.find("snake").id])
    titles = [c.chunk.title for c in retriever.retrieve("snake", 10).candidates]
    assert sorted(titles) == ["bank", "python"]
    filled.add(filled.write("boa.txt", "snake without poison"))
    assert retriever.retrieve("snake", 1).candidates[0].chunk.title == "boa"


def test_eight_threads_search_while_documents_come_and_go(filled: Desk) -> None:
    retriever = Retriever(filled.library, filled.encoder)
    stop, problems, counts = threading.Event(), [], []

    def ask() -> None:
        while not stop.is_set():
            try:
                found = retriever.retrieve("bank river", 50).candidates
            except Exception as error:  # a thread's error must reach the test
                problems.append(error)
                return
            # A generation holds the three first documents and some number of pairs: never half a pair.
            counts.append(len(found))
            pairs = [c.chunk.text.split()[-1] for c in found if c.chunk.title.startswith("pair")]
            if any(pairs.count(number) != 2 for number in set(pairs)):
                problems.append(AssertionError(f"half a generation was seen: {pairs}"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(6):
        filled.add(
            *(filled.write(f"pair-{number}{side}.txt", f"{side} bank crane {number}") for side in "ab")
        )
        if number % 2:
            with writing(filled.library) as writer:
                writer.delete([filled.library.find(f"pair-{number}{side}").id for side in "ab"])
    stop.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(counts) > 8
    assert len(retriever.retrieve("bank", 50).candidates) == 3 + 2 * 3


@pytest.mark.parametrize("times", [1, 2, PINS + 3])
def test_an_index_that_a_writer_swept_away_is_no_damage(
    filled: Desk, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """However often a writer is quicker: it is searched, nothing is said, and the reader publishes nothing."""
    searcher, before = Retriever(filled.library, filled.encoder), filled.library.generation().id
    left = list(range(times))

    def too_late(*asked: Any) -> Any:
        if left:
            filled.add(filled.write(f"crane {left.pop()}.txt", f"crane {len(left)}"))
        return open_index(*asked)

    monkeypatch.setattr("retrieval.retriever.open_index", too_late)
    found = searcher.retrieve("snake", 100)
    assert found.candidates[0].chunk.text == "snake snake venom"
    made = min(times, PINS)
    assert filled.library.generation().id == before + made
    # What is made in memory at the last try is of the generation that was pinned, before the writer's last one.
    assert len(found.candidates) == 3 + (made if times < PINS else made - 1)
    assert found.notices == ()


def test_a_notice_of_damage_goes_with_its_generation(filled: Desk) -> None:
    searcher, generation = Retriever(filled.library, filled.encoder), filled.library.generation()
    assert generation.index is not None
    (filled.library.folder / "vectors" / generation.index.name).unlink()
    assert searcher.retrieve("snake", 3).notices[0].kind is NoticeKind.INDEX
    assert searcher.retrieve("snake", 3).notices == ()
    assert filled.library.generation().id == generation.id + 1
