"""The gate in front of a server: who comes in by a password, by OIDC, or from this machine; and who does not."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from ui.server import gate, log_in
from ui.server.access import Protection, Way
from ui.server.gate import gate_for
from ui.server.passwords import PasswordHash

SECRET = "correct horse battery"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}


async def _page(request: Any) -> PlainTextResponse:
    return PlainTextResponse("the library")


async def _echo(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


def client(
    protection: Protection, *, origin: str = "http://127.0.0.1:8501", peer: str = "127.0.0.1"
) -> TestClient:
    every = ["GET", "PUT", "POST", "DELETE"]
    app = Starlette(
        routes=[WebSocketRoute("/_stcore/stream", _echo), Route("/{path:path}", _page, methods=every)],
        middleware=gate_for(protection),
    )
    return TestClient(app, base_url=origin, client=(peer, 4711), follow_redirects=False)


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate stands in this process; the tests of the page after these know nothing of ours."""
    monkeypatch.setattr(gate, "_standing", [])


@pytest.fixture(scope="module")
def by_password() -> Protection:
    return Protection(Way.PASSWORD, PasswordHash.of(SECRET))


@pytest.fixture
def stranger(by_password: Protection) -> Iterator[TestClient]:
    with client(by_password, origin="http://library.example:8501", peer="203.0.113.9") as visitor:
        yield visitor


def enter(visitor: TestClient, password: str, path: str = "/", **headers: str) -> Any:
    return visitor.post(path, data={"password": password}, headers={**FORM, **headers})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"), ("GET", "/media/abc.csv"), ("GET", "/static/js/index.js"), ("GET", "/_stcore/host-config"),
        ("PUT", "/_stcore/upload_file/session/file"), ("DELETE", "/_stcore/upload_file/session/file"),
        ("GET", "/media/_stcore/health"), ("GET", "/logout"),
    ],
)  # fmt: skip
def test_without_the_password_nothing_is_answered(stranger: TestClient, method: str, path: str) -> None:
    answer = stranger.request(method, path)
    assert answer.status_code == 401
    assert "the library" not in answer.text
    with pytest.raises(WebSocketDisconnect), stranger.websocket_connect("/_stcore/stream"):
        pass


