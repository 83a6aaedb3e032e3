"""Two processes at one library: a writer and eight searching threads, and two writers."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from ingest.library.health.doctor import examine
from retrieval.retriever import Retrieved, Retriever
from tests.conftest import Desk

ROOT = Path(__file__).parents[4]
THREADS, ROUNDS = 8, 12

# Adds pairs of files, takes some out again and rebuilds; says how many generations it has made.
WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from ingest.library.generations import Generations
    from ingest.library.library import Library
    from ingest.pipeline import ingest
    from ingest.sources import Source
    from ingest.rebuild import rebuild
    from ingest.library.writer import writing
    from tests.fakes import WordEncoder

    library, files, rounds = Library(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
    made, activate = [], Generations._activate

    def counted(self, file):
        made.append(file)
        activate(self, file)

    Generations._activate = counted
    for number in range(rounds):
        pair = [files / f"pair-{number}{side}.txt" for side in "ab"]
        for path in pair:
            path.write_text(f"{path.stem[-1]} bank crane {number}")
        ingest([Source.of_path(path) for path in pair], library, WordEncoder())
        if number % 3 == 1:
            with writing(library) as writer:
                writer.delete([library.find(path.stem).id for path in pair])
        if number % 3 == 2:
            rebuild(library, WordEncoder(), 32)
    print(len(made))
    """
)


def process(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_eight_threads_search_while_another_process_ingests_deletes_and_rebuilds(desk: Desk) -> None:
    desk.add(*(desk.write(f"{n}.txt", f"bank river flood {n}") for n in range(3)))
    first = desk.library.generation().id
    retriever, stop = Retriever(desk.library, desk.encoder), threading.Event()
    problems, seen = list[object](), set[int]()

    def ask() -> None:
        while not stop.is_set():
            try:
                found = retriever.retrieve("bank river", 80)
            except Exception as error:  # a thread's error must reach the test
                problems.append(error)
                return
            problems.extend(wrong_with(found))
            seen.add(len(found.candidates))

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    writer = process(WRITER, desk.library.folder, desk.folder, ROUNDS)
    try:
        said, complaint = writer.communicate(timeout=240)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert writer.returncode == 0, complaint
    assert problems == []
    assert len(seen) > 2, "the searches did not meet several generations"
    assert desk.library.generation().id == first + int(said), "a reader has published"
    last = retriever.retrieve("bank", 80)
    assert wrong_with(last) == []
    assert len(last.candidates) == 3 + 2 * (ROUNDS - ROUNDS // 3)


def wrong_with(found: Retrieved) -> list[object]:
    """What a search of one whole generation cannot say: a notice, half a pair, fewer than the three first documents."""
    pairs = [c.chunk.text.split()[-1] for c in found.candidates if c.chunk.title.startswith("pair")]
    halves = [f"half of pair {number} was found" for number in set(pairs) if pairs.count(number) != 2]
    lost = [] if len(found.candidates) - len(pairs) == 3 else ["a document was lost"]
    return [*(notice.text for notice in found.notices), *halves, *lost]


# Takes the writer's lock, says so, holds it until it is told to let go, and adds a file meanwhile.
HOLDER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from ingest.intake import Intake
    from ingest.sources import Source
    from ingest.library.library import Library
    from ingest.readers.source import Limits
    from ingest.library.writer import writing
    from tests.fakes import WordEncoder

    with writing(Library(Path(sys.argv[1]))) as writer:
        print("held", flush=True)
        sys.stdin.readline()
        intake = Intake(writer, WordEncoder(), 1, lambda progress: None, lambda: False, Limits())
        intake.add(1, Source.of_path(Path(sys.argv[2])))
        intake.publish()
    """
)
# Begins to write to the library, and says what became of it.
SECOND = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from ingest.library import writer
    from ingest.errors import SecondLookError
    from ingest.library.library import Library
    from ingest.pipeline import ingest
    from ingest.sources import Source
    from tests.fakes import WordEncoder

    library, wait = Library(Path(sys.argv[1])), float(sys.argv[3])
    wait_no_longer = writer.writing.__wrapped__
    wait_no_longer.__defaults__ = (wait, *wait_no_longer.__defaults__[1:])
    print("begins", flush=True)
    try:
        print(ingest([Source.of_path(Path(sys.argv[2]))], library, WordEncoder()).files[0].status, flush=True)
    except SecondLookError as error:
        print(error, flush=True)
    """
)


def test_a_second_writer_waits_for_the_first_and_then_succeeds(desk: Desk) -> None:
    first, second = desk.write("first.txt", "the first crane"), desk.write("second.txt", "the second crane")
    holder = process(HOLDER, desk.library.folder, first)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waiting = process(SECOND, desk.library.folder, second, 120)
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "begins\n"
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.5)
    assert desk.texts() == [], "it wrote beside the first"
    _, complaint = holder.communicate("let go\n", timeout=120)
    assert holder.returncode == 0, complaint
    assert waiting.communicate(timeout=120)[0] == "indexed\n"
    assert sorted(desk.texts()) == ["the first crane", "the second crane"]
    assert examine(desk.library.folder) == []


def test_a_second_writer_is_refused_in_a_sentence_where_the_first_takes_long(desk: Desk) -> None:
    first, second = desk.write("first.txt", "the first crane"), desk.write("second.txt", "the second crane")
    holder = process(HOLDER, desk.library.folder, first)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    said, complaint = process(SECOND, desk.library.folder, second, 0.2).communicate(timeout=120)
    assert "Another process is writing to the library" in said, complaint
    assert "nothing was changed" in said
    _, complaint = holder.communicate("let go\n", timeout=120)
    assert holder.returncode == 0, complaint
    assert desk.texts() == ["the first crane"]
    assert examine(desk.library.folder) == []
