"""From the command to the first answer in a real browser: cold (no library yet) and warm.

    python -m tests.benchmarks.startup

What is timed is what `make run` does once the environment is there: `secondlook serve`, then a browser that
opens a link with a question in it, until the reranked column is filled.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.benchmarks.machine import machine

# A question for each start: the scores of the first one are kept, and would make the second look instant.
QUESTIONS = {
    "cold (the sample library is made first)": "which%20snake%20kills%20without%20venom%3F",
    "warm": "when%20do%20banks%20flood%3F",
}
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def first_answer(library: Path, question: str) -> tuple[float, float, float]:
    """Seconds until the server is healthy, until the first column, and until the reranked one."""
    port = free_port()
    started = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "ui.command_line.main",
        "serve",
        "--port",
        str(port),
        "--library",
        str(library),
    ]
    server = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not healthy(port):
            time.sleep(0.1)
        ready = time.perf_counter() - started
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{port}/?q={question}")
            page.locator("[data-state] li").first.wait_for(timeout=120_000)
            first = time.perf_counter() - started
            page.locator("[data-state=done]").wait_for(timeout=120_000)
            second = time.perf_counter() - started
            browser.close()
    finally:
        server.terminate()
        server.wait()
    return ready, first, second


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "library"
        for name, question in QUESTIONS.items():
            ready, first, second = first_answer(library, question)
            print(
                f"{name}: server {ready:.1f} s, first look {first:.1f} s, second look {second:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
