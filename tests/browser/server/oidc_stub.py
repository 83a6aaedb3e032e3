"""An OIDC provider on this machine that logs in whoever it is told to: discovery, authorisation, token and keys.

OpenID Connect Core 1.0, authorisation code flow, as far as a client asks for it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "second-look-tests"


class Provider(ThreadingHTTPServer):
    """``email`` and ``verified`` say who is logged in next."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = RSAKey.generate_key(2048, {"use": "sig", "kid": "one", "alg": "RS256"})
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.email, self.verified = "", True
        self.nonces: dict[str, str] = {}

    def token(self, code: str) -> dict[str, Any]:
        claims = {
            "iss": self.address, "sub": self.email, "aud": CLIENT,
            "iat": int(time.time()), "exp": int(time.time()) + 600,
            "nonce": self.nonces.pop(code), "email": self.email, "email_verified": self.verified,
        }  # fmt: skip
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)
        return {"access_token": "access", "token_type": "Bearer", "expires_in": 600, "id_token": signed}


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        at, provider = urlsplit(self.path), self.server
        if at.path == "/authorize":
            asked = {name: values[0] for name, values in parse_qs(at.query).items()}
            code = f"code-{len(provider.nonces)}"
            provider.nonces[code] = asked.get("nonce", "")
            self.send_response(302)
            self.send_header(
                "Location", f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
            )
            self.end_headers()
        elif at.path == "/keys":
            self._json({"keys": [provider.key.as_dict(private=False)]})
        else:
            self._json(
                {
                    "issuer": provider.address, "authorization_endpoint": f"{provider.address}/authorize",
                    "token_endpoint": f"{provider.address}/token", "jwks_uri": f"{provider.address}/keys",
                    "response_types_supported": ["code"], "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            )  # fmt: skip

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._json(self.server.token(parse_qs(body)["code"][0]))

    def _json(self, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider that answers until the end of the block."""
    with Provider() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