def test_the_password_opens_a_session_that_ends(
    stranger: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = stranger.get("/?q=a+question", headers={"Accept": "text/html"})
    assert asked.status_code == 401
    assert 'type="password"' in asked.text
    opened = enter(stranger, SECRET, "/?q=a+question", Origin="http://library.example:8501")
    assert (opened.status_code, opened.headers["location"]) == (303, "?q=a+question")
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie  # this visit was without TLS
    assert SECRET not in cookie
    assert stranger.get("/").text == "the library"
    own = {"Origin": "http://library.example:8501"}
    with stranger.websocket_connect("ws://library.example:8501/_stcore/stream", headers=own) as socket:
        socket.send_text("a")
        assert socket.receive_text() == "a"
        assert stranger.get("/logout").status_code == 303
        socket.send_text("b")
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()
    stranger.cookies.set(*re.match(r"([^=]+)=([^;]+)", cookie).groups())  # type: ignore[union-attr]
    assert stranger.get("/").status_code == 401, "the session outlived its log-out"
    assert enter(stranger, SECRET).status_code == 303
    later = time.monotonic() + log_in.SESSION_SECONDS + 1
    monkeypatch.setattr(log_in.time, "monotonic", lambda: later)
    assert stranger.get("/").status_code == 401


def test_over_tls_the_cookie_is_kept_to_it(by_password: Protection) -> None:
    with client(by_password, origin="https://library.example") as visitor:
        assert "Secure" in enter(visitor, SECRET).headers["set-cookie"]


def test_guesses_are_slowed_down_and_never_logged(
    stranger: TestClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(log_in.time, "monotonic", lambda: now)
    assert enter(stranger, "a wrong guess that is long").status_code == 401
    refused = enter(stranger, SECRET)  # right, but too soon after the wrong one
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    now += 1.05
    assert enter(stranger, SECRET).status_code == 303
    assert "a wrong password from 203.0.113.9" in caplog.text
    assert "guess" not in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "body", [b"password=" + b"a" * 100_000, b"word=x", b"&".join([b"a=b"] * 50), b"\xff\xfe%zz", b""]
)
def test_a_broken_form_is_a_wrong_password(stranger: TestClient, body: bytes) -> None:
    assert stranger.post("/", content=body, headers=FORM).status_code == 401


OTHER_PAGES = [
    "http://evil.example", "null", "", "http://library.example:9999", "http://library.example",
    "https://library.example:8501", "http://library.example:8501.evil.example", "http://library.example:8501/",
]  # fmt: skip


@pytest.mark.parametrize("origin", OTHER_PAGES)
def test_another_page_is_refused_whatever_it_asks_for(stranger: TestClient, origin: str) -> None:
    """Also with the cookie, which a browser sends to every port of a host, and where it only asks how we are."""
    assert enter(stranger, SECRET, Origin=origin).status_code == 403
    assert enter(stranger, SECRET).status_code == 303
    for method, path in [("GET", "/"), ("PUT", "/_stcore/upload_file/s/f"), ("GET", "/_stcore/health")]:
        assert stranger.request(method, path, headers={"Origin": origin}).status_code == 403, path
    refused_socket(stranger, Origin=origin)
    refused_socket(stranger)  # every browser says where it comes from
    with open_socket(stranger, Origin="http://library.example:8501"):
        pass


@pytest.mark.parametrize(
    ("site", "mode", "dest", "status"),
    [
        ("same-site", "no-cors", "image", 403), ("cross-site", "no-cors", "script", 403),
        ("same-site", "navigate", "iframe", 403), ("cross-site", "navigate", "document", 200),  # a link to the page
        ("same-origin", "no-cors", "image", 200), ("none", "navigate", "document", 200),
    ],
)  # fmt: skip
def test_what_another_page_takes_in_is_refused(site: str, mode: str, dest: str, status: int) -> None:
    """An image or a script of another port comes without an Origin, but the browser says from where it is asked for."""
    said = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    assert client(Protection(Way.LOCAL)).get("/media/a.csv", headers=said).status_code == status


def open_socket(visitor: TestClient, **headers: str) -> Any:
    address = str(visitor.base_url).replace("http", "ws", 1)
    return visitor.websocket_connect(f"{address}/_stcore/stream", headers=headers)


def refused_socket(visitor: TestClient, **headers: str) -> None:
    with pytest.raises(WebSocketDisconnect), open_socket(visitor, **headers):
        pass


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Anything",
        "X-Real-IP",
        "X_Forwarded_For",
        "Fly-Client-IP",
        "Tailscale-User-Login",
        "Via",
        "CF-Ray",
    ],
)
def test_without_a_password_nothing_comes_by_way_of_a_proxy(header: str, by_password: Protection) -> None:
    """nginx's `proxy_pass` names this machine as the host, as a visitor of it would."""
    local, own = client(Protection(Way.LOCAL)), {"Origin": "http://127.0.0.1:8501"}
    refused = local.get("/", headers={header: "203.0.113.9"})
    assert refused.status_code == 403
    assert "serve it with a password" in refused.text
    refused_socket(local, **own, **{header: "203.0.113.9"})
    with open_socket(local, **own):
        pass
    assert client(by_password).get("/", headers={header: "203.0.113.9"}).status_code == 401


def test_behind_a_proxy_the_host_and_the_scheme_have_to_be_passed_on(by_password: Protection) -> None:
    """X-Forwarded-Host is not looked at: Streamlit compares the Host itself, too."""
    said = {"Origin": "https://library.example"}
    for host, scheme, opens in [
        ("library.example", "https", True),
        ("library.example", "http", False),  # without X-Forwarded-Proto
        ("127.0.0.1:8501", "https", False),  # nginx's own
    ]:
        with client(by_password, origin=f"{scheme}://{host}") as visitor:
            entered = enter(visitor, SECRET, **said, **{"X-Forwarded-Host": "library.example"})
            assert entered.status_code == (303 if opens else 403), (host, scheme)
            if opens:
                with open_socket(visitor, **said):
                    pass
            else:
                assert "pass on Host and X-Forwarded-Proto" in entered.text


