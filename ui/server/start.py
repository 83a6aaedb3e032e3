"""What has to be true before anything is served: `app.py` and `secondlook serve` ask here, and stop where it is not."""

from __future__ import annotations

import errno
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.errors import AddressError, SecondLookError, UsageError
from ingest.workspace import sweep
from ui.log import log_whole_errors
from ui.presentation.remedies import told
from ui.server.access import Protection, is_loopback, protection
from ui.settings import Settings, from_environment

if TYPE_CHECKING:
    from starlette.middleware import Middleware


def guard() -> Sequence[Middleware]:
    """The gate for Streamlit's `App`, and the limits before it.

    Ends the process with a sentence and status 2 where nothing may be served.
    """
    import streamlit as st

    from ui.server.connections import bound
    from ui.server.gate import gate_for

    log_whole_errors()
    sweep(Path(tempfile.gettempdir()))  # of uploads that a server which was killed had taken
    try:
        middleware = gate_for(protection_at(st.get_option("server.address"), from_environment()))
    except SecondLookError as error:
        sys.stderr.write(f"{told(error)}\n")
        sys.exit(2)
    bound()
    return middleware


def protection_at(address: str | None, settings: Settings) -> Protection:
    """What stands in front of a page served at ``address``, by the settings and Streamlit's configuration.

    Raises `UsageError` where it may not be served, as `ui.server.access.protection` does.
    """
    import streamlit as st

    oidc = st.secrets.load_if_toml_exists() and "auth" in st.secrets
    if oidc and find_spec("authlib") is None:
        raise UsageError("OIDC is configured, but Authlib is not installed: pip install 'second-look[auth]'")
    safe = st.get_option("server.enableXsrfProtection") and st.get_option("server.enableCORS")
    return protection(address, settings.access, oidc=oidc, xsrf=bool(safe))


def require_free(address: str, port: int) -> None:
    """Raise `AddressError` where nothing can be served at an address, before anybody waits for it."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        if os.name != "nt":  # there it would find every port free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise AddressError(_why_not_served(address, port, error)) from error


def _why_not_served(address: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} is taken, perhaps by another Second Look. End what uses it, or choose another port: "
            f"--port {port + 1 if port < 65535 else port - 1}"
        )
    if error.errno == errno.EACCES:
        return f"You may not open port {port}. Choose one from 1024 on: --port 8501"
    return (
        f"Nothing can be served at {address} ({error.strerror}). Give an address of this machine: "
        "--address 127.0.0.1"
    )


@asynccontextmanager
async def announce(app: object) -> AsyncIterator[None]:
    """For Streamlit's `App`, which begins when the port is ours: say where the page is."""
    import streamlit as st

    address, base = st.get_option("server.address"), st.get_option("server.baseUrlPath").strip("/")
    name = "localhost" if not address or is_loopback(address) else address
    place = f"[{name}]" if ":" in name else name
    scheme = "https" if st.get_option("server.sslCertFile") else "http"
    where = f"{scheme}://{place}:{st.get_option('server.port')}{f'/{base}' if base else ''}"
    sys.stderr.write(f"Second Look is at {where} (Ctrl-C stops it).\n")
    sys.stderr.flush()
    yield
