"""Texts made to keep a parser or a cutter busy: each ends in passages or a sentence, and Ctrl-C is heard meanwhile."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.encoders.base import counting_tokenizer
from ingest.errors import CancelledError, TooLargeError
from ingest.library.files.originals import ORIGINALS
from ingest.library.library import Library
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.readers.process import cutting
from ingest.readers.source import Limits
from ingest.rebuild import rebuild
from ingest.records import Document, FileStatus
from tests.conftest import Desk

SIZE = 60_000
# A tenth of what one file may take; where a machine is busy with other things, cases that take a second take ten.
LIMITS = Limits(max_seconds=60)


def lines(line: Callable[[int], str], size: int = SIZE) -> str:
    found, length = list[str](), 0
    while length < size:
        found.append(line(len(found)))
        length += len(found[-1])
    return "".join(found)


PATHOLOGICAL = {
    "definitions.md": lines(lambda n: f"[a{n}]: /u\n") + "\nThe crane.\n",
    "definitions of two lines.md": lines(lambda n: f"> [a{n}]:\n> /u\n") + "\nThe crane.\n",
    "quotes.md": ">" * SIZE + " crane",
    "lists.md": "".join("  " * depth + "- a\n" for depth in range(300)),
    "emphasis.md": "# " + lines(lambda n: "*a _b "),
    "brackets.md": "# " + "[" * SIZE,
    "table.md": "|a" * 1_000 + "|\n" + "|-" * 1_000 + "|\n" + "|b|\n" * 100,
    "markup.md": lines(lambda n: "<!-- a\n<?b <![CDATA[\n"),
    "one word.txt": "x" * 5_000_000,
    "one sentence.txt": "鹤" * SIZE,
    "one line.txt": "crane and " * 20_000,
    "cell.csv": 'name,note\na,"' + "x" * 10_000_000 + '"\n',
    "quotes.csv": 'name,note\na,"' + '""' * 20_000 + "\n" + '"b' * 20_000,
    "line.jsonl": '{"_id":"1","text":"' + "a" * 5_000_000 + '"}\n' + "[" * SIZE + "\n",
    "nested.html": "<div><b><table><tr><td>" * 4_000 + "crane",
    "attributes.html": "<p " + "a=b " * SIZE + ">crane</p>" + "<a b" * SIZE,
}


@pytest.fixture
def tokens(desk: Desk) -> Desk:
    """The desk, cutting with the tokenizer that real libraries have."""
    desk.encoder.tokenizer = counting_tokenizer(resolve_encoder("bundled", Hub(allow_downloads=False)))
    return desk


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_it_ends_in_passages_or_in_a_sentence(name: str, tokens: Desk) -> None:
    (report,) = tokens.add(tokens.write(name, PATHOLOGICAL[name]), limits=LIMITS).files
    if report.status is FileStatus.REFUSED:
        assert "took longer" not in report.reason
        assert report.reason.endswith((".", ".)"))
    else:
        assert report.status is FileStatus.INDEXED
        assert report.chunks


def endless() -> str:
    """Minutes for the cutter: lines without a boundary, just short enough not to be cut by themselves."""
    return ("鹤" * 19_999 + "\n") * 300


def test_a_cutter_that_takes_too_long_costs_its_file_only(tokens: Desk) -> None:
    chunker = cutting.WorkerChunker(tokens.encoder.tokenizer, 160, Limits(max_seconds=2), lambda: False)
    with pytest.raises(
        TooLargeError, match=r"bad\.txt took longer than 2 seconds to cut into passages.*smaller files"
    ):
        chunker.chunks(Document("k", "t", "bad.txt", "text", endless()))
    assert len(chunker.chunks(Document("k", "t", "good.txt", "text", "Cranes fly."))) == 1


def test_a_cancel_is_heard_while_a_text_is_cut(tokens: Desk) -> None:
    asked = time.monotonic() + 1
    chunker = cutting.WorkerChunker(tokens.encoder.tokenizer, 160, Limits(), lambda: time.monotonic() > asked)
    with pytest.raises(CancelledError):
        chunker.chunks(Document("k", "t", "bad.txt", "text", endless()))
    assert time.monotonic() - asked < 2


def test_a_rebuild_cuts_under_the_same_limits(tokens: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens.add(tokens.write("good.txt", "The crane is a bird."))
    with tokens.library.connection() as db:
        db.execute("UPDATE documents SET text = ?", (endless(),))
    shutil.rmtree(tokens.library.folder / ORIGINALS)  # so that the text is what is read
    monkeypatch.setattr("ingest.rebuild.Limits", lambda: Limits(max_seconds=3))
    with pytest.raises(TooLargeError, match="to cut into passages"):
        rebuild(tokens.library, tokens.encoder, 160)
    assert tokens.texts() == ["The crane is a bird."]


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what its processes do")
def test_ctrl_c_is_heard_while_a_text_is_cut(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text(endless())
    arguments = ["ingest", str(tmp_path / "bad.txt"), "--library", str(tmp_path / "library"), "--offline"]
    command = [sys.executable, "-m", "ui.command_line.main", *arguments, "--encoder", "bundled"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") as process:
        deadline = time.monotonic() + 60
        while len(seconds := _seconds_of_children(process.pid)) < 2 or seconds[-1] < 1:
            assert process.poll() is None, process.stderr
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        asked = time.monotonic()
        assert process.wait(30) == 1
        assert time.monotonic() - asked < 2
        assert process.stderr is not None
        assert "What was finished is in the library" in process.stderr.read()
    assert Library(tmp_path / "library").documents() == []


def _seconds_of_children(process: int) -> list[float]:
    """Processor time of a process's children, in the order in which they were started."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    states = [Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split() for child in children]
    return [int(state[11]) / 100 for state in states]
