"""A real browser on a real Streamlit server, for every test under this folder.

`serve` starts a script on a free port and waits until it is healthy; `open_page` opens a page of a given
size and colour scheme and watches it for errors. Both clean up after themselves; where Chromium or Playwright is
missing, the tests are skipped with the reason.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_ARGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
# A cold import of Streamlit takes some ten seconds on a busy two-core machine; a loaded one may take ten times that.
START_SECONDS = 180
PATIENCE = 120_000  # milliseconds, for whatever a test does not say otherwise

Serve = Callable[..., str]
OpenPage = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One headless Chromium for the file.

    Playwright's synchronous interface keeps an event loop running in its thread for as long as it is open, in which no
    test that runs a loop of its own could work. So it ends with the file, and the loop with it.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if path is None:
        pytest.skip(f"no Chromium found (looked for {', '.join(CHROMIUM_NAMES)})")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield running
        running.close()
    assert asyncio._get_running_loop() is None, "Playwright has left its event loop to the tests that follow"


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """`serve(script, env={...}, port=N, sample=False)` → the address of a healthy server, stopped at the end.

    Without a script it is the product's own `secondlook serve`, with no setting but its own; with the sample library
    where one is wanted.
    """
    running: list[subprocess.Popen[bytes]] = []

    def start(
        script: Path | None,
        *,
        env: dict[str, str] | None = None,
        port: int | None = None,
        sample: bool = False,
    ) -> str:
        port = port or free_port()
        log = tmp_path_factory.mktemp("server") / "output.txt"
        command = [
            sys.executable, "-m", "streamlit", "run", str(script), f"--server.port={port}",
            "--server.address=127.0.0.1", "--server.headless=true", "--server.fileWatcherType=none",
            "--browser.gatherUsageStats=false",
        ]  # fmt: skip
        if script is None:
            command = [sys.executable, "-m", "ui.command_line.main", "serve", "--port", str(port)]
            command += [] if sample else ["--no-sample"]
        found = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": found, **(env or {})}
        with log.open("wb") as output:
            server = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
        running.append(server)
        address = f"http://127.0.0.1:{port}"
        wait_until_healthy(server, address, log)
        return address

    yield start
    for server in running:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture
def open_page(browser: Any) -> Iterator[OpenPage]:
    """`open_page(url, width=1280, height=900, before="", idle=True, **context)` → a page once its script has run.

    Without ``idle`` it is there at once: while a second look is waited for, the script runs nearly all the time.
    ``before`` is JavaScript to run ahead of everything else; ``context`` are Playwright's own options.
    The page carries `problems`: console errors and uncaught exceptions, in order. The test fails at its
    end if there are any that it has not removed.
    """
    contexts: list[Any] = []
    pages: list[Any] = []

    def open_(
        url: str, *, width: int = 1280, height: int = 900, before: str = "", idle: bool = True, **options: Any
    ) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.problems = []
        if before:
            page.add_init_script(before)
        page.on("console", lambda message: message.type == "error" and page.problems.append(message.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        pages.append(page)
        page.goto(url)
        if idle:
            wait_until_idle(page)
        return page

    yield open_
    problems = [problem for page in pages for problem in page.problems]
    for context in contexts:
        context.close()
    assert not problems, f"the browser reported: {problems}"


def wait_until_idle(page: Any, timeout: float = 180_000) -> None:
    """Until Streamlit has run the script to its end (milliseconds).

    A page that has only just been opened says "not running" too, before its script has begun; so this waits for
    something that the script has drawn first. What follows from a click may begin later still: wait for its effect.
    """
    page.wait_for_selector("[data-testid='stElementContainer']", state="attached", timeout=timeout)
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']", timeout=timeout)


def wait_until_answered(page: Any, question: str, timeout: float = PATIENCE) -> Any:
    """The finished comparison of this question (milliseconds), and not the one before it."""
    page.wait_for_function(
        "q => new URL(location).searchParams.get('q') === q", arg=question, timeout=timeout
    )
    done = page.locator(
        f".comparison[data-state='done'][data-query={json.dumps(question, ensure_ascii=False)}]"
    )
    done.wait_for(timeout=timeout)
    wait_until_idle(page)
    return done


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_healthy(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Until a server answers; the test fails where it ends, or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(
                f"the server ended with status {server.returncode}:\n{log.read_text(errors='replace')}"
            )
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the server was not healthy within {START_SECONDS} s:\n{log.read_text(errors='replace')}")
