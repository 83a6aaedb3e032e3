"""A model hub on this machine that serves whole repositories as the real one does, and can be made to fail.

What huggingface_hub asks for is answered in the hub's own way: the commit behind a revision, the listing of a
repository (`/api/models/NAME/tree/COMMIT`, in pages), and files by `/NAME/resolve/COMMIT/PATH`, with `X-Repo-Commit`
and, of a small file, the hash that git knows it by as its `ETag`; a large file redirects to another server, its SHA-256
in `X-Linked-Etag`. There are no Xet headers, as of a mirror. Every request is noted.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

# What `.gitattributes` of a new repository gives to the large files' store.
LARGE = (".safetensors", ".bin", ".onnx", ".model", ".msgpack", ".h5", ".pt")
PAGE = 7  # entries of a listing in one answer: less than any repository here has
HTML = b"<!doctype html><title>Log in</title><p>Log in to use this network."


@dataclass
class Repository:
    """Files by path, at one commit."""

    commit: str
    files: dict[str, bytes]

    def entry(self, path: str) -> dict[str, Any]:
        """What the listing says of a file."""
        content = self.files[path]
        entry: dict[str, Any] = {"type": "file", "oid": git_hash(content), "size": len(content), "path": path}
        if path.endswith(LARGE):
            digest = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
        return entry

    def entries(self) -> list[dict[str, Any]]:
        """The whole listing: folders and files."""
        folders = sorted({path.rpartition("/")[0] for path in self.files if "/" in path})
        listed = [{"type": "directory", "oid": git_hash(f.encode()), "size": 0, "path": f} for f in folders]
        return [*listed, *map(self.entry, sorted(self.files))]


@dataclass
class StandInHub:
    """What it serves, what it was asked, and how it fails at present."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    status: int | None = None  # every request but the probe of the front page is answered with it
    html: bool = False  # every answer is the page of a network that wants a log-in
    down: bool = False  # the front page too is answered with 503
    silent: bool = False  # the front page is answered, and nothing else
    trickle: float = 0.0  # seconds between the single bytes of a large file
    cut: int | None = None  # bytes of a large file after which the connection breaks
    spoil: bool = False  # a large file arrives with one bit turned
    endpoint: str = ""
    store: str = ""
    closed: threading.Event = field(default_factory=threading.Event)

    def publish(self, name: str, commit: str, files: Mapping[str, bytes]) -> None:
        """Serve ``files`` as the model ``name`` at ``commit``, which is the newest too."""
        self.repositories[name] = Repository(commit, dict(files))

    def fetched(self) -> set[str]:
        """The paths of files that were asked for, of all repositories."""
        found = (re.match(r"\w+ /.+?/resolve/\w+/(.+)", line) for line in self.requests)
        return {match[1] for match in found if match}


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: StandInHub
    is_store = False

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        return

    def _answer(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        hub.requests.append(f"{self.command} {path}")
        if hub.down:
            self._send(503, b"", {})
        elif hub.html:
            self._send(200, HTML, {"Content-Type": "text/html"})
        elif path == "/":
            self._send(200, b"the hub", {"Content-Type": "text/html"})
        elif hub.silent:
            hub.closed.wait()
            self.close_connection = True
        elif self.is_store:
            self._large_file(path)
        elif hub.status is not None:
            self._send(hub.status, b"{}", {"Retry-After": "120"} if hub.status == 429 else {})
        elif found := re.fullmatch(r"/api/models/(.+?)/(tree|revision)/([^/]+)", path):
            self._about(*found.groups())
        elif found := re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", path):
            self._file(*found.groups())
        else:
            self._send(404, b"{}", {})

    def _repository(self, name: str, revision: str) -> Repository | None:
        repository = self.hub.repositories.get(name)
        if repository is None:
            self._send(401, b'{"error":"Repository not found"}', {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", repository.commit):
            self._send(404, b'{"error":"Invalid rev id"}', {"X-Error-Code": "RevisionNotFound"})
        else:
            return repository
        return None

    def _about(self, name: str, what: str, revision: str) -> None:
        repository = self._repository(name, revision)
        if repository is None:
            return
        if what == "revision":
            siblings = [{"rfilename": path} for path in sorted(repository.files)]
            self._json({"id": name, "modelId": name, "sha": repository.commit, "siblings": siblings}, {})
            return
        entries = repository.entries()
        cursor = re.search(r"cursor=(\d+)", self.path)
        start = int(cursor[1]) if cursor else 0
        url = f"{self.hub.endpoint}/api/models/{name}/tree/{revision}?recursive=true&cursor={start + PAGE}"
        more = {"Link": f'<{url}>; rel="next"'} if start + PAGE < len(entries) else {}
        self._json(entries[start : start + PAGE], more)

    def _file(self, name: str, revision: str, path: str) -> None:
        repository = self._repository(name, revision)
        if repository is None:
            return
        known = {"X-Repo-Commit": repository.commit}
        if path not in repository.files:
            self._send(404, b"Entry not found", known | {"X-Error-Code": "EntryNotFound"})
            return
        entry, content = repository.entry(path), repository.files[path]
        if "lfs" not in entry:
            self._send(200, content, known | {"ETag": f'"{entry["oid"]}"'})
            return
        digest = entry["lfs"]["oid"]
        known |= {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{digest}"'}
        self._send(302, b"", known | {"Location": f"{self.hub.store}/repos/{digest}?name={path}"})

    def _large_file(self, path: str) -> None:
        digest = path.rpartition("/")[2]
        contents = (c for repository in self.hub.repositories.values() for c in repository.files.values())
        content = next((c for c in contents if hashlib.sha256(c).hexdigest() == digest), None)
        if content is None:
            self._send(403, b"", {})
            return
        if self.hub.spoil:
            content = content[:-1] + bytes([content[-1] ^ 1])
        whole, headers, status = len(content), {"ETag": f'"{digest}"', "Accept-Ranges": "bytes"}, 200
        if wanted := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start, status = int(wanted[1]), 206
            content, headers["Content-Range"] = content[start:], f"bytes {start}-{whole - 1}/{whole}"
        self._send(status, content, headers)

    def _json(self, value: object, headers: Mapping[str, str]) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.is_store and self.hub.trickle:
            self._trickle(content)
        elif self.is_store and self.hub.cut is not None:
            self.wfile.write(content[: self.hub.cut])
            self.close_connection = True
        else:
            self.wfile.write(content)

    def _trickle(self, content: bytes) -> None:
        for n in range(len(content)):
            if self.hub.closed.wait(self.hub.trickle):
                break
            self.wfile.write(content[n : n + 1])
            self.wfile.flush()
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was ended in the middle is none."""


@contextmanager
def stand_in_hub() -> Iterator[StandInHub]:
    """A hub, its large files on a server of their own, until the end of the block."""
    hub = StandInHub()
    servers = []
    for is_store in (False, True):
        handler = type("Handler", (_Handler,), {"hub": hub, "is_store": is_store})
        server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
    # The store has a host of its own: a redirect within the hub's is followed where one asks what a file is.
    hub.endpoint, hub.store = (
        f"http://{host}:{server.server_address[1]}"
        for host, server in zip(("127.0.0.1", "localhost"), servers, strict=True)
    )
    try:
        yield hub
    finally:
        hub.closed.set()
        for server in servers:
            server.shutdown()
            server.server_close()


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder by their paths in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
