"""Folders with what cannot be read in them: each such thing is refused in a sentence, and the rest goes on."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.pipeline import ingest
from ingest.records import FileReport, FileStatus
from ingest.sources import walk
from tests.conftest import AS_A_USER, Desk, needs_a_user

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
# The command of a real ingest but for the encoder, whose graph takes long to make.
INGEST = """
import argparse, sys
from ui.command_line import ingest as command
from tests.fakes import WordEncoder
from ui.command_line.options import record_of
from ui.settings import Settings
command.encoder_model = lambda *_: WordEncoder().model
command.open_encoder = lambda *_, **__: WordEncoder()
parser = argparse.ArgumentParser()
command.add_ingest_arguments(parser, Settings())
arguments = record_of(command.IngestArguments, parser.parse_args())
sys.exit(command.run_ingest(arguments, Settings(library=arguments.library, allow_downloads=False)))
"""


def walked(desk: Desk) -> dict[str, FileReport]:
    """What became of everything in the desk's folder, by its name there."""
    report = ingest(list(walk([desk.folder])), desk.library, desk.encoder)
    return {str(Path(file.path).relative_to(desk.folder)): file for file in report.files}


def run_ingest(*arguments: Path | str) -> tuple[int, list[dict[str, str]]]:
    command = [*AS_A_USER, sys.executable, "-c", INGEST, *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert not done.stderr.count("Traceback"), done.stderr
    return done.returncode, json.loads(done.stdout)["files"]


@posix
@needs_a_user
def test_what_may_not_be_read_is_refused_and_the_exit_status_says_so(desk: Desk, tmp_path: Path) -> None:
    desk.write("a.txt", "The crane is a bird.")
    library = tmp_path / "made"
    assert run_ingest(desk.folder, "--library", library)[0] == 0
    locked = desk.write("secret.txt", "The bank.")
    for name in ("hidden", "unlisted"):
        (desk.folder / name).mkdir()
        (desk.folder / name / "b.txt").write_text("The river.")
    desk.write("z.txt", "The python is a snake.")
    try:
        locked.chmod(0)
        (desk.folder / "hidden").chmod(0)
        (desk.folder / "unlisted").chmod(0o400)  # its names can be read, but nothing of its files
        status, files = run_ingest(desk.folder, "--library", library)
        one_status, (one,) = run_ingest(desk.folder / "hidden" / "b.txt", "--library", library)
    finally:
        for path in (locked, desk.folder / "hidden", desk.folder / "unlisted"):
            path.chmod(0o700)
    assert status == one_status == 1
    found = {Path(file["path"]).relative_to(desk.folder).as_posix(): file for file in files}
    assert {name: file["status"] for name, file in found.items()} == {
        "a.txt": "unchanged", "hidden": "refused", "secret.txt": "refused", "unlisted/b.txt": "refused",
        "z.txt": "indexed",
    }  # fmt: skip
    for file in [*(file for file in found.values() if file["status"] == "refused"), one]:
        assert "Permission denied" in file["reason"]
        assert file["path"] in file["reason"]


@posix
def test_links_out_of_the_folder_to_folders_and_to_nothing_are_not_followed(
    desk: Desk, tmp_path: Path
) -> None:
    inside = desk.write("a.txt", "The crane is a bird.")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.txt").write_text("The bank.")
    links: dict[str, tuple[Path | str, str]] = {
        "link out.txt": (tmp_path / "elsewhere" / "b.txt", "leads out of the folder"),
        "link to folder": (tmp_path / "elsewhere", "is a link to a folder"),
        "link round": (desk.folder, "is a link to a folder"),
        "link to nothing": ("no such file", "leads nowhere (No such file or directory)"),
        "link to itself": ("link to itself", "leads nowhere (Too many levels of symbolic links)"),
        "link to null": ("/dev/null", "leads out of the folder"),
    }
    for name, (target, _) in links.items():
        (desk.folder / name).symlink_to(target)
    (desk.folder / "to a.txt").symlink_to(inside)
    files = walked(desk)
    assert files.pop("a.txt").status is FileStatus.INDEXED
    assert files.pop("to a.txt").status is FileStatus.UNCHANGED
    assert {name: file.status for name, file in files.items()} == dict.fromkeys(links, FileStatus.REFUSED)
    for name, (_, words) in links.items():
        assert words in files[name].reason
        assert files[name].unreachable
    (desk.folder.parent / "whole").symlink_to(desk.folder)  # what is named itself is followed
    assert len(list(walk([desk.folder.parent / "whole"]))) == len(links) + 2


@posix
def test_pipes_sockets_and_devices_are_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write("a.txt", "The crane is a bird.")
    os.mkfifo(desk.folder / "pipe.txt")
    monkeypatch.chdir(desk.folder)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.txt")
        files = walked(desk)
    assert files.pop("a.txt").status is FileStatus.INDEXED
    assert {name: file.status for name, file in files.items()} == dict.fromkeys(
        ("pipe.txt", "socket.txt"), FileStatus.REFUSED
    )
    assert all("not a file" in file.reason for file in files.values())
    assert next(walk([Path("/dev/null")])).fault == ""
    (report,) = ingest(list(walk([Path("/dev/null")])), desk.library, desk.encoder).files
    assert "is a device, a pipe or a socket" in report.reason


@posix
@pytest.mark.parametrize("name", ["d", "d" * 200], ids=["deep", "too long"])
def test_a_tree_of_1100_levels(name: str, desk: Desk) -> None:
    """Down to where its paths are too long for the system; the rest goes on."""
    desk.write("z.txt", "The crane is a bird.")
    fd = os.open(desk.folder, os.O_RDONLY)
    for _ in range(1_100):
        os.mkdir(name, dir_fd=fd)
        inner = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(os.open("deep.txt", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.write(written := os.open("deep.txt", os.O_WRONLY, dir_fd=fd), b"The river may flood.")
    os.close(written)
    os.close(fd)
    try:
        files = walked(desk)
    finally:
        _remove_deep(desk.folder, name)
    assert files.pop("z.txt").status is FileStatus.INDEXED
    (deep,) = files.values()
    if len(name) == 1:
        assert deep.status is FileStatus.INDEXED
    else:
        assert "File name too long" in deep.reason
        assert deep.unreachable


def _remove_deep(folder: Path, name: str) -> None:
    """What pytest cannot: level by level, each brought up before it is removed."""
    top = folder / name
    while top.is_dir() and (top / name).is_dir():
        os.rename(top / name, folder / "next")
        top.rmdir()
        os.rename(folder / "next", top)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_a_name_that_is_no_utf_8_is_read_and_written_out(desk: Desk) -> None:
    Path(os.fsdecode(os.fsencode(desk.folder) + b"/caf\xe9.txt")).write_text("The crane is a bird.")
    (desk.folder / os.fsdecode(b"fold\xff")).mkdir()
    (desk.folder / os.fsdecode(b"fold\xff") / "broken.pdf").write_bytes(b"%PDF-")
    files = walked(desk)
    assert files["caf\\xe9.txt"].status is FileStatus.INDEXED
    assert "fold\\xff/broken.pdf" in files["fold\\xff/broken.pdf"].reason
    assert walked(desk)["caf\\xe9.txt"].status is FileStatus.UNCHANGED
