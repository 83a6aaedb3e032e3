"""Uploads: the client's names are shown and never used as paths."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import pytest

from ingest.errors import TooLargeError
from ingest.pipeline import ingest
from ingest.records import FileReport, FileStatus
from tests.conftest import Desk
from ui.files import uploads
from ui.files.uploads import keep, result_line
from ui.page.components import literal, timings_html


class Dropped(io.BytesIO):
    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(content)
        self.name = name


def test_files_of_one_name_are_kept_apart_and_removed_together() -> None:
    sources, clean_up = keep(
        [Dropped("a.txt", b"one"), Dropped("../a.txt", b"two"), Dropped("b.md", b"three")]
    )
    folder = sources[0].path.parent
    assert [source.name for source in sources] == ["a.txt", "a (2).txt", "b.md"]
    assert [source.path.read_bytes() for source in sources] == [b"one", b"two", b"three"]
    assert {source.path.parent for source in sources} == {folder}
    assert folder.stat().st_mode & 0o077 == 0
    clean_up()
    assert not folder.exists()


def test_a_second_file_of_a_name_replaces_nothing_that_has_its_number(desk: Desk) -> None:
    def drop(*texts: bytes, replaces: bool = False) -> list[FileStatus]:
        sources, clean_up = keep([Dropped("a.txt", text) for text in texts], replaces=replaces)
        statuses = [report.status for report in ingest(sources, desk.library, desk.encoder).files]
        clean_up()
        return statuses

    drop(b"a snake"), drop(b"a crane")  # the crane is a (2).txt now, and nobody says that it may go
    assert drop(b"a seal", b"a lease", replaces=True) == [FileStatus.REPLACED, FileStatus.INDEXED]
    with desk.library.snapshot() as snapshot:
        texts = {chunk.text for chunk in snapshot.chunks(range(1, 9)).values()}
    assert texts == {"a crane", "a seal", "a lease"}


def test_too_many_files_or_bytes_at_once_are_refused_and_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(uploads, "MOST_FILES", 2)
    monkeypatch.setattr(uploads, "MOST_BYTES", 5)
    with pytest.raises(TooLargeError, match=r"3 files are more than the page takes at once \(2\)"):
        keep(Dropped(f"{n}.txt", b"") for n in range(3))
    with pytest.raises(TooLargeError, match="together, the most"):
        keep([Dropped("a.txt", b"one"), Dropped("b.txt", b"two")])
    assert not list(tmp_path.iterdir())
    _, clean_up = keep([Dropped("a.txt", b"five!")])
    clean_up()


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (
            FileReport("a.pdf", FileStatus.INDEXED, "No text on page 2.", 14, 3, (2,)),
            "✓ a.pdf: indexed, 14 passages, 3 pages. No text on page 2.",
        ),
        (FileReport("/x/a.md", FileStatus.INDEXED, chunks=1), "✓ a.md: indexed, 1 passage."),
        (FileReport("a.md", FileStatus.UNCHANGED), "= a.md: unchanged, it is in the library already."),
        (FileReport("b.md", FileStatus.DUPLICATE, "It is a.md."), "= b.md: a duplicate. It is a.md."),
        (
            FileReport("c.pdf", FileStatus.REFUSED, "c.pdf asks for a password."),
            "! c.pdf asks for a password.",
        ),
    ],
)
def test_result_lines(report: FileReport, line: str) -> None:
    assert result_line(report) == line


def test_literal_leaves_plain_words_alone_and_escapes_the_rest() -> None:
    assert literal("which snake kills") == "which snake kills"
    assert literal("$a_b$") == "\\$a\\_b\\$"
    assert ":red[" not in literal(":red[x]")


def test_timings_escape_their_words() -> None:
    html = timings_html([{"stage": "<b>", "ms": 1.0, "share": 1.0, "text": "1 ms"}], [])
    assert "<b><" not in html
    assert "&lt;b&gt;" in html
