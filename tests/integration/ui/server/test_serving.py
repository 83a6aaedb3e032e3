"""A server that anybody could reach does not start, however it is started; and keys stay out of all that is written."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from ingest.errors import AddressError
from tests.browser.conftest import ROOT, free_port
from ui.command_line.main import main
from ui.server import gate, start
from ui.server.passwords import read_password_file
from ui.settings import KEYS, from_environment

KEY = "key-0d9f5b21c4-never-to-be-seen"
STREAMLIT = ["-m", "streamlit", "run", "app.py", "--server.port=0"]


def run(arguments: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SECONDLOOK_", "STREAMLIT_"))
    }
    settings = {"SECONDLOOK_LIBRARY": str(folder / "library"), "SECONDLOOK_DOWNLOADS": "0"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=kept | settings | environment, text=True, capture_output=True,
        timeout=240, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["-m", "ui.command_line.main", "serve", "--address", "0.0.0.0"], {}),
        (STREAMLIT, {"STREAMLIT_SERVER_ADDRESS": "0.0.0.0"}),
        ([*STREAMLIT, "--server.address="], {}),  # Streamlit's own default: every address
    ],
    ids=["secondlook serve", "the environment", "no address"],
)
def test_nothing_is_served_to_a_network_as_it_is(
    arguments: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    done = run(arguments, tmp_path, **environment)
    assert done.returncode == 2, done.stderr
    assert "Second Look is not served at" in done.stderr
    assert "secondlook password FILE" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "library").exists()


def test_a_page_without_its_gate_shows_nothing_to_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should Streamlit ever run app.py as a page alone, it is closed, not open."""
    monkeypatch.setattr(gate, "_standing", [])
    address = st.get_option("server.address")
    st.config.set_option("server.address", "0.0.0.0")
    try:
        page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    finally:
        st.config.set_option("server.address", address)
    assert "without its gate" in "\n".join(str(text.value) for text in page.text)
    assert not page.text_input
    assert not page.button


def test_oidc_without_authlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st.secrets, "load_if_toml_exists", lambda: True)
    monkeypatch.setattr(type(st.secrets), "__contains__", lambda self, name: name == "auth")
    monkeypatch.setattr(start, "find_spec", lambda name: None)
    with pytest.raises(start.UsageError, match=r"pip install 'second-look\[auth\]'"):
        start.protection_at("0.0.0.0", from_environment({"SECONDLOOK_USERS": "@example.org"}))


def test_streamlit_is_set_up_to_stay_at_home() -> None:
    """What the gate builds on: XSRF protection, no statistics, no tracebacks on the page, a limit for uploads."""
    wanted = {
        "server.address": "127.0.0.1", "server.enableXsrfProtection": True, "server.enableCORS": True,
        "browser.gatherUsageStats": False, "client.showErrorDetails": "none", "server.enableStaticServing": False,
        "server.enableAgentApi": False, "browser.serverAddress": "localhost",
    }  # fmt: skip
    assert {name: st.get_option(name) for name in wanted} == wanted
    assert st.get_option("server.maxUploadSize") <= 200


def test_a_key_is_in_no_output_no_log_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The heron fishes at dawn in the reed bed.")
    assert run(["-m", "ui.command_line.main", "ingest", str(tmp_path / "a.txt")], tmp_path).returncode == 0
    told = (
        "import logging, sys; logging.basicConfig(level=1, stream=sys.stderr)\n"
        "from ui.command_line.main import main; from ui.settings import from_environment\n"
        "print(repr(from_environment()), file=sys.stderr)\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    assert "SECONDLOOK_EMBED_KEY" in KEYS
    keys = dict.fromkeys(KEYS, KEY)
    nobody = {"SECONDLOOK_RERANK_URL": "http://127.0.0.1:9/rerank", "SECONDLOOK_RERANK_MODEL": "m"}
    for arguments in (
        ["search", "how does the heron fish?", "--json", "--reranker", "server"],
        ["models", "--json"],
        ["search", "how does the heron fish?", "--encoder", "openai:no-such-model@8"],
        ["export", str(tmp_path / "library.zip")],
    ):
        done = run(["-c", told, *arguments], tmp_path, **keys, **nobody)
        assert KEY not in done.stdout + done.stderr, arguments
        if arguments[-1] == "server":
            assert json.loads(done.stdout)["notices"], "the service was not asked"
            assert done.stdout
    with zipfile.ZipFile(tmp_path / "library.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert any(b"heron" in data for data in members.values()), "the export is empty"
    kept = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert [name for name, data in (members | kept).items() if KEY.encode() in data] == []


def test_a_reranker_in_a_folder_is_the_same_one_from_where_streamlit_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`serve` changes to the project's folder, where a relative path would mean nothing, or another folder."""
    begun: list[dict[str, str]] = []
    (tmp_path / "my-reranker").mkdir()
    (tmp_path / "bundled").mkdir()
    monkeypatch.setattr(
        "ui.command_line.serve.os.execve", lambda program, command, environment: begun.append(environment)
    )
    monkeypatch.chdir(tmp_path)
    asked = [
        "serve",
        "--port",
        str(free_port()),
        "--no-sample",
        "--reranker",
        "my-reranker",
        "--encoder",
        "bundled",
    ]
    main(asked)
    assert begun[0]["SECONDLOOK_RERANKER"] == str(tmp_path / "my-reranker")
    assert begun[0]["SECONDLOOK_ENCODER"] == "bundled", "a name is a name"


def test_a_taken_port_is_said_before_anybody_waits_for_a_library(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port), "--library", str(tmp_path / "library")]) == 1
    told = capsys.readouterr().err
    assert f"Port {port} is taken" in told
    assert "choose another port: --port" in told
    assert "Second Look is at" not in told
    assert not (tmp_path / "library").exists()


def test_an_address_that_is_not_this_machines_is_a_sentence() -> None:
    with pytest.raises(AddressError, match=r"Nothing can be served at 192\.0\.2\.1 .*--address 127\.0\.0\.1"):
        start.require_free("192.0.2.1", free_port())


@pytest.mark.parametrize("theirs", [b"my\nnotes\n", b"SQLite format 3\0\x10", b"%PDF-1.7 " + b"x" * 5000])
def test_a_password_takes_no_other_files_place(
    theirs: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(theirs)
    (tmp_path / "other.new").write_bytes(theirs)
    for name, status in (("file", 2), ("other", 0), ("other", 0)):
        monkeypatch.setattr("sys.stdin", io.StringIO("four random words say\n"))
        assert main(["password", str(tmp_path / name)]) == status
    assert "holds no password" in capsys.readouterr().err
    assert (tmp_path / "file").read_bytes() == (tmp_path / "other.new").read_bytes() == theirs
    assert read_password_file(tmp_path / "other").agrees("four random words say")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "other", "other.new"}


def test_a_password_is_not_written_to_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (".", "/", str(tmp_path)):
        monkeypatch.setattr(sys, "stdin", io.StringIO("four random words say\n"))
        assert main(["password", folder]) == 2
        assert "is a folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
