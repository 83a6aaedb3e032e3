"""A real server among strangers: other pages' web sockets, requests that never end, and what it asks of others."""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.browser.conftest import ROOT, free_port, wait_until_healthy
from ui.server.connections import WAIT_SECONDS, Connections, Sparing

# Read by Python before anything else: whoever is asked for, by name or by address, is written down.
WATCH = """
import os, sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with open(os.environ["ASKED"], "a") as file:
            file.write(f"{os.getpid()} {event} {arguments[1] if event != 'socket.getaddrinfo' else arguments[0]!r}\\n")
sys.addaudithook(watch)
with open(os.environ["ASKED"], "a") as file:
    file.write("127.0.0.1 is watched\\n")
"""
FILES = 256  # that the server may open
OWN_PAGE, OTHER_PAGE = "http://127.0.0.1", "http://evil.example"


@dataclass
class Served:
    """A server in a process of its own, what it wrote and whom it asked for."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    asked: Path

    def socket(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def answer(self, path: str, **headers: str) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def written(self) -> str:
        return self.log.read_text(errors="replace")


@dataclass
class Peer:
    """Both ends of a connection that is held, of which there may be many."""

    connections: Connections
    ends: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)

    def come(self, address: str, waits: bool = True) -> bool:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.ends.append((ours, theirs))
        if taken := self.connections.take(ours, address):
            self.connections.note(ours.fileno(), waits)
        return taken

    def closed(self) -> list[int]:
        """Which of those that came were closed."""
        found = []
        for number, (_, theirs) in enumerate(self.ends):
            with suppress(BlockingIOError):
                found += [number] if theirs.recv(1) == b"" else []
        return found


@pytest.fixture
def peer() -> Iterator[Peer]:
    """Sixteen connections at most: eight of one address, two of which wait."""
    peer = Peer(Connections(16))
    yield peer
    for end in chain.from_iterable(peer.ends):
        end.close()


def test_who_has_waited_longest_makes_room_and_nobody_takes_all(peer: Peer) -> None:
    one, same, other = "2001:db8::1", "2001:db8::2", "203.0.113.9"
    assert all(peer.come(address) for address in (one, same, one, same))
    assert peer.closed() == [0, 1], "an IPv6 /64 is one machine"
    assert all(peer.come(one, waits=False) for _ in range(6))
    assert peer.come(one, waits=False)
    assert peer.come(one, waits=False)
    assert peer.closed() == [0, 1, 2, 3]
    assert not peer.come(one), "one address holds half"
    assert all(peer.come(other, waits=False) for _ in range(8))
    assert not peer.come("198.51.100.7"), "all are being answered"
    peer.ends[-4][0].close()
    assert peer.come("198.51.100.7")
    assert peer.come("198.51.100.8"), "one waited"


def test_many_behind_a_proxy_are_not_one(peer: Peer) -> None:
    assert all(peer.come("127.0.0.1", waits=False) for _ in range(16))


def test_a_line_is_said_once_a_minute_with_how_often(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now, log = 0.0, logging.getLogger("strangers.test")
    log.addFilter(Sparing())
    monkeypatch.setattr("ui.server.connections.time.monotonic", lambda: now)
    for number in range(1_000):
        log.warning("from %s", number)
    for cause in ("one", []):
        try:
            len(cause) + cause  # type: ignore[operator]
        except TypeError:
            log.exception("an error")
    log.warning("another")
    now = 61.0
    log.warning("from %s", "later")
    assert caplog.messages == [
        "from 0", "an error", "another", "from later (and 999 times more since it was last said)",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The product's own server, as people start it, with few files to open, so that few connections are many."""
    folder = tmp_path_factory.mktemp("strangers")
    (folder / "sitecustomize.py").write_text(WATCH)
    port, log, asked = free_port(), folder / "log.txt", folder / "asked.txt"
    asked.touch()
    environment = os.environ | {
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "ASKED": str(asked), "SECONDLOOK_DOWNLOADS": "0",
        "SECONDLOOK_LIBRARY": str(folder / "library"),
    }  # fmt: skip
    command = (
        f"ulimit -n {FILES}; exec {sys.executable} -m ui.command_line.main serve --no-sample --port {port}"
    )
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["sh", "-c", command], cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until_healthy(process, f"http://127.0.0.1:{port}", log)
        yield Served(port, process, log, asked)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_another_page_gets_no_web_socket_and_nobody_is_asked_about_it(served: Served) -> None:
    """Streamlit would look up this machine's address elsewhere, in the loop that answers everybody."""
    address = f"ws://127.0.0.1:{served.port}/_stcore/stream"
    others = [OTHER_PAGE, f"http://127.0.0.1:{free_port()}", f"http://localhost:{served.port}", "null", None]
    begun = time.monotonic()
    for origin in others:
        with pytest.raises(InvalidStatus) as refused:
            connect(address, origin=origin, proxy=None)  # type: ignore[arg-type]
        assert refused.value.response.status_code == 403
        if origin is not None:
            assert served.answer("/_stcore/health", Origin=origin) == 403
    assert time.monotonic() - begun < 5
    with connect(address, origin=f"{OWN_PAGE}:{served.port}", proxy=None):  # type: ignore[arg-type]
        pass
    asked = served.asked.read_text().splitlines()
    assert asked, "nothing watched"
    assert not [line for line in asked if "127.0.0.1" not in line]
    assert "evil.example" in served.written()


def test_requests_that_never_end_hold_up_nobody(served: Served) -> None:
    """Far more than the process may open files for, each with half of a head, of a form, or nothing at all."""
    size = len(served.written())
    halves = [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-", b"GET /"]
    with ExitStack() as open_ones:
        sockets = [open_ones.enter_context(closing(served.socket())) for _ in range(FILES * 2)]
        for number, held in enumerate(sockets):
            try:
                held.sendall(halves[number % len(halves)])
            except OSError:  # closed, to make room
                continue
        begun = time.monotonic()
        assert served.answer("/") == 200
        assert time.monotonic() - begun < 3
        time.sleep(1)
        assert served.answer("/_stcore/health") == 200
        assert len(os.listdir(f"/proc/{served.process.pid}/fd")) < FILES
    assert len(served.written()) - size < 5_000


def test_a_request_has_to_come_whole_in_time_and_cannot_be_huge(served: Served) -> None:
    """One that drops in byte by byte is given up when one that says nothing is; and what a stranger can have written
    into the log is counted, and cut."""
    size = len(served.written())
    with (
        closing(served.socket()) as silent,
        closing(served.socket()) as slow,
        closing(served.socket()) as huge,
    ):
        begun = time.monotonic()
        huge.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 100_000)
        assert huge.recv(100).startswith(b"HTTP/1.1 400")
        slow.sendall(b"GET / HTTP/1.1\r\nX: ")
        number = 0
        while time.monotonic() - begun < WAIT_SECONDS + 5:
            try:
                slow.sendall(b"x")
            except OSError:
                break
            number += 1
            with closing(served.socket()) as broken:
                broken.sendall(b"no request at all\r\n\r\n")
                assert b"400" in broken.recv(100)
            assert served.answer("/", Host=f"{number}.{'evil' * 5_000}.example") == 403
            time.sleep(0.02)
        assert WAIT_SECONDS - 1 < time.monotonic() - begun < WAIT_SECONDS + 4
        assert silent.recv(1) == b""
    more = served.written()[size:]
    assert number > 50
    assert len(more) < 5_000, more[:2_000]
    assert not re.search(r"(evil){50}", more)
