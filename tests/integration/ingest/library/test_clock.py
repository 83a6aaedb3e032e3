"""A clock that is set back or forward: nothing that must be in order goes by it."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.library import labels
from ingest.library.archive.export import export_library
from ingest.library.archive.importing import import_library
from ingest.library.health.doctor import examine
from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from ingest.library.library import Library
from ingest.models import hub
from ingest.models.hub import Hub
from ingest.records import FileStatus
from retrieval.retriever import Retriever
from tests.conftest import Desk

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Clock:
    """What `datetime.now` says until it is set to another time."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self, _: Any) -> datetime:
        return self.time

    def __getattr__(self, name: str) -> Any:
        return getattr(datetime, name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(labels, "datetime", clock)
    return clock


def test_a_judgement_made_after_the_clock_was_set_back_is_still_the_later_one(
    desk: Desk, tmp_path: Path, clock: Clock
) -> None:
    desk.add(desk.write("a.txt", "The crane."))
    store = Labels(desk.library)
    store.set("crane", "a" * 64, Grade.NOT)
    first = store.all()
    clock.time = NOW - timedelta(days=400)
    store.set("crane", "a" * 64, Grade.RELEVANT)
    assert store.merge(first).kept == 1, "an import of the first judgement took the place of the second"
    export_library(desk.library, tmp_path / "export.zip")
    import_library(tmp_path / "export.zip", tmp_path / "copy")
    for library in (desk.library, Library(tmp_path / "copy")):
        assert Labels(library).grades("crane") == {"a" * 64: Grade.RELEVANT}
    clock.time = NOW + timedelta(days=1)
    store.set("crane", "a" * 64, Grade.PARTLY)
    assert store.all()[0].judged == clock.time
    assert examine(desk.library.folder) == []


@pytest.mark.parametrize("written", [0, 4_000_000_000])
def test_files_and_generations_of_other_times_are_taken_as_they_come(desk: Desk, written: int) -> None:
    """A file is known by its bytes, a generation by its number: dates are never compared."""
    path = desk.write("a.txt", "The old crane.")
    desk.add(path)
    with desk.library.connection() as db:
        db.execute("UPDATE generations SET created = '2999-01-01 00:00:00'")
    desk.write("a.txt", "The new crane.")
    os.utime(path, (written, written))
    assert desk.add(path).files[0].status is FileStatus.REPLACED
    assert desk.add(path).files[0].status is FileStatus.UNCHANGED
    (candidate,) = Retriever(desk.library, desk.encoder).retrieve("crane", 10).candidates
    assert candidate.chunk.text == "The new crane."
    assert examine(desk.library.folder) == []


@pytest.mark.parametrize(
    ("jump", "asked"), [(0, False), (599, False), (601, True), (-1, True), (-86_400, True), (10**8, True)]
)
def test_what_is_remembered_of_the_hub_holds_for_ten_minutes_and_never_from_the_future(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float, asked: bool
) -> None:
    times, asks = [time.time()], list[str]()

    def ask(endpoint: str) -> str:
        asks.append(endpoint)
        return "the hub cannot be reached"

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_ask", ask)
    monkeypatch.setattr("ingest.models.hub_memory.time.time", lambda: times[-1])
    assert Hub(memory=tmp_path / "hub.json").why_not_now() == "the hub cannot be reached"
    times.append(times[-1] + jump)
    assert Hub(memory=tmp_path / "hub.json").why_not_now() == "the hub cannot be reached"
    assert len(asks) == 1 + asked
