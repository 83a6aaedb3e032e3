"""Every file in a library's folder, flipped, cut and removed: noticed, or of no consequence, and it is said which."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.errors import SecondLookError
from ingest.library.health.repair import repair
from ingest.library.health.view import Part
from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from ingest.library.library import DATABASE, LOCK, Library, Manifest
from ingest.library.token_vectors import FILE as TOKENS
from ingest.library.token_vectors import RequestedModel, TokenStore
from ingest.library.writer import writing
from rerank.calibration.calibrate import calibrate
from rerank.calibration.labels import Labelled
from rerank.calibration.methods import Method
from rerank.calibration.records import LibraryState
from rerank.calibration.store import FILE as CALIBRATION
from rerank.calibration.store import load, save
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import VOCABULARY, WORD_ENCODER, WORD_SCORER, WordEncoder
from ui.command_line.library import examined

FLIPS = 40  # places in each file; in the calibration, every byte
INDEX = "vectors/000001.faiss"
LOG, LOG_INDEX = f"{DATABASE}-wal", f"{DATABASE}-shm"  # there while a process works, and after it was killed
# What goes unnoticed by design, and why.
HARMLESS = {
    (LOCK, "flip"): "it is empty",
    (LOCK, "cut"): "it is empty",
    (LOCK, "removed"): "the next writer makes it",
    (
        CALIBRATION,
        "removed",
    ): "there is none then: scores are shown uncalibrated, and the next one is fitted anew",
    (TOKENS, "removed"): "derived: nothing is wanted then, and searches compute what they need",
    (TOKENS, "flip"): "room that no row takes: rows and wishes are the same",
    (
        DATABASE,
        "flip",
    ): "room that no row takes, or what has no checksum (a path, a date, a grade): texts are the same",
    (
        LOG,
        "cut",
    ): "it looks like a log that never held more: a whole state from before its last commits",
    (LOG, "removed"): "the same",
    (LOG_INDEX, "flip"): "the first who opens the library makes it anew from the log",
    (LOG_INDEX, "cut"): "the same",
    (LOG_INDEX, "removed"): "the same",
}
DIE_AFTER_DELETING = """
import os, signal, sys
from pathlib import Path
from ingest.library.library import Library
from ingest.library.writer import writing
library = Library(Path(sys.argv[1]))
with writing(library) as writer:
    for document in library.documents()[:2]:
        writer.delete([document.id])
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with every file that one can have, none of them open."""
    root = tmp_path_factory.mktemp("whole")
    library = Library.create(root / "library", Manifest.of(WORD_ENCODER, 32))
    desk = Desk(root / "files", library, WordEncoder())
    desk.add(
        *(desk.write(f"{n}.txt", f"crane number {n} by the {word}") for n, word in enumerate(VOCABULARY)),
        originals=False,  # whose damage is test_originals' subject
    )
    with library.connection() as db:
        hashes = [row[0] for row in db.execute("SELECT passage_hash FROM chunks ORDER BY id")]
    Labels(library).set("which crane?", hashes[0], Grade.RELEVANT)
    rows = [Labelled(f"question {n % 8}", float(n % 7) - 3, n % 3 == 0) for n in range(80)]
    save(library.folder / CALIBRATION, calibrate(rows, WORD_SCORER, LibraryState.of(library), Method.PLATT))
    store = TokenStore(library)
    store.request(RequestedModel("maxsim", "identity"))
    store.put("identity", {name: name.encode() * 40 for name in hashes})
    assert examined(library.folder) == []
    library.documents()  # the last one who may write folds the log into the file
    return library.folder


@pytest.fixture(scope="module")
def killed(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same library after a process that deleted two documents was killed: both deletions are in its log alone."""
    folder = tmp_path_factory.mktemp("killed") / "library"
    shutil.copytree(whole, folder)
    subprocess.run([sys.executable, "-c", DIE_AFTER_DELETING, folder], check=False)
    return folder


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def damages(name: str, raw: bytes) -> Iterator[tuple[str, bytes | None]]:
    seed = random.Random(name)
    if name == CALIBRATION:
        places = list(range(len(raw)))
    else:
        places = sorted(seed.sample(range(len(raw)), min(FLIPS, len(raw))))
    for at in places:
        yield "flip", raw[:at] + bytes([raw[at] ^ (1 << seed.randrange(8))]) + raw[at + 1 :]
    yield "cut", raw[: len(raw) // 2]
    yield "cut", raw[:-1]
    yield "removed", None


def held(folder: Path) -> object:
    """What searches and rerankers would read: passages and cosines, labels' questions, rows of token vectors."""
    library = Library(folder)
    found = Retriever(library, WordEncoder()).retrieve("crane river", 100).candidates
    passages = [(c.chunk.title, c.chunk.text, round(c.score, 6)) for c in found]
    store = TokenStore(library)
    with library.connection() as db:
        hashes = [row[0] for row in db.execute("SELECT passage_hash FROM chunks ORDER BY id")]
    return (
        passages,
        sorted(Labels(library).judgements()),
        store.requested_models(),
        store.stored("identity", hashes),
    )


def noticed(folder: Path, name: str, kind: str = "") -> bool:
    """What `secondlook doctor` says; of a calibration's many flips only the part of it that reads this file."""
    try:
        if (name, kind) == (CALIBRATION, "flip"):
            load(folder / CALIBRATION)
            return False
        found = examined(folder)
    except SecondLookError:
        return True
    return any(Path(name).name in finding.text or finding.part is not Part.LITTER for finding in found)


def test_the_list_is_of_every_file(whole: Path) -> None:
    assert files(whole) == sorted([CALIBRATION, DATABASE, TOKENS, INDEX, LOCK])


@pytest.mark.parametrize("name", [CALIBRATION, DATABASE, TOKENS, INDEX, LOCK])
def test_each_file_flipped_cut_and_removed(whole: Path, tmp_path: Path, name: str) -> None:
    raw, before = (whole / name).read_bytes(), held(whole)
    folder = tmp_path / "library"
    counted = {"noticed": 0, "harmless": 0}
    for kind, damaged in damages(name, raw):
        if (name, kind) != (CALIBRATION, "flip") or not folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(whole, folder)
        (folder / name).unlink(missing_ok=True)
        if damaged is not None:
            (folder / name).write_bytes(damaged)
        if damaged == raw:
            continue  # an empty file cannot be cut
        if noticed(folder, name, kind):
            counted["noticed"] += 1
            continue
        assert (name, kind) in HARMLESS, f"{name} {kind}: nobody noticed"
        if kind == "flip":
            assert held(folder) == before, f"{name}: a flip changed what is read, and nobody noticed"
        counted["harmless"] += 1
    assert counted["noticed"] or name == LOCK
    print(name, counted)


def copied(library: Path, folder: Path) -> Path:
    """A copy in place of the last one: to read a library whose log is not folded in yet is to fold it in."""
    shutil.rmtree(folder, ignore_errors=True)
    return shutil.copytree(library, folder)


def test_the_log_of_a_killed_process_is_there_to_be_damaged(killed: Path, tmp_path: Path) -> None:
    assert set(files(killed)) - {CALIBRATION, DATABASE, TOKENS, INDEX, LOCK} == {LOG, LOG_INDEX}
    assert (killed / LOG).stat().st_size > 10_000
    folder = copied(killed, tmp_path / "library")
    assert not noticed(folder, LOG)
    assert len(Library(folder).documents()) == len(VOCABULARY) - 2


@pytest.mark.parametrize("name", [LOG, LOG_INDEX])
def test_the_log_of_a_killed_process_flipped_cut_and_removed(
    whole: Path, killed: Path, tmp_path: Path, name: str
) -> None:
    """As for the other files. A log that is cut may hold fewer of the deletions, but never a part of one."""
    folder = tmp_path / "library"
    after = held(copied(killed, folder))
    states = [held(whole)]
    copied(whole, folder)
    for document in Library(folder).documents()[:2]:
        with writing(Library(folder)) as writer:
            writer.delete([document.id])
        states.append(held(folder))
    assert after == states[-1]
    raw, counted = (killed / name).read_bytes(), {"noticed": 0, "harmless": 0}
    more = [("cut", raw[: len(raw) * part // 12]) for part in range(1, 12)]
    for kind, damaged in (*damages(name, raw), *more):
        copied(killed, folder)
        (folder / name).write_bytes(damaged) if damaged is not None else (folder / name).unlink()
        if noticed(folder, name):
            counted["noticed"] += 1
            continue
        assert kind == "flip" or (name, kind) in HARMLESS, f"{name} {kind}: nobody noticed"
        found = held(folder)
        assert found in (states if (name, kind) in HARMLESS else [after]), (
            f"{name} {kind}: what is read changed"
        )
        counted["harmless"] += 1
    assert counted["noticed"] >= FLIPS * 0.9 if name == LOG else not counted["noticed"]
    print(name, counted)


@pytest.mark.parametrize("name", [CALIBRATION, TOKENS, INDEX])
def test_what_is_derived_is_whole_after_the_repair(whole: Path, tmp_path: Path, name: str) -> None:
    raw = (whole / name).read_bytes()
    for round_, (_, damaged) in enumerate(damages(name, raw)):
        if round_ % (400 if name == CALIBRATION else 6) and damaged is not None:
            continue
        folder = tmp_path / f"library-{round_}"
        shutil.copytree(whole, folder)
        (folder / name).write_bytes(damaged) if damaged is not None else (folder / name).unlink()
        if not noticed(folder, name):
            continue
        repair(folder)
        left = examined(folder)
        assert [finding.part for finding in left] == ([Part.CALIBRATION] if name == CALIBRATION else [])
        assert len(Retriever(Library(folder), WordEncoder()).retrieve("crane", 100).candidates) == len(
            VOCABULARY
        )


def test_a_damaged_row_of_token_vectors_goes_and_the_others_stay(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    shutil.copytree(whole, folder)
    with sqlite3.connect(folder / TOKENS) as db:
        db.execute("UPDATE token_vectors SET data = x'00' WHERE rowid = 3")
    db.close()
    (finding,) = examined(folder)
    assert finding.part is Part.LATE_INTERACTION
    assert "1 rows differ" in finding.text
    assert "1 damaged rows" in " ".join(message.text for message in repair(folder).done)
    assert examined(folder) == []
    assert TokenStore(Library(folder)).size("identity")[0] == len(VOCABULARY) - 1
