"""The gate: an ASGI middleware in front of everything that Streamlit serves.

Nobody gets past it to a page, a web socket, a download or an upload whom `ui.server.access.Protection` does not let
in; and every answer carries headers that hold the browser to this server.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.server.access import Protection, Way, is_loopback
from ui.server.log_in import LogIn
from ui.server.upload_gate import UploadGate, named_upload

log = logging.getLogger(__name__)

HEALTH = "/_stcore/health"  # says "ok", and nothing else
MOST_SESSIONS = 10_000
LONGEST_LOGGED = 100  # characters of what a stranger sent
# Any of these, or one that begins with X-Forwarded, was added on the way.
PROXY_HEADERS = frozenset(
    {
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "x-original-forwarded-for",
        "x-original-host",
        "true-client-ip",
    }
    | {
        "cf-connecting-ip",
        "cf-ray",
        "cdn-loop",
        "fastly-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-azure-clientip",
        "x-proxyuser-ip",
        "x-scheme",
        "fly-client-ip",
        "tailscale-user-login",
    }
)
ELSEWHERE = (
    "This was sent from another page than Second Look's own, so it is refused. Open Second Look itself. Where a proxy "
    "stands before it, that has to pass on Host and X-Forwarded-Proto as the visitor sent them: docs/security.md."
)
NOT_LOCAL = (
    "This Second Look is for the machine on which it runs alone. To open it from elsewhere, or through a proxy, serve "
    "it with a password or OIDC: docs/security.md says how."
)


def _inline_scripts() -> str:
    """The hashes of the scripts that stand in Streamlit's own page, as a content security policy names them."""
    page = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


# What Streamlit's page needs, and nothing from elsewhere: its scripts are its own, the comparison's is a blob, charts
# are compiled in the page, and styles are set on elements.
POLICY = "; ".join(
    [
        "default-src 'self'", f"script-src 'self' 'unsafe-eval' 'wasm-unsafe-eval' blob: {_inline_scripts()}",
        "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:", "font-src 'self' data:",
        "connect-src 'self' blob: data:", "worker-src 'self' blob:", "object-src 'none'", "base-uri 'self'",
        "form-action 'self'", "frame-ancestors 'none'",
    ]
)  # fmt: skip
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # the address holds the question
    "Cross-Origin-Opener-Policy": "same-origin",
}

_standing: list[Gate] = []


class Gate:
    """Lets through whom the protection knows. Raises nothing: who is not let in gets an answer that says so."""

    def __init__(self, app: ASGIApp, protection: Protection) -> None:
        self.uploads = UploadGate(app)
        self._app: ASGIApp = self.uploads
        self._protection = protection
        base = str(st.get_option("server.baseUrlPath") or "").strip("/")
        self._log_in = LogIn(protection.password, base) if protection.password else None
        self._admitted: OrderedDict[str, None] = OrderedDict()
        self._health = f"/{base}{HEALTH}" if base else HEALTH
        _standing[:] = [self]

    @property
    def protection(self) -> Protection:
        """What this gate enforces."""
        return self._protection

    def admit(self, session: str) -> None:
        """Let a session of Streamlit's upload files: OIDC's visitor in it is one of ours."""
        self._admitted[session] = None
        self._admitted.move_to_end(session)
        while len(self._admitted) > MOST_SESSIONS:
            self._admitted.popitem(last=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on to Streamlit."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "http":
            send = _with_headers(send)
        if reason := _of_another_page(scope):
            await _refuse(scope, receive, send, reason)
        elif scope["type"] == "http" and scope["path"] == self._health:
            await self._app(scope, receive, send)
        elif self._log_in is not None:
            await self._log_in.answer(self._app, scope, receive, send)
        elif reason := self._objection(scope):
            await _refuse(scope, receive, send, reason)
        else:
            await self._app(scope, receive, send)

    def _objection(self, scope: Scope) -> str:
        """Why a request is not let through; empty where it is."""
        if self._protection.way is Way.LOCAL:
            return _from_elsewhere(scope)
        session, _ = named_upload(scope)
        if session and session not in self._admitted:
            return "Log in first."
        return ""


def _of_another_page(scope: Scope) -> str:
    """Why a request is not one of this server's own page, to which alone it answers; empty where it is.

    A page on another port is another page, though it shares our cookies. Streamlit compares more loosely: it lets in
    every port of this machine, and asks a service elsewhere which address that machine has.
    """
    headers = Headers(scope=scope)
    scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
    here, origin = f"{scheme}://{headers.get('host')}", headers.get("origin")
    if origin is None and scope["type"] == "websocket":  # every browser sends one
        origin = "nowhere"
    if origin is not None and origin != here:
        log.warning("a request from a page at %s for %s was refused", _short(origin), _short(here))
        return ELSEWHERE
    site, mode = headers.get("sec-fetch-site", "same-origin"), headers.get("sec-fetch-mode")
    if site in ("same-origin", "none") or (
        mode == "navigate" and headers.get("sec-fetch-dest") == "document"
    ):
        return ""
    log.warning("a request from another page for %s was refused", _short(here))
    return ELSEWHERE


def _from_elsewhere(scope: Scope) -> str:
    """Why a request is none of this machine's own; empty where it is.

    It came over a network, or under a name that a page elsewhere could have (DNS rebinding), or a proxy passed it on.
    """
    client, headers = scope.get("client"), Headers(scope=scope)
    if (client is not None and not is_loopback(client[0])) or not is_loopback(headers.get("host")):
        log.warning(
            "a request from %s for host %s was refused",
            client[0] if client else "nowhere",
            _short(headers.get("host")),
        )
        return NOT_LOCAL
    sign = next(filter(_of_proxies, headers.keys()), "")
    if (
        not sign and scope.get("http_version") == "1.0"
    ):  # as nginx passes on; no browser has spoken it for long
        sign = "HTTP/1.0"
    if sign:
        log.warning("a request that a proxy passed on (%s) was refused", _short(sign))
        return NOT_LOCAL
    return ""


def _of_proxies(header: str) -> bool:
    return header in PROXY_HEADERS or header.startswith(("x-forwarded", "x_forwarded"))


def _short(text: str | None) -> str:
    """What a stranger sent, in a log: on one line, and no longer than a line."""
    return repr((text or "")[:LONGEST_LOGGED])


async def _refuse(scope: Scope, receive: Receive, send: Send, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: an answer of 403
        return
    await PlainTextResponse(reason, 403)(scope, receive, send)


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers


def gate_for(protection: Protection) -> Sequence[Middleware]:
    """The middleware for Streamlit's `App`."""
    return [Middleware(Gate, protection=protection)]


def standing() -> Gate | None:
    """The gate of this process; ``None`` where the page is run without one, as tests do."""
    return _standing[-1] if _standing else None
