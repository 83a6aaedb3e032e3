"""A server that speaks the documented rerank protocols, and fails in the ways that real ones do.

Its scores can be worked out: how many different words of the query stand in the passage, and a fraction for its length.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fakes import words

Fault = Callable[[BaseHTTPRequestHandler], bool]
Answering = Callable[[str, Any], tuple[int, Any]]
TEI_BATCH = 32


def stub_score(query: str, passage: str) -> float:
    return len(set(words(query)) & set(words(passage))) + 1 / (2 + len(passage))


@dataclass
class RerankStub:
    """``faults`` are played first, one a request; ``rewrite`` changes answers; ``requests`` is what was heard."""

    url: str = ""
    key: str = ""
    faults: list[Fault] = field(default_factory=list)
    rewrite: Callable[[Any], Any] = lambda answer: answer
    requests: list[dict[str, Any]] = field(default_factory=list)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [request["body"] for request in self.requests]


def status(code: int, body: object = None, **headers: str) -> Fault:
    """Answer with a status, a JSON body (or a text as it is), and headers (underscores are hyphens)."""

    def play(handler: BaseHTTPRequestHandler) -> bool:
        raw = body.encode() if isinstance(body, str) else json.dumps(body or {}).encode()
        kind = "text/html; charset=utf-8" if isinstance(body, str) else "application/json"
        _send(
            handler, code, raw, {"Content-Type": kind} | {k.replace("_", "-"): v for k, v in headers.items()}
        )
        return True

    return play


def hang_up(handler: BaseHTTPRequestHandler) -> bool:
    """Close the connection without a word."""
    handler.close_connection = True
    handler.connection.close()
    return True


def sleep(seconds: float) -> Fault:
    """Answer well, but late."""

    def play(handler: BaseHTTPRequestHandler) -> bool:
        time.sleep(seconds)
        return False

    return play


def trickle(seconds: float) -> Fault:
    """Send a byte now and then, so that no single read of the client is slow."""

    def play(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        ends = time.monotonic() + seconds
        with suppress(OSError):  # the client gives up, as it should
            while time.monotonic() < ends:
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(0.05)
        handler.close_connection = True
        return True

    return play


def trickle_headers(seconds: float) -> Fault:
    """Send a byte of a header now and then, which no limit of a single read notices."""

    def play(handler: BaseHTTPRequestHandler) -> bool:
        ends = time.monotonic() + seconds
        with suppress(OSError):  # the client gives up, as it should
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Slow: ")
            while time.monotonic() < ends:
                handler.wfile.write(b"a")
                handler.wfile.flush()
                time.sleep(0.05)
        handler.close_connection = True
        return True

    return play


@contextmanager
def rerank_stub(key: str = "", answer: Answering | None = None) -> Iterator[RerankStub]:
    """``answer`` is another protocol than the rerank ones: path and body → status and answer."""
    stub = RerankStub(key=key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(stub, answer or _answer))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()


def _handler(stub: RerankStub, answering: Answering) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            stub.requests.append({"path": self.path, "headers": dict(self.headers), "body": body})
            if stub.faults and stub.faults.pop(0)(self):
                return
            if stub.key and self.headers.get("Authorization") != f"Bearer {stub.key}":
                message = f"Incorrect key: {self.headers.get('Authorization', '')[7:]}"
                status(401, {"error": {"message": message}})(self)
                return
            code, answer = answering(self.path, body)
            _send(self, code, json.dumps(stub.rewrite(answer) if code == 200 else answer).encode(), {})

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler


def _answer(path: str, body: dict[str, Any]) -> tuple[int, Any]:
    """Best first, as the protocols have it."""
    if path == "/rerank":
        if len(body["texts"]) > TEI_BATCH:
            return 413, {"error": f"batch size {len(body['texts'])} > maximum allowed batch size {TEI_BATCH}"}
        rows = _rows(body["query"], body["texts"], "score")
        return (200, rows) if body["raw_scores"] and body["truncate"] else (422, {"error": "too long"})
    if path in {"/v1/rerank", "/v2/rerank"} and body["model"]:
        results = _rows(body["query"], body["documents"], "relevance_score")[: body["top_n"]]
        units = -(-len(body["documents"]) // 100)
        return 200, {"id": "1", "results": results, "meta": {"billed_units": {"search_units": units}}}
    return 404, {"detail": "Not Found"}


def _rows(query: str, passages: list[str], name: str) -> list[dict[str, Any]]:
    rows = [{"index": n, name: stub_score(query, passage)} for n, passage in enumerate(passages)]
    return sorted(rows, key=lambda row: -row[name])


def _send(handler: BaseHTTPRequestHandler, code: int, raw: bytes, headers: dict[str, str]) -> None:
    with suppress(
        BrokenPipeError, ConnectionResetError
    ):  # the client gave up, as it should when it is kept waiting
        handler.send_response(code)
        for name, value in ({"Content-Type": "application/json"} | headers).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)
