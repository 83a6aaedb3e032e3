"""Logging in with the password: the form, sessions that end, and web sockets that end with them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import html
import logging
import math
import secrets
import time
from collections import OrderedDict
from pathlib import Path
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.server.passwords import LONGEST, Attempts, PasswordHash

log = logging.getLogger(__name__)

COOKIE = "second_look_session_"  # and of which server: browsers know no ports, and send a host's cookies to all of them
SESSION_SECONDS = 12 * 3600  # a working day
MOST_SESSIONS = 10_000
MOST_WAITING = 8  # guesses at hand at once: each takes a core for a moment, one after the other
LONGEST_FORM = 12 * LONGEST + 100  # bytes: a character is up to four bytes, each of them three in a form
FORM_SECONDS = 10.0  # for all of the form to come
LOG_OUT = "/logout"

WRONG = "That is not the password."
BUSY = "Many are trying to log in at the moment. Wait a little and try again."

_PAGE = Path(__file__).with_name("log_in.html").read_text(encoding="utf-8")
_STYLE = _PAGE.partition("<style>")[2].partition("</style>")[0]
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


class Sessions:
    """Who is logged in: hashes of random tokens, in memory, so that a restart logs everybody out."""

    def __init__(self) -> None:
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def begin(self, now: float) -> str:
        """A new session's token, valid for `SESSION_SECONDS` from ``now``."""
        token = secrets.token_urlsafe(32)
        self._until[_digest(token)] = now + SESSION_SECONDS
        while len(self._until) > MOST_SESSIONS:
            self._until.popitem(last=False)
        return token

    def holds(self, token: str, now: float) -> bool:
        """Whether the token's session has begun and not ended."""
        return self._until.get(_digest(token), -math.inf) > now

    def end(self, token: str) -> None:
        """End the token's session."""
        self._until.pop(_digest(token), None)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


class LogIn:
    """Asks for the password, and hands on to Streamlit only what comes with a session's cookie."""

    def __init__(self, password: PasswordHash, base: str = "") -> None:
        self._password = password
        self._base = base
        self._sessions = Sessions()
        self._attempts = Attempts()
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0

    async def answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a web socket, or hand it on to ``app``."""
        token = HTTPConnection(scope).cookies.get(self._cookie(scope), "")
        known = self._sessions.holds(token, time.monotonic())
        if scope["type"] == "websocket":
            if known:
                await self._hand_on(app, scope, receive, send, token)
            else:
                await send({"type": "websocket.close", "code": 1008})  # before it is accepted: a 403
            return
        request = Request(scope, receive)
        if known and not request.url.path.endswith(LOG_OUT):
            await app(scope, receive, send)
            return
        response = self._log_out(request, token) if known else await self._stranger(request)
        await response(scope, receive, send)

    def _cookie(self, scope: Scope) -> str:
        """The name of this server's own cookie, the same after a restart: of its port, its path and its password."""
        _, port = scope.get("server") or ("", 0)
        mac = hmac.new(self._password.salt, f"{port}/{self._base}".encode(), "sha256")
        return COOKIE + mac.hexdigest()[:12]

    async def _hand_on(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, token: str) -> None:
        """A web socket until its session ends: for the app the browser has then gone, and for the browser the app."""
        ended = False

        async def receive_while_known() -> Message:
            nonlocal ended
            message = await receive()
            if self._sessions.holds(token, time.monotonic()):
                return message
            ended = message["type"] != "websocket.disconnect"
            return {"type": "websocket.disconnect", "code": 1008}

        await app(scope, receive_while_known, send)
        if ended:
            await send({"type": "websocket.close", "code": 1008})

    def _log_out(self, request: Request, token: str) -> Response:
        self._sessions.end(token)
        response = RedirectResponse("./", 303)
        response.delete_cookie(self._cookie(request.scope), httponly=True, samesite="lax")
        return response

    async def _stranger(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._try(request)
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return _form("", 401)
        return PlainTextResponse("Log in first.", 401)

    async def _try(self, request: Request) -> Response:
        """A guess: a session where it is right, else the form again with the reason."""
        if self._waiting >= MOST_WAITING:
            return _form(BUSY, 503)
        address = request.client.host if request.client else ""
        if wait := math.ceil(self._attempts.begin(address, time.monotonic())):
            return _form(f"Too soon. Try again in {wait} s.", 429, {"Retry-After": str(wait)})
        attempt = await _password_in(request)
        if attempt is None or not await self._agrees(attempt):
            log.warning("a wrong password from %s", address or "an unknown address")
            return _form(WRONG, 401)
        self._attempts.forgive(address)
        return self._welcome(request)

    async def _agrees(self, attempt: str) -> bool:
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                return await run_in_threadpool(self._password.agrees, attempt)
        finally:
            self._waiting -= 1

    def _welcome(self, request: Request) -> Response:
        """Back to the same address, question and all. It is given relative to itself, so that it leads nowhere else."""
        response = RedirectResponse(f"?{request.url.query}" if request.url.query else "./", 303)
        response.set_cookie(
            self._cookie(request.scope), self._sessions.begin(time.monotonic()), max_age=SESSION_SECONDS,
            httponly=True, samesite="lax", secure=request.url.scheme == "https",
        )  # fmt: skip
        return response


def _form(sentence: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """The page with the form; what is said is escaped."""
    own_headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(
        _PAGE.replace("{{said}}", html.escape(sentence)), status, own_headers | (headers or {})
    )


async def _password_in(request: Request) -> str | None:
    """The password of a form; ``None`` where there is none, or the form is too long, or takes too long to come."""
    body = b""
    try:
        async with asyncio.timeout(FORM_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > LONGEST_FORM:
                    return None
    except TimeoutError:
        return None
    try:
        fields = parse_qs(body.decode("latin-1"), max_num_fields=4)
    except ValueError:  # more fields than our form has
        return None
    return fields["password"][0] if "password" in fields else None