def test_two_servers_on_one_host_do_not_share_their_sessions(by_password: Protection) -> None:
    """A browser sends the cookies of a host to all of its ports."""
    with client(by_password) as one, client(by_password, origin="http://127.0.0.1:8502") as two:
        two.cookies.jar = one.cookies.jar
        assert enter(one, SECRET).status_code == 303
        assert two.get("/").status_code == 401
        assert enter(two, SECRET).status_code == 303
        assert one.get("/").status_code == two.get("/").status_code == 200
        assert two.get("/logout").status_code == 303
        assert (one.get("/").status_code, two.get("/").status_code) == (200, 401)


def test_where_to_go_after_it_is_never_elsewhere(stranger: TestClient) -> None:
    answer = enter(stranger, SECRET, "//evil.example/%0d%0aSet-Cookie:a=b")
    assert answer.headers["location"] == "./"


def test_one_password_is_checked_at_a_time(by_password: Protection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many guesses at once, from many addresses, take one core, and the rest is told to wait."""
    at_once, most = 0, 0

    def slow(self: PasswordHash, given: str) -> bool:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.02)
        at_once -= 1
        return False

    monkeypatch.setattr(PasswordHash, "agrees", slow)
    guard = log_in.LogIn(by_password.password)  # type: ignore[arg-type]

    async def guess(number: int) -> int:
        scope = {
            "type": "http", "method": "POST", "path": "/", "query_string": b"", "scheme": "http",
            "headers": [(b"host", b"x")], "client": (f"203.0.113.{number}", 1), "server": ("x", 80),
        }  # fmt: skip
        statuses: list[int] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"password=x", "more_body": False}

        async def send(message: Any) -> None:
            statuses.append(message.get("status", 0))

        await guard.answer(_unreached, scope, receive, send)
        return statuses[0]

    async def _all() -> list[int]:
        return list(await asyncio.gather(*(guess(number) for number in range(30))))

    statuses = asyncio.run(_all())
    assert most == 1
    assert statuses.count(401) == log_in.MOST_WAITING
    assert statuses.count(503) == 30 - log_in.MOST_WAITING


async def _unreached(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("a stranger was let through")


@pytest.mark.parametrize(
    ("peer", "origin", "status"),
    [
        ("127.0.0.1", "http://localhost:8501", 200), ("::1", "http://[::1]:8501", 200),
        ("192.0.2.4", "http://127.0.0.1:8501", 403),  # over the network, whatever it calls itself
        ("127.0.0.1", "http://evil.example:8501", 403),  # DNS rebinding, or a proxy that publishes it
        ("127.0.0.1", "http://127.0.0.1.evil.example:8501", 403),
    ],
)  # fmt: skip
def test_without_a_password_only_this_machine_comes_in(peer: str, origin: str, status: int) -> None:
    visitor = client(Protection(Way.LOCAL), origin=origin, peer=peer)
    assert visitor.get("/").status_code == status
    if status == 403:
        refused_socket(visitor, Origin=origin)


def test_under_oidc_uploads_wait_for_the_log_in() -> None:
    visitor = client(Protection(Way.OIDC, users=("ann@example.org",)))
    assert visitor.put("/_stcore/upload_file/s1/f").status_code == 403
    found = gate.standing()
    assert found is not None
    found.admit("s1")
    assert visitor.put("/_stcore/upload_file/s1/f").status_code == 200
    assert visitor.put("/base/_stcore/upload_file/s2/f").status_code == 403
    assert visitor.get("/").status_code == 200  # the page itself asks for the log-in


def test_health_is_for_everybody(stranger: TestClient) -> None:
    assert stranger.get("/_stcore/health").status_code == 200


def test_every_answer_holds_the_browser_to_this_server(by_password: Protection) -> None:
    for protection_ in (Protection(Way.LOCAL), by_password):
        headers = client(protection_).get("/", headers={"Accept": "text/html"}).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy or "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "http:" not in policy
        assert "*" not in policy
        assert headers["referrer-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
