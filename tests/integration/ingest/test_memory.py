"""What was freed goes back to the system, also from between pieces that are in use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ingest.runtime import memory
from ingest.runtime.memory import give_back, give_back_at_times
from rerank.request import SearchRequest
from rerank.search import Searcher
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WordScorer

HELD = """
from ingest.runtime.memory import give_back
from tests.soak.memory import resident

pieces = [bytes(3_000) for _ in range(60_000)]
del pieces[:-1]  # the last one holds on to all that lies below it
before = resident()
give_back()
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is Linux's")
def test_memory_between_pieces_in_use_is_given_back() -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", HELD], cwd=root, capture_output=True, text=True, check=True)
    assert float(done.stdout) > 100, "megabytes of 180"


def test_a_c_library_that_cannot_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.runtime.memory._trim", lambda: None)
    give_back()


@pytest.fixture
def given_back(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When memory was given back, by a clock that a test sets: the last number of the list is the time."""
    times: list[float] = []
    monkeypatch.setattr(memory, "_last", [-memory.SECONDS_BETWEEN])
    monkeypatch.setattr(memory, "give_back", lambda: times.append(memory.monotonic()))
    return times


def test_many_small_jobs_give_back_once_in_a_while(
    given_back: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    for now in (0.0, 1.0, 9.9, 10.0, 10.1, 25.0):
        monkeypatch.setattr(memory, "monotonic", lambda now=now: now)
        give_back_at_times()
    assert given_back == [0.0, 10.0, 25.0]


def test_a_second_look_gives_back_what_it_needed(desk: Desk, given_back: list[float]) -> None:
    desk.add(desk.write("a.txt", "crane bank"), desk.write("b.txt", "bank bank money"))
    searcher = Searcher(Retriever(desk.library, desk.encoder), WordScorer())
    searcher.first_look(SearchRequest("bank"))
    assert not given_back
    assert searcher.search(SearchRequest("bank crane")).reranked
    assert len(given_back) == 1
