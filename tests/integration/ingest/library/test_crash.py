"""A process that is killed for real: at every named step of publishing, and at random moments."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from ingest.library.index_files import open_index
from ingest.library.library import Library
from ingest.library.writer import writing
from retrieval.retriever import Retriever
from tests.conftest import Desk

STEPS = ["index written", "index verified", "index renamed", "folder synced", "generation activated"]

WORKER = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from ingest.intake import Intake
    from ingest.sources import Source
    from ingest.library.library import Library
    from ingest.readers.source import Limits
    from ingest.library.writer import writing
    from tests.fakes import WordEncoder

    folder, files, die_at = Path(sys.argv[1]), sys.argv[2:-1], sys.argv[-1]

    def step(name):
        if name == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with writing(Library(folder), on_step=step) as writer:
        def tell(progress):
            if progress.report is not None and progress.report.status in ("indexed", "replaced"):
                print(progress.report.path, flush=True)
        intake = Intake(writer, WordEncoder(), len(files), tell, lambda: False, Limits())
        for number, name in enumerate(files, start=1):
            intake.add(number, Source.of_path(Path(name)))
            intake.publish()
    """
)


def work(library: Library, files: list[Path], die_at: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WORKER, str(library.folder), *map(str, files), die_at]
    return subprocess.Popen(arguments, cwd=Path(__file__).parents[4], stdout=subprocess.PIPE, text=True)


def check_whole(desk: Desk, expected: set[str]) -> None:
    """The library opens, its index is what its rows say, and exactly the expected passages are found."""
    with desk.library.snapshot() as snapshot:
        generation = snapshot.generation
    if generation.index is not None:
        index = open_index(desk.library.folder / "vectors", generation.index, desk.library.manifest().dim)
        assert index.ntotal == len(desk.texts())
    found = {c.chunk.text for c in Retriever(desk.library, desk.encoder).retrieve("crane", 100).candidates}
    assert found == expected == set(desk.texts())
    assert len(desk.texts()) == len(expected), "a passage is doubled"


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_every_step_of_publishing(desk: Desk, step: str) -> None:
    desk.add(desk.write("old.txt", "The old crane."))
    new = desk.write("new.txt", "The new crane.")
    process = work(desk.library, [new], step)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, "the step was never reached"
    published = step == "generation activated"
    check_whole(desk, {"The old crane."} | ({"The new crane."} if published else set()))
    (report,) = desk.add(new).files
    assert report.status == ("unchanged" if published else "indexed")
    check_whole(desk, {"The old crane.", "The new crane."})
    index = desk.library.generation().index
    assert index is not None
    assert [path.name for path in (desk.library.folder / "vectors").iterdir()] == [index.name], "litter"


def test_kills_at_random_moments_lose_nothing_that_was_reported(desk: Desk) -> None:
    files = [desk.write(f"f{n}.txt", f"crane number {n}") for n in range(12)]
    seed = random.Random(7)
    reported: set[str] = set()
    for _ in range(6):
        process = work(desk.library, files, "never")
        time.sleep(seed.uniform(0.2, 1.6))
        process.kill()
        out, _ = process.communicate(timeout=60)
        reported |= {f"crane number {Path(line).stem[1:]}" for line in out.splitlines()}
        present = set(desk.texts())
        assert reported <= present, "a file was reported as indexed and is gone"
        check_whole(desk, present)
    desk.add(*files)
    check_whole(desk, {f"crane number {n}" for n in range(12)})


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_index_is_noticed_and_built_again(desk: Desk, damage: str) -> None:
    desk.add(desk.write("a.txt", "The crane is a bird."), desk.write("b.txt", "The bank by the river."))
    generation = desk.library.generation()
    assert generation.index is not None
    path = desk.library.folder / "vectors" / generation.index.name
    raw = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(raw[:-7] if damage == "truncate" else raw[:-3] + bytes([raw[-3] ^ 0xFF]) + raw[-2:])
    found = Retriever(desk.library, desk.encoder).retrieve("crane bird", 10)
    assert found.candidates[0].chunk.text == "The crane is a bird."
    assert len(found.candidates) == 2
    assert path.name in found.notices[0].text
    mended = desk.library.generation()
    assert mended.id == generation.id + 1
    assert Retriever(desk.library, desk.encoder).retrieve("crane bird", 10).notices == ()


def test_a_reader_keeps_its_generation_while_a_writer_works(desk: Desk) -> None:
    desk.add(desk.write("a.txt", "The crane."))
    with desk.library.snapshot() as snapshot:
        before = snapshot.generation
        with writing(desk.library) as writer:
            writer.delete([desk.library.find("a").id])
        assert snapshot.generation == before
        assert [document.title for document in snapshot.documents()] == ["a"]
    assert desk.library.documents() == []
