"""What uploads may hold: counted on Streamlit's own routes and store, by what came and not by what was declared."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.testclient import TestClient
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.web.server.starlette.starlette_routes import create_upload_routes

from ui.server import upload_gate
from ui.server.upload_gate import UPLOADS, UploadGate

BOUNDARY = "xyz"
HEAD = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n'.encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()
FORM = f"multipart/form-data; boundary={BOUNDARY}"
FRAMING = len(HEAD + TAIL)


class Server:
    """Streamlit's own upload routes and store behind our gate, for the sessions ``s1`` and ``s2``."""

    def __init__(self) -> None:
        self.store = MemoryUploadedFileManager(UPLOADS)
        self.app = Starlette(
            routes=create_upload_routes(self, self.store, ""), middleware=[Middleware(self._gate)]
        )  # type: ignore[arg-type]
        self.client = TestClient(self.app)
        self.uploaded_file_mgr = self.store
        self.open = {"s1", "s2"}

    def _gate(self, app: Any) -> UploadGate:
        self.gate = UploadGate(app)
        return self.gate

    def is_active_session(self, session: str) -> bool:
        return session in self.open

    def put(self, session: str, file: str, size: int, **headers: str) -> Any:
        path = f"{UPLOADS}{session}/{file}"
        return self.client.put(
            path, content=HEAD + b"x" * size + TAIL, headers={"Content-Type": FORM, **headers}
        )

    def held(self) -> int:
        return sum(sum(sizes.values()) for sizes in upload_gate.held_by_streamlit().values())

    async def drip(
        self, session: str, *pieces: bytes, then: Callable[[], Any], length: int | None = None
    ) -> int:
        """Send an upload piece by piece, then what ``then`` awaits; the status of the answer, 0 where there is none."""
        headers = [(b"content-type", FORM.encode()), (b"host", b"x")]
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        scope = {
            "type": "http", "method": "PUT", "path": f"{UPLOADS}{session}/drip", "query_string": b"",
            "headers": headers,
            "raw_path": b"", "root_path": "", "scheme": "http", "client": ("127.0.0.1", 1), "server": ("x", 80),
            "http_version": "1.1",
        }  # fmt: skip
        waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        statuses: list[int] = []

        async def receive() -> Any:
            return waiting.pop(0) if waiting else await then()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        with suppress(ClientDisconnect):  # as a server takes it
            await self.app(scope, receive, send)
        return statuses[-1] if statuses else 0


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(upload_gate, "MOST_FILES", 3)
    monkeypatch.setattr(upload_gate, "MOST_BYTES", 10_000)
    monkeypatch.setattr(upload_gate, "MOST_BYTES_OF_ALL", 15_000)
    monkeypatch.setattr(upload_gate, "_STEP", 500)
    before = st.get_option("server.enableXsrfProtection")
    st.config.set_option("server.enableXsrfProtection", False)
    server = Server()
    monkeypatch.setattr(runtime, "exists", lambda: True)
    monkeypatch.setattr(runtime, "get_instance", lambda: server)
    with server.client:
        yield server
    st.config.set_option("server.enableXsrfProtection", before)


@contextmanager
def serving(app: Any) -> Iterator[tuple[str, int]]:
    """An application on uvicorn, as Streamlit runs it → its address."""
    uvicorn_server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="critical"))
    thread = threading.Thread(target=uvicorn_server.run, daemon=True)
    thread.start()
    while not uvicorn_server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield uvicorn_server.servers[0].sockets[0].getsockname()
    finally:
        uvicorn_server.should_exit = True
        thread.join(10)


async def gone() -> Any:
    return {"type": "http.disconnect"}


def test_a_session_holds_so_many_files_and_deleting_one_makes_room(server: Server) -> None:
    assert [server.put("s1", f"f{n}", 10).status_code for n in range(3)] == [204] * 3
    refused = server.put("s1", "f3", 10)
    assert refused.status_code == 413
    assert refused.text.startswith("The page takes 3 files at once, and more came. Drop fewer")
    assert server.put("s1", "f2", 20).status_code == 204, "a file that is sent again takes no second place"
    assert server.put("s2", "f0", 10).status_code == 204, "another session has places of its own"
    assert server.client.delete(f"{UPLOADS}s1/f0").status_code == 204
    assert server.put("s1", "f3", 10).status_code == 204
    assert server.gate.refusal("s1") == refused.text
    assert server.gate.refusal("s1") == server.gate.refusal("s2") == ""


