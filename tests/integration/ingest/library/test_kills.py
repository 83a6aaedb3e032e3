"""A process that changes a library is killed at random moments, again and again; nothing reported is ever lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ingest.library.health.doctor import examine
from ingest.library.health.repair import repair
from ingest.library.health.view import Part
from ingest.library.labels import Labels
from ingest.library.library import Library, Manifest
from ingest.rebuild import rebuild
from rerank.calibration.store import FILE, load
from retrieval.records import CandidateSource
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import VOCABULARY, WORD_ENCODER, WordEncoder
from tests.integration.ingest.library.hand import text_of

ROOT = Path(__file__).parents[4]
# A life is killed when it has made 0 to 9 notes (0 to 4 actions), and up to so many seconds later: about as long as an
# action takes on two idle cores.
MOST_NOTES, LAST_ACTION = 10, 0.06


@pytest.fixture
def hands() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.ingest.library.hand"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.communicate(timeout=60)


@dataclass
class Known:
    """What must be true of a library: a version of each file, labels, a calibration; of what was under way, either."""

    files: dict[int, int] = field(default_factory=dict)
    maybe: dict[int, set[int | None]] = field(default_factory=dict)
    labels: dict[tuple[str, str], int] = field(default_factory=dict)
    maybe_label: tuple[tuple[str, str], int] | None = None
    calibration: int | None = None
    maybe_calibration: int | None = None
    on_disk: dict[int, int] = field(default_factory=dict)

    def hear(self, journal: Path) -> None:
        """Follow a life's journal to where it was killed."""
        for line in _notes(journal):
            getattr(self, f"_{line.pop('what')}")(**line)

    def _adding(self, files: dict[str, int | None]) -> None:
        for name, version in files.items():
            number = int(name)
            if version is not None:
                self.on_disk[number] = version
            if number in self.on_disk:
                self.maybe[number] = {self.on_disk[number], self.files.get(number)}

    def _reported(self, file: int, status: str) -> None:
        assert status in ("indexed", "replaced", "unchanged")
        self.files[file] = self.on_disk[file]
        self.maybe[file] = {self.files[file]}

    def _deleting(self, file: int) -> None:
        self.maybe[file] = {self.files.get(file), None}

    def _rebuilding(self) -> None:
        self.maybe.clear()

    def _labelling(self, query: str, passage: str, grade: int) -> None:
        self.maybe_label = ((query, passage), grade)

    def _calibrating(self) -> None:
        """Nothing is written yet."""

    def _saving(self, number: int) -> None:
        self.maybe_calibration = number

    def _done(self) -> None:
        for number, versions in self.maybe.items():
            if None in versions and len(versions) > 1 and versions == {self.files.get(number), None}:
                self.files.pop(number, None)
        self.maybe.clear()
        if self.maybe_label is not None:
            self.labels[self.maybe_label[0]] = self.maybe_label[1]
            self.maybe_label = None
        if self.maybe_calibration is not None:
            self.calibration, self.maybe_calibration = self.maybe_calibration, None


def version_in(text: str) -> int:
    return int(text.split("version")[1].split(maxsplit=1)[0])


def versions(library: Library) -> dict[int, int]:
    """Which version of which file the library holds, once it is certain that each is there once and whole."""
    with library.connection() as db:
        active = library.generation().id
        rows = db.execute("SELECT path, text FROM documents WHERE born <= ?", (active,)).fetchall()
    found = {}
    for path, text in rows:
        number, version = int(Path(path).stem), version_in(text)
        assert number not in found, f"file {number} is doubled"
        assert text == text_of(number, version), f"file {number} is not whole"
        found[number] = version
    return found


def check(library: Library, known: Known) -> None:
    """The library is whole, holds what was reported and nothing else, and a search finds exactly that."""
    findings = [finding.text for finding in examine(library.folder) if finding.part is not Part.LITTER]
    assert findings == []
    now = versions(library)
    for number in known.files.keys() | known.maybe.keys() | now.keys():
        allowed = known.maybe.get(number, {known.files.get(number)})
        assert now.get(number) in allowed, f"file {number}: {now.get(number)} is none of {allowed}"
    candidates = Retriever(library, WordEncoder()).retrieve("crane", 10_000).candidates
    places = Counter((Path(c.chunk.path).stem, c.chunk.start) for c in candidates)
    assert all(count == 1 for count in places.values()), "a passage is found twice"
    assert {int(stem) for stem, _ in places} == now.keys()
    known.files, known.maybe = now, {}
    _check_labels(library, known)
    _check_calibration(library, known)


