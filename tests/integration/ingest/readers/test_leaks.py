"""Every reader, over and over in one process: nothing it opened, started or held stays behind (Linux, by /proc).

Memory is compared by the least that was held during the first and during the last quarter of the rounds, because
garbage in cycles (a web page's tree) comes and goes. It may grow by `ALLOWED`: the heap was seen to settle with 3.2 MB
more (HTML; flat for 250 rounds after that), and a reader that kept 120 kB of a file each time would be over it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ingest.errors import ReadError
from ingest.readers.process import client, worker_handle
from ingest.readers.process.client import read_in_worker
from ingest.readers.registry import FORMATS
from ingest.readers.source import Limits
from tests.integration.ingest.readers import awkward_formats, raw
from tests.integration.ingest.readers.awkward import CASES, Case
from tests.integration.ingest.readers.test_isolation import FAULTY
from tests.parts import make_documents as made
from tests.soak.memory import resident

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

WARM_UP, ROUNDS = 15, 60
ALLOWED = 5.0  # MB
LINE = "Cranes fly south in autumn, and come home in spring.\n"
PLENTY: dict[str, Callable[[], bytes]] = {
    "pdf": lambda: raw.pages(5),
    "docx": lambda: raw.docx(raw.paragraph(LINE) * 300),
    "html": f"<h1>Cranes</h1>{f'<p>{LINE}</p>' * 600}".encode,
    "jsonl": lambda: b"".join(b'{"_id": "%d", "text": "%s"}\n' % (n, b"Cranes. " * 300) for n in range(50)),
    "csv": lambda: b"name,note\n" + b"crane,flies south\n" * 2_000,
    "markdown": f"# Cranes\n\n{LINE * 1_000}".encode,
    "text": lambda: LINE.encode() * 3_000,
    "xlsx": made.workbook,
    "pptx": made.presentation,
    "odt": lambda: made.open_document("text", made.TEXT * 20),
    "ods": lambda: made.open_document("spreadsheet", made.SHEETS * 20),
    "odp": lambda: made.open_document("presentation", made.SLIDES * 20),
    "rtf": lambda: b"{\\rtf1 " + LINE.encode() * 300 + b"}",
    "epub": lambda: made.book({f"{n}.xhtml": f"<html><body><p>{LINE}</p></body></html>" for n in range(9)}),
    "mhtml": lambda: b"MIME-Version: 1.0\nContent-Type: text/html\n\n" + f"<p>{LINE}</p>".encode() * 300,
    "rst": f"Cranes\n======\n\n{LINE * 300}".encode,
    "tex": f"\\section{{Cranes}} {LINE * 300}".encode,
    "json": lambda: b'{"cranes": [' + b'{"kind": "blue", "height": 1.2},' * 300 + b"1]}",
    "xml": f"<a>{f'<p>{LINE}</p>' * 300}</a>".encode,
    "yaml": lambda: b"cranes:\n  kind: blue\n" * 300,
    "notebook": lambda: json.dumps({"cells": [{"cell_type": "markdown", "source": LINE}] * 30}).encode(),
    "eml": lambda: made.mail(attachments={"a.txt": LINE.encode() * 30}).as_bytes(),
    "msg": made.outlook,
    "mbox": lambda: b"From a\nFrom: a@b\n\n" + LINE.encode() * 30,
    "subtitles": lambda: f"00:00:01,000 --> 00:00:02,000\n{LINE}\n".encode() * 30,
    "zip": lambda: made.packed({f"{n}.txt": f"{n} {LINE}" for n in range(30)}),
    "code": lambda: b"def fly(crane):\n    return crane\n" * 300,
}


# What recognizes text holds so much that its process is ended after the file; nothing of it is left to leak.
NO_OCR = Limits(max_ocr_seconds=-1.0)


@dataclass(frozen=True)
class Reading:
    """A file, and how it is read."""

    name: str
    data: bytes = field(repr=False)
    limits: Limits = NO_OCR
    passwords: Sequence[str] = ()

    def read(self, folder: Path) -> str:
        """Read it once: the name of the error that it ended with, "" where it was read."""
        path = folder / "upload"
        path.write_bytes(self.data)
        try:
            for _ in read_in_worker(
                path, name=self.name, key="k", limits=self.limits, passwords=self.passwords
            ):
                pass
        except ReadError as error:
            return type(error).__name__
        return ""


@dataclass(frozen=True)
class Held:
    """What a process holds: the targets of its descriptors, its threads, its children."""

    files: Sequence[str]
    threads: int
    children: Sequence[int]

    @classmethod
    def by(cls, number: int) -> Held:
        """What the process of that number holds now. Of descriptors that are its own wiring the kind counts."""
        folder = Path(f"/proc/{number}")
        files = sorted(kind for one in os.listdir(folder / "fd") if (kind := _target(folder / "fd" / one)))
        return cls(files, len(os.listdir(folder / "task")), children(number))

    def beyond(self, before: Held) -> Held:
        """What is held beside what was ``before``. In the process of the tests something of an earlier one may end."""
        files = Counter(self.files) - Counter(before.files)
        started = set(self.children) - set(before.children)
        return Held(sorted(files.elements()), max(0, self.threads - before.threads), sorted(started))


NOTHING = Held([], 0, [])


def left_here(before: Held) -> Held:
    """What this process holds beyond ``before``. The thread of a timer that was cancelled takes a moment to end."""
    deadline = time.monotonic() + 10
    while (left := Held.by(os.getpid()).beyond(before)) != NOTHING and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:  # the descriptor with which the folder itself was listed
        return ""


def children(of: int) -> list[int]:
    """The processes that ``of`` has started and that have not been waited for."""
    found = []
    for one in Path("/proc").iterdir():
        try:
            parent = (one / "stat").read_text().rpartition(")")[2].split()[1]
        except (OSError, IndexError):
            continue
        if parent == str(of):
            found.append(int(one.name))
    return sorted(found)


def readings(suffix: str) -> list[Reading]:
    """What a reader meets: a file with plenty in it, the same over each limit, a case of every fate."""
    format = next(one for one in FORMATS if suffix in one.suffixes)
    plenty = Reading(f"a{suffix}", PLENTY[format.module.rpartition(".")[2]]())
    over = [replace(NO_OCR, max_bytes=200), replace(NO_OCR, max_characters=20)]
    cases: dict[object, Case] = {}
    for case in (*CASES, *awkward_formats.CASES):
        if case.name.startswith("a.") and case.name.endswith(format.suffixes) and not callable(case.content):
            cases.setdefault(case.outcome if isinstance(case.outcome, str) else case.outcome[0], case)
    small = [case.data for case in cases.values() if len(case.data) < 10_000]
    locked = raw.encrypted("u", "o", "AES-256") if format.name == "PDF" else b""
    return [
        plenty,
        *(
            replace(plenty, limits=limits)
            for limits in (over + [replace(NO_OCR, max_pages=1)] * bool(locked))
        ),
        *(replace(plenty, data=data) for data in small[:8]),
        *(replace(plenty, data=locked, passwords=word) for word in (["u"], ["x"], []) if locked),
    ]


def reading_process() -> int:
    """The number of the process that is kept for the next file."""
    kept = client._spare._worker
    assert kept is not None, "no reading process is kept"
    return kept._process.pid


def check(files: Sequence[Reading], folder: Path) -> list[str]:
    """Read the files `WARM_UP` times, then `ROUNDS` times: that must leave nothing, here or there. How each ended."""
    client._spare.close()
    fates = [file.read(folder) for file in files]
    for _ in range(WARM_UP):
        assert [file.read(folder) for file in files] == fates
    there = reading_process()
    before, here, memory = Held.by(there), Held.by(os.getpid()), []
    for _ in range(ROUNDS):
        assert [file.read(folder) for file in files] == fates
        memory.append(resident(there))
    assert reading_process() == there
    assert Held.by(there) == before
    assert left_here(here) == NOTHING
    growth = min(memory[-ROUNDS // 4 :]) - min(memory[: ROUNDS // 4])
    print(f"{files[0].name}: {len(files)} files, {growth:+.2f} MB")
    assert growth < ALLOWED, f"{growth:.1f} MB more after {ROUNDS} rounds"
    return fates


@pytest.mark.parametrize("suffix", [format.suffixes[0] for format in FORMATS if format.name != "picture"])
def test_a_reader_leaves_nothing_open_and_no_memory(suffix: str, tmp_path: Path) -> None:
    fates = check(readings(suffix), tmp_path)
    assert fates[0] == ""
    # Of an archive or a mailbox each file within is over the limit, so that nothing is left to read.
    assert set(fates[1:3]) <= (
        {"TooLargeError", "NoTextError"} if suffix in (".zip", ".mbox") else {"TooLargeError"}
    )
    assert {".pdf": "PasswordNeededError", ".docx": "EncryptedFileError"}.get(suffix, "") in fates


def test_a_text_that_is_refused_is_let_go_at_once(tmp_path: Path) -> None:
    """Kept until the next collection of garbage, fifty of these would be over what a reading process may keep."""
    check([Reading("a.txt", LINE.encode() * 100_000, Limits(max_characters=1_000_000))], tmp_path)


@pytest.fixture
def leaking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Sequence[Reading]]]:
    """`leaking("file")` → a file whose reader, a faulty one, leaves a file open each time."""
    start = (
        f"import sys, runpy; sys.path[:] = sys.argv[1:]; runpy.run_path({str(FAULTY)!r}, run_name='__main__')"
    )
    monkeypatch.setattr(worker_handle, "command", lambda: [sys.executable, "-I", "-c", start, *sys.path])
    client._spare.close()
    yield lambda what: [Reading("a.txt", f"leak {what} {LINE * 3_000}".encode())]
    client._spare.close()


@pytest.mark.parametrize("what", ["nothing", "file", "thread", "child", "memory"])
def test_a_leak_would_be_seen(what: str, leaking: Callable[[str], Sequence[Reading]], tmp_path: Path) -> None:
    if what == "nothing":
        check(leaking(what), tmp_path)
        return
    with pytest.raises(AssertionError, match="MB more" if what == "memory" else "Held"):
        check(leaking(what), tmp_path)


def test_many_files_at_once_leave_one_process(tmp_path: Path) -> None:
    """Four readers at a time, with files that are refused or left in the middle: one process is kept, then none."""
    corpus = tmp_path / "c.jsonl"
    corpus.write_bytes(PLENTY["jsonl"]() * 40)
    client._spare.close()
    before = Held.by(os.getpid())

    def one(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        for file in readings([".txt", ".pdf", ".docx"][number % 3])[:6]:
            file.read(folder)
        documents = read_in_worker(corpus, name="c.jsonl", key="k", limits=Limits())
        next(documents)
        documents.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(6)))
    assert set(children(os.getpid())) - set(before.children) == {reading_process()}
    client._spare.close()
    assert left_here(before) == NOTHING
