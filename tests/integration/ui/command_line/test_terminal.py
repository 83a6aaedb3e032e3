"""What documents hold reaches the terminal as text: no control character, no forged line, no encoding that ends it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from ingest.records import FileReport, FileStatus
from rerank.factory import resolve_models
from tests.conftest import Desk
from ui.command_line.main import main
from ui.command_line.progress import describe
from ui.command_line.terminal import harmless_output

TITLE, RED, CSI = "\x1b]0;title\x07", "\x1b[31m", "\x9b2J"
DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


@pytest.fixture
def hostile(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The call of a search whose best passage would set the terminal's title, colour it and clear it."""
    plain = "The venom of a snake stops the nerves from working, so that its prey can no longer breathe. " * 3
    report = desk.add(
        desk.write(
            f"a{TITLE}\u202eb.txt", f"snake {DIRECTIONS} {TITLE} venom {RED}red {CSI} gone 川 🐍. {plain}"
        )
    )
    assert report.files[0].status is FileStatus.INDEXED, report.files[0].reason
    monkeypatch.setattr(
        "ui.command_line.search_rerankers.resolve_models",
        lambda choice, library, _: resolve_models(choice, library, desk.encoder),
    )
    return ["search", "snake", "--library", str(desk.library.folder), "--reranker", "maxsim"]


def test_control_characters_of_documents_do_not_reach_the_terminal(
    desk: Desk, hostile: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(hostile) == 0
    assert main(["documents", "--library", str(desk.library.folder)]) == 0
    assert main(["delete", f"no{TITLE}", "--library", str(desk.library.folder)]) == 1
    out, err = capsys.readouterr()
    assert not {"\x1b", "\x07", "\x9b", *DIRECTIONS} & {*out, *err}
    assert r"\u061c" in out
    assert r"\u202eb.txt" in out
    assert r"\u001b]0;title\u0007" in out
    assert r"no\u001b]0;title\u0007" in err


def test_printed_json_means_the_same(hostile: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*hostile, "--json"]) == 0
    out = capsys.readouterr().out
    assert not {"\x9b", *DIRECTIONS} & {*out}
    assert f"snake {DIRECTIONS} {TITLE}" in json.loads(out)["before"][0]["text"]
    assert f"{RED}red {CSI} gone 川 🐍" in json.loads(out)["before"][0]["text"]


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_signs_that_the_output_lacks_are_escaped(
    hostile: list[str], encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    assert main([*hostile, "--json"]) == 0
    sys.stdout.flush()
    assert "gone 川 🐍" in json.loads(raw.getvalue().decode(encoding))["before"][0]["text"]


def test_a_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a.txt\nindexed    b.txt"
    assert "\n" not in describe(FileReport(name, FileStatus.REFUSED, f"{name} is empty"))
    with harmless_output():
        print("two\nlines", "\ttab\r", end="")
    assert capsys.readouterr().out == "two\nlines \ttab\\u000d"


def test_what_is_captured_is_given_back_whole(tmp_path: Path) -> None:
    before = sys.stdout, sys.stderr
    assert main(["documents", "--library", str(tmp_path)]) == 1
    assert (sys.stdout, sys.stderr) == before