def test_bytes_are_bounded_for_a_session_and_for_all(server: Server) -> None:
    assert server.put("s1", "a", 6_000).status_code == 204
    refused = server.put("s1", "b", 6_000)
    assert refused.status_code == 413
    assert "10 kB at once" in refused.text
    assert server.put("s2", "a", 6_000).status_code == 204
    refused = server.put("s2", "b", 3_500)
    assert refused.status_code == 413
    assert "Wait until other files are added" in refused.text
    server.store.remove_session_files("s1")  # as Streamlit does when a session ends
    assert server.put("s2", "b", 3_500).status_code == 204
    assert server.held() == 9_500


def test_what_a_closed_tab_left_gives_way_when_room_is_short(server: Server) -> None:
    assert server.put("s1", "a", 9_000).status_code == 204
    server.open.remove("s1")
    assert server.put("s2", "a", 5_000).status_code == 204
    assert server.held() == 14_000, "while there is room, a tab that comes back finds its files"
    assert server.put("s2", "b", 4_000).status_code == 204
    assert server.held() == 9_000
    assert server.put("s2", "c", 4_000).status_code == 413


def test_what_is_declared_too_large_is_refused_before_any_of_it_is_read(server: Server) -> None:
    async def after_the_answer() -> Any:
        assert server.gate.refusal("s1").startswith("The page takes 10 kB at once")
        return await gone()

    assert asyncio.run(server.drip("s1", then=after_the_answer, length=10_001)) == 413


def test_a_refusal_is_heard_by_one_who_is_still_sending(server: Server) -> None:
    """A connection closed too early is reset, and the browser speaks of a network error instead of the refusal."""
    head = f"PUT {UPLOADS}s1/a HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 10001\r\n\r\n"
    with serving(server.app) as address, socket.create_connection(address, timeout=10) as client:
        client.sendall(head.encode())
        assert client.recv(1, socket.MSG_PEEK), "the refusal does not wait for the rest"
        for part in (HEAD, b"x" * 5_000, b"x" * (5_001 - len(HEAD))):
            client.sendall(part)
            time.sleep(0.1)  # in which a reset would come
        heard = b"".join(iter(lambda: client.recv(65_536), b"")).decode()
    assert heard.startswith("HTTP/1.1 413 ")
    assert "The page takes 10 kB at once, and more came." in heard
    assert server.held() == 0


@pytest.mark.parametrize("length", [None, 100])
def test_what_comes_counts_without_a_length_and_against_a_wrong_one(
    server: Server, length: int | None
) -> None:
    async def endless() -> Any:
        return {"type": "http.request", "body": b"x" * 400, "more_body": True}

    assert asyncio.run(server.drip("s1", HEAD, then=endless, length=length)) == 413
    assert server.held() == 0
    assert server.put("s1", "a", 9_000).status_code == 204, "what had come of it is not counted any more"


def test_the_last_piece_counts_too(server: Server) -> None:
    assert server.put("s1", "a", 9_000).status_code == 204

    async def last() -> Any:
        return {"type": "http.request", "body": b"x" * 700 + TAIL, "more_body": False}

    assert asyncio.run(server.drip("s1", HEAD + b"x" * 300, then=last)) == 413


def test_uploads_on_their_way_count_together_until_they_are_abandoned(server: Server) -> None:
    async def both() -> list[int]:
        half, leave = asyncio.Event(), asyncio.Event()

        async def wait_and_leave() -> Any:
            half.set()
            await leave.wait()
            return await gone()

        first = asyncio.create_task(server.drip("s1", HEAD + b"x" * 6_000, then=wait_and_leave))
        await half.wait()
        second = await server.drip("s1", HEAD + b"x" * 6_000, then=gone)
        leave.set()
        return [await first, second]

    abandoned, refused = asyncio.run(both())
    assert abandoned != 204
    assert refused == 413
    assert server.held() == 0
    assert server.put("s1", "a", 9_000).status_code == 204


def test_an_upload_that_falls_silent_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_gate, "SILENT_SECONDS", 0.05)

    async def silent() -> Any:
        await asyncio.sleep(3600)

    assert asyncio.run(server.drip("s1", HEAD + b"x" * 6_000, then=silent)) == 408
    assert server.put("s1", "a", 9_000).status_code == 204


def test_a_session_that_is_gone_gets_nothing_and_takes_no_room(server: Server) -> None:
    assert server.put("s3", "a", 9_000).status_code == 400
    assert server.held() == 0
    assert server.put("s1", "a", 9_000).status_code == 204


def test_a_length_of_nonsense_is_no_reason_to_fail(server: Server) -> None:
    for length in ("-1", "9" * 30, "x", "²"):
        assert upload_gate._declared({"headers": [(b"content-length", length.encode("latin-1"))]}) == 0


def test_a_store_of_another_kind_is_not_taken_for_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "exists", lambda: True)
    monkeypatch.setattr(runtime, "get_instance", lambda: SimpleNamespace(uploaded_file_mgr=object()))
    with pytest.raises(TypeError, match="kept by object"):
        upload_gate.held_by_streamlit()
