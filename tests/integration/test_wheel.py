"""The wheel as a person gets it: built, installed in another folder, and used from there by its command alone.

Every process of the installed program is watched: a file of the checkout that one of them opens fails the tests.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

ROOT = Path(__file__).resolve().parents[2]
STAGES = {"ingest", "retrieval", "rerank", "ui"}
SAMPLE = {path.name for path in (ROOT / "data" / "sample" / "documents").iterdir()}
# Run by the interpreter of the installed program before anything else. What belongs to the interpreter and the packages
# of this test run may lie below the checkout, in its .venv.
WATCH = """
import sys
def watch(event, arguments, root={root!r}, beside={beside!r}):
    if event in ("open", "os.listdir", "os.scandir", "os.chdir", "sqlite3.connect") and arguments:
        name = str(arguments[0])
        if name.startswith(root) and not name.startswith(beside):
            with open({log!r}, "a") as log:
                log.write(event + " " + name + "\\n")
sys.addaudithook(watch)
"""


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel, in a folder where nobody's files are."""

    folder: Path
    wheel: Path
    environment: dict[str, str]

    @property
    def command(self) -> Path:
        return self.folder / "env" / "bin" / "secondlook"

    @property
    def files(self) -> Path:
        return next((self.folder / "env" / "lib").glob("python*/site-packages/second_look_files"))

    @property
    def library(self) -> Path:
        return self.folder / "data" / "second-look" / "library"

    def run(self, *arguments: object) -> str:
        done = subprocess.run(
            [self.command, *map(str, arguments)], cwd=self.folder / "work", env=self.environment, text=True,
            capture_output=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("installed")
    (folder / "work").mkdir()
    source = folder / "source"  # so that the build leaves nothing in the checkout
    ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "tests", "docs", "build")
    shutil.copytree(ROOT, source, ignore=ignored)
    shutil.rmtree(source / "data" / "library", ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", folder, source],
        check=True,
        timeout=240,
    )
    shutil.rmtree(source)
    wheel = next(folder.glob("*.whl"))
    venv.create(folder / "env", symlinks=True)
    python = folder / "env" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", *offline, wheel], check=True, timeout=240)
    place = next((folder / "env" / "lib").glob("python*/site-packages"))
    # The packages that this test runs with, but not what their .pth files lead to: the checkout.
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (place / "packages.pth").write_text("\n".join(packages))
    watch = WATCH.format(root=f"{ROOT}/", beside=f"{ROOT}/.venv/", log=str(folder / "opened"))
    (place / "sitecustomize.py").write_text(watch)
    control = f"open({str(ROOT / 'README.md')!r})"
    subprocess.run([python, "-c", control], check=True, timeout=60)
    assert (folder / "opened").read_text() == f"open {ROOT / 'README.md'}\n", "the watch sees nothing"
    (folder / "opened").unlink()
    foreign = ("SECONDLOOK_", "STREAMLIT_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment = kept | {
        "SECONDLOOK_DOWNLOADS": "0",
        "HF_HUB_OFFLINE": "1",
        "XDG_DATA_HOME": str(folder / "data"),
        "SECONDLOOK_ENGINE": "onnx-fp32",  # choosing one takes half a minute
    }
    yield Installed(folder, wheel, environment)
    log = folder / "opened"
    assert not log.exists(), f"the installed program used the checkout: {log.read_text()[:2000]}"


