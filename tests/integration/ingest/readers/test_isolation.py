"""A reading process that crashes, hangs or swallows memory costs the file that it read, and nothing else."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.errors import CancelledError, DamagedFileError, ReadError, TooLargeError
from ingest.readers.process import client, worker_handle
from ingest.readers.process import client as spare
from ingest.readers.process.client import read_in_worker
from ingest.readers.registry import read_documents
from ingest.readers.source import Limits
from ingest.records import Document, FileStatus
from tests.conftest import Desk
from tests.integration.ingest.readers import raw

ROOT = Path(__file__).parents[4]
FAULTY = Path(__file__).with_name("faulty_worker.py")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces a limit of memory")
Told = Callable[..., list[Document]]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """`told("crash …", limits)` → what the faulty process makes of a file that says so."""
    start = (
        f"import sys, runpy; sys.path[:] = sys.argv[1:]; runpy.run_path({str(FAULTY)!r}, run_name='__main__')"
    )
    client._spare.close()
    monkeypatch.setattr(worker_handle, "command", lambda: [sys.executable, "-I", "-c", start, *sys.path])

    def tell(what: str, limits: Limits | None = None, **options: object) -> list[Document]:
        path = tmp_path / "a.txt"
        path.write_text(what)
        return list(read_in_worker(path, name="a.txt", key="k", limits=limits or Limits(), **options))  # type: ignore[arg-type]

    yield tell
    client._spare.close()


def sentence(told: Told, kind: type[ReadError], *what: object) -> str:
    with pytest.raises(ReadError) as caught:
        told(*what)
    assert type(caught.value) is kind
    words = str(caught.value)
    assert words.startswith("a.txt ")
    assert words.endswith(".")
    return words


def test_documents_are_the_same_through_a_process(tmp_path: Path) -> None:
    lines = [f'{{"_id": "{n}", "title": "t", "text": "Cranes \U0001f9a9 \\ud800 {n}"}}' for n in range(50)]
    (tmp_path / "c.jsonl").write_text("\n".join(lines))
    (tmp_path / "a.md").write_text("# Cranes\n\nThey fly.\n\n## Home\n\nSouth.\n")
    for path in sorted(tmp_path.iterdir()):
        here = list(read_documents(path, name=path.name, key="k"))
        assert list(read_in_worker(path, name=path.name, key="k", limits=Limits())) == here


@pytest.mark.parametrize(
    ("what", "fate"),
    [
        (f"signal {signal.SIGSEGV}", "signal SIGSEGV"),
        (f"signal {signal.SIGKILL}", "signal SIGKILL"),
        ("exit 0", "exit status 0"),
        ("exit 7", "exit status 7"),
        ("nonsense", "signal SIGKILL"),
    ],
)
def test_a_lost_process_costs_its_file_and_the_next_one_goes_on(told: Told, what: str, fate: str) -> None:
    assert f"was lost ({fate})" in sentence(told, DamagedFileError, what)
    assert told("Cranes fly.")[0].text == "Cranes fly."


def test_a_process_that_hangs_is_given_up(told: Told) -> None:
    told("warm")
    before = time.monotonic()
    words = sentence(told, TooLargeError, "hang", Limits(max_seconds=0.3))
    assert "longer than 0.3 seconds" in words
    assert time.monotonic() - before < 20
    assert told("Cranes fly.")


@linux
def test_memory_over_the_limit_is_refused_and_the_process_lives_on(told: Told) -> None:
    told("warm")
    kept = client._spare._worker
    words = sentence(told, TooLargeError, f"eat {600_000_000}", Limits(max_memory_bytes=500_000_000))
    assert "needs more memory" in words
    assert "500 MB" in words
    assert client._spare._worker is kept


def test_a_fault_of_a_reader_is_a_sentence_and_its_place_is_in_the_log(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "ingest"):
        words = sentence(told, DamagedFileError, "fault of mine")
    assert "“LookupError: of mine”" in words
    assert "faulty_worker.py" in caplog.text


def test_what_a_parser_prints_does_not_stand_between_the_answers(told: Told) -> None:
    assert told("print words")[0].text == "print words"


@linux
def test_the_process_knows_no_secret_of_the_environment(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET_KEY", "hunter2")
    told("Cranes fly.")
    kept = client._spare._worker
    assert kept is not None
    assert b"hunter2" not in Path(f"/proc/{kept._process.pid}/environ").read_bytes()


def test_cancel_is_heard_while_a_file_is_being_read(told: Told) -> None:
    asked = threading.Event()
    threading.Timer(0.5, asked.set).start()
    with pytest.raises(CancelledError):
        told("hang", cancelled=asked.is_set)
    assert client._spare._worker is None


def test_a_corpus_that_is_no_longer_wanted_is_left_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text("".join(f'{{"_id": "{n}", "text": "{"crane " * 200}"}}\n' for n in range(20_000)))
    client._spare.close()
    before = set(threading.enumerate())
    documents = read_in_worker(path, name="c.jsonl", key="k", limits=Limits())
    assert next(documents).source_id == "0"
    documents.close()
    client._spare.close()  # it is kept for the next file where it came to its end in time
    deadline = time.monotonic() + 10
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left
    (tmp_path / "a.txt").write_text("Cranes fly.")
    assert list(read_in_worker(tmp_path / "a.txt", name="a.txt", key="k", limits=Limits()))


def test_one_process_reads_many_files_and_ends_when_it_has_been_idle(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    told("one")
    kept = client._spare._worker
    monkeypatch.setattr(spare, "KEEP_SECONDS", 0.2)
    told("two")
    assert kept is not None
    assert kept is client._spare._worker or kept._process.poll() is not None
    kept._process.wait(20)
    assert client._spare._worker is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_the_process_ends_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Cranes fly.")
    code = textwrap.dedent(
        """
        import os, pathlib, signal, sys
        from ingest.readers.source import Limits
        from ingest.readers.process import client
        from ingest.readers.process.client import read_in_worker
        path = pathlib.Path(sys.argv[1])
        list(read_in_worker(path, name="a.txt", key="k", limits=Limits()))
        print(client._spare._worker._process.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.txt")],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    orphan = int(done.stdout)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _runs(orphan):
        time.sleep(0.05)
    assert not _runs(orphan)


def _runs(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def test_an_ingest_goes_on_after_a_file_that_kills_its_process(desk: Desk, told: Told) -> None:
    files = [
        desk.write("a.txt", "A crane."),
        desk.write("b.txt", "signal 11"),
        desk.write("c.txt", "A bank."),
    ]
    report = desk.add(*files)
    assert [file.status for file in report.files] == [
        FileStatus.INDEXED, FileStatus.REFUSED, FileStatus.INDEXED,
    ]  # fmt: skip
    assert "b.txt could not be read: the process that parsed it was lost" in report.files[1].reason
    assert sorted(desk.texts()) == ["A bank.", "A crane."]


def test_a_limit_of_time_holds_for_each_file_of_an_ingest(desk: Desk, told: Told) -> None:
    files = [desk.write("a.txt", "warm"), desk.write("b.txt", "hang"), desk.write("c.txt", "A bank.")]
    report = desk.add(*files, limits=replace(Limits(), max_seconds=5.0))
    assert [file.status for file in report.files] == ["indexed", "refused", "indexed"]


def test_warnings_of_a_parser_reach_no_screen(tmp_path: Path) -> None:
    # A wrong startxref makes pypdf warn and search for the table. Under pytest nothing would reach the screen anyway.
    (tmp_path / "a.pdf").write_bytes(raw.pdf().replace(b"startxref\n", b"startxref\n9"))
    code = (
        "import logging, pathlib, sys; from ingest.readers.registry import read_documents; logging.basicConfig(); "
        "print(len(list(read_documents(pathlib.Path(sys.argv[1])))))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.pdf")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("1\n", "")