def _check_calibration(library: Library, known: Known) -> None:
    path = library.folder / FILE
    now = int(load(path).notices[0]) if path.exists() else None
    assert now in (known.calibration, known.maybe_calibration or known.calibration)
    known.calibration, known.maybe_calibration = now, None


def _check_labels(library: Library, known: Known) -> None:
    now = {
        (q, p): int(grade) for q, given in Labels(library).judgements().items() for p, grade in given.items()
    }
    if known.maybe_label is not None:
        key, grade = known.maybe_label
        assert now.get(key) in (known.labels.get(key), grade)
        known.labels.pop(key, None)
        known.labels |= {key: now[key]} if key in now else {}
        known.maybe_label = None
    assert now == known.labels


def ranked(library: Library) -> list[list[tuple[Any, ...]]]:
    """What searches find, by vectors and by words, ties in an order of their own: ids differ between libraries."""
    searcher = Retriever(library, WordEncoder())
    return [
        sorted(
            (
                -round(c.score, 5),
                Path(c.chunk.path).name,
                c.chunk.start,
                c.chunk.text,
                round(c.bm25 or 0.0, 5),
            )
            for c in searcher.retrieve(word, 10_000, source).candidates
        )
        for word in VOCABULARY
        for source in (CandidateSource.VECTORS, CandidateSource.WORDS)
    ]


def clean_library(folder: Path, known: Known, chunk_tokens: int) -> Library:
    """A library of the same documents, made without a kill."""
    library = Library.create(folder / "library", Manifest.of(WORD_ENCODER, chunk_tokens))
    desk = Desk(folder / "files", library, WordEncoder())
    desk.add(
        *(desk.write(f"{number}.txt", text_of(number, version)) for number, version in known.files.items())
    )
    return library


def check_searches(library: Library, known: Known, folder: Path) -> None:
    """As it stands, nothing rebuilt: searches find what they find in a library that was built cleanly."""
    try:
        assert ranked(library) == ranked(clean_library(folder, known, library.manifest().chunk_tokens))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    ("kills", "run"), [(12, 1), *(pytest.param(100, run, marks=pytest.mark.slow) for run in (2, 3, 4))]
)
def test_random_kills_lose_double_and_revive_nothing(
    desk: Desk, tmp_path: Path, hands: subprocess.Popen[str], kills: int, run: int
) -> None:
    assert hands.stdin is not None
    assert hands.stdout is not None
    known, seed, did, struck = Known(), random.Random(run), Counter[str](), Counter[str]()
    for life in range(kills):
        journal = tmp_path / f"journal-{life}"
        asked = {
            "library": desk.library.folder,
            "files": desk.folder,
            "journal": journal,
            "seed": run * 1000 + life,
        }
        hands.stdin.write(json.dumps(asked, default=str) + "\n")
        hands.stdin.flush()
        child = int(hands.stdout.readline())
        _wait(journal, seed.randrange(MOST_NOTES))
        time.sleep(seed.uniform(0.0, LAST_ACTION))
        os.kill(child, signal.SIGKILL)
        assert int(hands.stdout.readline()) == signal.SIGKILL, "it ended before it was killed"
        known.hear(journal)
        lines = _notes(journal)
        did += Counter(line["what"] for line in lines)
        struck[lines[-1]["what"] if lines else "opening"] += 1
        check(Library(desk.library.folder), known)
        check_searches(Library(desk.library.folder), known, tmp_path / f"clean-{life}")
        known.on_disk = {int(path.stem): version_in(path.read_text()) for path in desk.folder.glob("*.txt")}
    print(f"{kills} kills; noted before them: {dict(did)}; the last note of those killed: {dict(struck)}")
    actions = {"adding", "deleting", "rebuilding", "labelling", "calibrating"}
    assert set(did) == actions | {"reported", "saving", "done"}
    rebuild(desk.library, desk.encoder, 32)
    check_searches(desk.library, known, tmp_path / "clean")
    left = examine(desk.library.folder)
    assert all(".calibration-" in finding.text for finding in left), "the last writer left litter"
    repair(desk.library.folder)
    assert examine(desk.library.folder) == []


def _wait(journal: Path, notes: int) -> None:
    """Until the journal has so many notes: however slow the machine, a life gets as far."""
    patience = time.monotonic() + 60
    while len(_notes(journal)) < notes:
        assert time.monotonic() < patience, "the hand does nothing"
        time.sleep(0.002)


def _notes(journal: Path) -> list[dict[str, Any]]:
    if not journal.exists():
        return []
    return [json.loads(line) for line in journal.read_text().splitlines(keepends=True) if line.endswith("\n")]