def test_the_wheel_holds_what_is_needed_and_nothing_else(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        names = set(archive.namelist())
    below = {name for name in names if ".dist-info/" not in name}
    ours = {path.relative_to(ROOT).as_posix() for stage in STAGES for path in (ROOT / stage).rglob("*.py")}
    assert {name for name in below if name.endswith(".py")} - {"secondlook.py"} == ours | {
        "second_look_files/app.py"
    }
    assert {name.partition("/")[0] for name in below} - {"secondlook.py"} == STAGES | {"second_look_files"}
    assert {f"{stage}/py.typed" for stage in STAGES} <= names
    page = {path for path in (ROOT / "ui").rglob("*") if path.suffix in (".css", ".html", ".js")}
    styles = {path.relative_to(ROOT).as_posix() for path in page}
    assert styles <= names
    carried = {
        name.removeprefix("second_look_files/")
        for name in names
        if name.startswith("second_look_files/data/")
    }
    model = "data/models/second-look-reranker/"
    assert {name for name in carried if name.startswith(model)} == {
        model + name for name in ("README.md", "model_int8.onnx", "secondlook.json", "tokenizer.json")
    }
    assert {Path(name).name for name in carried if "/documents/" in name} == SAMPLE
    assert installed.wheel.stat().st_size < 26_000_000


def test_it_says_its_version(installed: Installed) -> None:
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert project is not None
    assert installed.run("--version") == f"Second Look {project[1]}\n"


def test_serve_makes_the_sample_library_and_shows_the_page(installed: Installed) -> None:
    port, log = free_port(), installed.folder / "server.txt"
    with log.open("w") as output:
        server = subprocess.Popen(
            [installed.command, "serve", "--port", str(port)], cwd=installed.folder / "work", env=installed.environment,
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_until_healthy(server, port, log)
        assert f"Second Look is at http://localhost:{port} (Ctrl-C stops it)." in log.read_text()
        page = first_run(port)
        second = subprocess.run(
            [installed.command, "serve", "--port", str(port)], cwd=installed.folder / "work", env=installed.environment,
            text=True, capture_output=True, timeout=240, check=False,
        )  # fmt: skip
    finally:
        server.terminate()
        server.wait(timeout=60)
    assert second.returncode == 1
    assert second.stderr == (
        f"Port {port} is taken, perhaps by another Second Look. End what uses it, or choose another port: "
        f"--port {port + 1}\n"
    )
    session = page[0].new_session
    assert Path(session.main_script_path).is_relative_to(installed.files)
    assert session.custom_theme.light.primary_color == "#1f5f8b", "the theme is not ours"
    assert page[-1].script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
    texts = [message.delta.new_element.text.body for message in page]
    assert "all-MiniLM-L6-v2 (bundled) → second-look-reranker (bundled)" in texts
    labels = {message.delta.add_block.expandable.label for message in page}
    assert f"Sample documents: {len(SAMPLE)}" in labels


def test_search_answers_from_the_sample_library_by_the_bundled_reranker(installed: Installed) -> None:
    documents = json.loads(installed.run("documents", "--json"))["documents"]
    assert {Path(document["path"]).name for document in documents} == SAMPLE
    assert all(Path(document["path"]).is_relative_to(installed.files) for document in documents)
    assert (installed.library / "library.sqlite").is_file(), "the library is not in the user's data folder"
    models = json.loads(installed.run("models", "--json"))["models"]
    assert Path(models[1]["folder"]) == installed.files / "data" / "models" / "second-look-reranker"
    found = json.loads(
        installed.run("search", "which snake kills without venom?", "--candidates", 10, "--json")
    )
    assert found["models"]["reranker"] == "second-look-reranker"
    assert len(found["after"]) == 10


def test_ingest_makes_a_library_of_ones_own(installed: Installed) -> None:
    work = installed.folder / "work"
    (work / "heron.txt").write_text("The heron fishes at dawn in the reed bed.")
    report = json.loads(installed.run("ingest", "heron.txt", "--library", "mine", "--json"))
    assert [file["status"] for file in report["files"]] == ["indexed"]
    assert (work / "mine" / "library.sqlite").is_file()


def test_evaluate_measures_on_the_sample(installed: Installed) -> None:
    sample = installed.files / "data" / "sample"
    told = json.loads(
        installed.run("evaluate", sample, "--library", installed.library, "--candidates", 5, "--json")
    )
    assert told["models"]["reranker"] == "second-look-reranker"
    assert told["queries"] == 34


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_until_healthy(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"not healthy: {log.read_text()}")


def first_run(port: int) -> list[ForwardMsg]:
    """What the server sends to a browser that opens the page, until its script has run once."""
    origin = f"http://127.0.0.1:{port}"
    messages: list[ForwardMsg] = []
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    with connect(
        address, subprotocols=[Subprotocol("streamlit")], origin=Origin(origin), max_size=None
    ) as socket_:
        begin = BackMsg()
        begin.rerun_script.query_string = ""
        socket_.send(begin.SerializeToString())
        while not messages or messages[-1].WhichOneof("type") != "script_finished":
            message = ForwardMsg()
            message.ParseFromString(socket_.recv(timeout=120))
            messages.append(message)
    return messages
