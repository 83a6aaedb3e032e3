"""What killed processes left behind is removed by the next one at that place, and nothing that is of the living."""

from __future__ import annotations

import errno
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ingest.library.archive.export import export_library
from ingest.library.archive.importing import import_library
from ingest.library.library import Library
from ingest.pipeline import ingest
from ingest.sources import Source
from ingest.workspace import ALIVE, EXPORTING, MAKING, Workspace, abandoned
from tests.conftest import Desk

ROOT = Path(__file__).resolve().parents[4]
SECRET = "the crane that nobody may read"
# Does one thing, and at the n-th call of one function is killed, or says so and waits to be let go on.
WORKER = textwrap.dedent(
    """
    import importlib, os, signal, sys, tempfile
    from io import BytesIO
    from pathlib import Path

    what, place, file, at, count, then = sys.argv[1:]
    module, _, name = at.rpartition(":")
    owner = importlib.import_module(module.split(":")[0])
    for part in module.split(":")[1:]:
        owner = getattr(owner, part)
    real, calls = getattr(owner, name), 0

    def counted(*args, **options):
        global calls
        calls += 1
        if calls == int(count):
            if then == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            print("here", flush=True)
            sys.stdin.readline()
        return real(*args, **options)

    setattr(owner, name, counted)
    if what == "import":
        from ingest.library.archive.importing import import_library
        import_library(Path(file), Path(place))
    elif what == "export":
        from ingest.library.archive.export import export_library
        from ingest.library.library import Library
        export_library(Library(Path(place)), Path(file))
    elif what == "upload":
        from ui.files.uploads import keep
        tempfile.tempdir = place
        upload = BytesIO(Path(file).read_bytes())
        upload.name = "a.txt"
        kept = keep([upload])
        os.kill(os.getpid(), signal.SIGKILL)
    """
)


def work(what: str, place: Path, file: Path, at: str, count: int, then: str = "die") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, what, str(place), str(file), at, str(count), then]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, text=True, **pipes)


def killed(*args: object) -> None:
    process = work(*args)  # type: ignore[arg-type]
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith((".", "second-look-"))]


@pytest.fixture
def place(desk: Desk, tmp_path: Path) -> Path:
    """A folder of its own for what is killed, with an export in it."""
    place = tmp_path / "place"
    place.mkdir()
    desk.add(*(desk.write(f"{number}.txt", f"{SECRET} {number}") for number in range(3)))
    export_library(desk.library, place / "gift.zip")
    return place


@pytest.mark.parametrize(
    ("at", "count"),
    [
        ("ingest.library.archive.importing:Library:create", 1),
        ("ingest.library.writer:LibraryWriter:stage", 2),
        ("ingest.library.index_files:fsync", 1),
        # The first puts the empty library into its folder aside.
        ("ingest.library.archive.importing:os:rename", 2),
    ],
)
def test_an_import_that_is_killed_leaves_nothing_after_the_next_command(
    place: Path, desk: Desk, at: str, count: int
) -> None:
    killed("import", place / "new", place / "gift.zip", at, count)
    assert not (place / "new").exists()
    (left,) = hidden(place)
    assert abandoned(place) == [left]
    if count > 1:
        assert any(SECRET.encode() in path.read_bytes() for path in left.rglob("library.sqlite*"))
    assert import_library(place / "gift.zip", place / "new").documents == 3
    assert hidden(place) == []
    assert hidden(place / "new") == []


@pytest.mark.parametrize(
    ("at", "count"),
    [("ingest.library.archive.export:_Members:lines", 2), ("ingest.library.archive.export:os:replace", 1)],
)
def test_an_export_that_is_killed_leaves_nothing_after_the_next_command(
    place: Path, desk: Desk, at: str, count: int
) -> None:
    whole = (place / "gift.zip").read_bytes()
    killed("export", desk.library.folder, place / "gift.zip", at, count)
    assert (place / "gift.zip").read_bytes() == whole
    (left,) = hidden(place)
    assert left.name.startswith(EXPORTING)
    assert any(path.stat().st_size for path in left.rglob("*.zip"))
    # Not an export again: whatever writes to a library that lies there.
    library = Library.create(place / "other", desk.library.manifest())
    ingest([Source.of_path(desk.write("a.txt", "snake"))], library, desk.encoder)
    assert hidden(place) == []


def test_uploads_of_a_server_that_was_killed_go_when_the_next_one_begins(place: Path, desk: Desk) -> None:
    killed("upload", place, desk.write("a.txt", SECRET), "os:getpid", 99)
    (left,) = hidden(place)
    assert any(SECRET in path.read_text() for path in left.rglob("upload-*"))
    begin = "import tempfile; tempfile.tempdir = {!r}; from ui.server.start import guard; guard()"
    subprocess.run(
        [sys.executable, "-c", begin.format(str(place))], cwd=ROOT, check=False, capture_output=True
    )
    assert hidden(place) == []


def test_what_a_living_process_is_at_and_what_is_not_ours_is_left_alone(place: Path, desk: Desk) -> None:
    (place / ".importing-by-hand").mkdir()
    (place / "second-look-notes").mkdir()
    (place / "second-look-notes" / "mine.txt").write_text("mine")
    living = work(
        "import", place / "new", place / "gift.zip", "ingest.library.archive.importing:os:rename", 2, "wait"
    )
    assert living.stdout is not None
    assert living.stdout.readline() == "here\n"
    (at_work,) = place.glob(f".importing-*/{ALIVE}")
    export_library(desk.library, place / "another.zip")  # which sweeps
    assert abandoned(place) == []
    assert at_work.exists()
    living.communicate("go on\n", timeout=60)
    assert living.returncode == 0
    assert len(Library(place / "new").documents()) == 3
    assert sorted(path.name for path in hidden(place)) == [".importing-by-hand", "second-look-notes"]


@pytest.mark.skipif(sys.platform == "win32", reason="flock is POSIX")
def test_a_workspace_that_another_took_for_one_of_the_dead_is_made_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep that comes between the making of a lock's file and its locking takes the folder from who waits for it."""
    import fcntl

    flock, swept = fcntl.flock, list[Path]()

    def flock_late(descriptor: int, how: int) -> None:
        if not swept:
            (made,) = hidden(tmp_path)
            swept.append(made)
            shutil.rmtree(made)
            raise BlockingIOError(errno.EAGAIN, "held by the sweep")
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock_late)
    with Workspace(tmp_path, MAKING) as folder:
        assert folder.is_dir()
        assert not swept[0].exists()
    assert hidden(tmp_path) == []
