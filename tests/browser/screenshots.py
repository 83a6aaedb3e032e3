"""The pictures of the README, taken from the real page: wide and narrow, light and dark.

    python -m tests.browser.screenshots [FOLDER]

Makes a sample library of its own, asks a question, waits for the reranked column, and writes
`page-wide-light.png` and its three sisters into FOLDER (docs/ by default).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, sync_playwright

from tests.benchmarks.startup import FLAGS, free_port, healthy

ROOT = Path(__file__).resolve().parents[2]
QUESTION = "I lost the slip from the restaurant: will I still be paid back?"
SIZES = {"wide": (1280, 900), "narrow": (390, 844)}


def take(browser: Browser, address: str, folder: Path, size: str, scheme: str) -> None:
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{address}/?q={quote(QUESTION)}")
    page.locator("[data-state=done]").wait_for(timeout=120_000)
    page.wait_for_timeout(4000)  # the motion ends and the marked sentences arrive
    page.screenshot(path=str(folder / f"page-{size}-{scheme}.png"))
    page.close()


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "ui.command_line.main",
            "serve",
            "--port",
            str(port),
            "--library",
            f"{temporary}/library",
        ]
        # A cache of its own: scores kept from an earlier search would show a second look that took no time.
        server = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "XDG_CACHE_HOME": f"{temporary}/cache"}
        )
        try:
            while not healthy(port):
                time.sleep(0.2)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
                for size in SIZES:
                    for scheme in ("light", "dark"):
                        take(browser, f"http://127.0.0.1:{port}", folder, size, scheme)
                browser.close()
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
