"""Passwords on the command line: from a file or asked for, tried on what needs one, printed nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.errors import UsageError
from ingest.pipeline import ingest
from ingest.records import IngestReport
from ingest.sources import Source
from tests.conftest import Desk
from tests.integration.ui.page.test_locked_files import PASSWORD, locked
from ui.command_line.ingest import read_again, read_passwords


def test_a_file_of_passwords_has_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    path.write_bytes("\ufeffhunter2\r\n\r\ncorrect horse \nключ\n".encode())
    assert read_passwords(path) == ("hunter2", "correct horse ", "ключ")
    assert read_passwords(None) == ()


def test_a_file_of_passwords_that_cannot_be_read_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_passwords(tmp_path / "none")
    (tmp_path / "latin").write_bytes("geheim-\xfc".encode("latin-1"))
    with pytest.raises(UsageError, match="not in UTF-8") as caught:
        read_passwords(tmp_path / "latin")
    assert "geheim" not in str(caught.value)


def test_each_password_is_tried_on_each_file_that_needs_one(desk: Desk) -> None:
    paths = [desk.write("a.pdf", locked("A crane.")), desk.write("b.txt", "A bank.")]
    sources = [Source(path, path.name, path.name, ("wrong", PASSWORD)) for path in paths]
    assert PASSWORD not in repr(sources)
    report = ingest(sources, desk.library, desk.encoder)
    assert [file.status for file in report.files] == ["indexed", "indexed"]


def test_asking_ends_with_the_right_one_an_empty_one_or_the_third(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["right.pdf", "empty.pdf", "never.pdf"]
    sources = [Source.of_path(desk.write(name, locked(f"The crane of {name}."))) for name in names]
    sources.append(Source.of_path(desk.write("open.txt", "A bank.")))

    def read(chosen: object) -> IngestReport:
        return ingest(list(chosen), desk.library, desk.encoder)  # type: ignore[call-overload]

    answers = iter(["oops", PASSWORD, "", "no", "nor this", "nor that"])
    asked: list[str] = []

    def ask(words: str) -> str:
        asked.append(Path(words.split(" (", maxsplit=1)[0].removeprefix("Password of ")).name)
        return next(answers)

    report = read_again(read(sources), sources, read, ask)
    assert [file.status for file in report.files] == ["indexed", "refused", "refused", "indexed"]
    assert asked == ["right.pdf"] * 2 + ["empty.pdf"] + ["never.pdf"] * 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("does not open it") == 4
    assert not any(word in err for word in ("oops", "nor this", PASSWORD))
