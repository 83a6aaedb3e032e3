"""The password in a real browser: nothing before it, everything after it, nothing again after logging out."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import ROOT, free_port, wait_until_idle
from tests.browser.page.test_journey import PATIENCE, see

pytestmark = pytest.mark.browser

SECRET = "correct horse battery"


def test_the_password_stands_before_everything(
    serve: Callable[..., str], browser: Any, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(SECRET)
    address = serve(
        ROOT / "app.py",
        env={
            "SECONDLOOK_LIBRARY": str(tmp_path / "library"), "SECONDLOOK_DOWNLOADS": "0",
            "SECONDLOOK_PASSWORD_FILE": str(tmp_path / "password"),
        },
    )  # fmt: skip
    for path in ("/_stcore/host-config", "/static/js/x.js", "/media/a.csv", "/_stcore/agent/openapi.json"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address}{path}", timeout=30)
        assert refused.value.code == 401

    context = browser.new_context()
    page = context.new_page()
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.goto(f"{address}/?q=what+is+kept")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("That is not the password.").wait_for()
    page.wait_for_timeout(1_100)  # the wait after a wrong guess
    assert not sockets
    assert "library" not in page.content()

    page.get_by_label("Password").fill(SECRET)
    page.get_by_role("button", name="Log in").click()
    see(page, "There is no library yet")
    wait_until_idle(page, PATIENCE)
    assert page.url == f"{address}/?q=what+is+kept"
    assert sockets
    (cookie,) = (found for found in context.cookies() if found["name"].startswith("second_look_session"))
    assert cookie["httpOnly"]
    assert cookie["value"] not in page.content()

    page.get_by_role("link", name="Log out").click()
    page.get_by_label("Password").wait_for(timeout=PATIENCE)
    page.goto(address)
    page.get_by_label("Password").wait_for(timeout=PATIENCE)
    context.close()


def test_oidc_lets_in_whom_the_list_names(serve: Callable[..., str], browser: Any, tmp_path: Path) -> None:
    pytest.importorskip("authlib", reason="Authlib (the extra auth) is not installed")
    from tests.browser.server.oidc_stub import CLIENT, provider

    port = free_port()
    with provider() as known:
        (tmp_path / "secrets.toml").write_text(
            f'[auth]\nredirect_uri = "http://127.0.0.1:{port}/oauth2callback"\n'
            f'cookie_secret = "{"s" * 32}"\nclient_id = "{CLIENT}"\nclient_secret = "secret"\n'
            f'server_metadata_url = "{known.address}/.well-known/openid-configuration"\n'
        )
        address = serve(
            ROOT / "app.py",
            port=port,
            env={
                "SECONDLOOK_LIBRARY": str(tmp_path / "library"), "SECONDLOOK_DOWNLOADS": "0",
                "SECONDLOOK_USERS": "@example.org", "STREAMLIT_SECRETS_FILES": str(tmp_path / "secrets.toml"),
                "AUTHLIB_INSECURE_TRANSPORT": "1",
            },
        )  # fmt: skip
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        page.get_by_role("button", name="Log in").wait_for(timeout=PATIENCE)
        wait_until_idle(page, PATIENCE)
        assert page.locator("[data-testid='stFileUploader'], [data-testid='stTextInput']").count() == 0
        upload = urllib.request.Request(f"{address}/_stcore/upload_file/a/b", b"text", method="PUT")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(upload, timeout=30)
        assert refused.value.code == 403

        known.email = "eve@example.com"
        page.get_by_role("button", name="Log in").click()
        see(page, "This library is not for this account.")
        assert page.locator("[data-testid='stFileUploader'], [data-testid='stTextInput']").count() == 0
        page.get_by_role("button", name="Log out").click()

        known.email = "ann@example.org"
        page.get_by_role("button", name="Log in").click(timeout=PATIENCE)
        see(page, "There is no library yet")
        page.locator("[data-testid='stFileUploader'] input[type='file']").set_input_files(
            {
                "name": "a.txt",
                "mimeType": "text/plain",
                "buffer": b"The heron fishes at dawn in the reed bed.",
            }
        )
        see(page, "✓ a.txt: indexed")
        context.close()
