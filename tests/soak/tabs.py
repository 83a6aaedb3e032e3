"""People in many tabs at once: `python -m tests.soak.tabs ADDRESS --tabs 20 --seconds 300`. JSON on stdout.

Each tab asks a question, waits for both columns, rests, and asks the next; every fourth tab adds a file after every
third question. All tabs are open at once, in one Chromium. Time counts from when all have had their first answer, for
which the models were loaded; from then on they wait for nobody but the page.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from playwright.async_api import async_playwright

from tests.browser.conftest import CHROMIUM_ARGS, CHROMIUM_NAMES
from tests.soak.questions import questions

PATIENCE = 300_000  # milliseconds
# Without animations: people's browsers run on machines of their own, and these take the cores from the page.
LOOKS = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
BUSY = "Another process is writing"


@dataclass
class Seen:
    """What happened in all tabs: seconds from the click to either column, uploads, and whatever went wrong.

    ``warm`` is when all had had their first answer, by the system's monotonic clock; those answers are not counted.
    """

    warm: float = 0.0
    left: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    uploads: list[float] = field(default_factory=list)
    busy: int = 0
    errors: list[str] = field(default_factory=list)


class Tab:
    """One person's tab."""

    def __init__(self, page: Any, number: int, seen: Seen, pause: float) -> None:
        self._page, self._number, self._seen, self._pause = page, number, seen, pause
        self._random, self._questions = random.Random(number), questions(number * 100_000)
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: seen.errors.append(f"tab {number}: {error}"))
        page.on("console", self._hear)

    async def open(self, address: str) -> None:
        """Open the page, and see a first answer."""
        with self._watched():
            await self._page.goto(address)
            await self._page.get_by_label("Your question").wait_for()
            await self._ask(next(self._questions))

    async def live(self, until: float) -> None:
        """Ask until it is time to stop; a question that is asked is waited for."""
        with self._watched():
            for turn, question in enumerate(self._questions, start=1):
                if time.monotonic() > until:
                    return
                left, right = await self._ask(question)
                self._seen.left.append(left)
                self._seen.right.append(right)
                if self._number % 4 == 0 and turn % 3 == 0:
                    await self._upload(f"soak-{self._number}-{turn}.txt")
                await asyncio.sleep(self._random.uniform(0, 2 * self._pause))

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """One tab's end must not hide what the others saw."""
        try:
            yield
        except Exception as error:
            self._seen.errors.append(f"tab {self._number}: {type(error).__name__}: {str(error)[:300]}")

    async def _ask(self, question: str) -> tuple[float, float]:
        """Seconds until the first passage stands in the left column, and until the right one is whole."""
        await self._page.get_by_label("Your question").fill(question)
        started = time.monotonic()
        await self._page.get_by_role("button", name="Search").click()
        name = f".comparison[data-query={json.dumps(question, ensure_ascii=False)}]"
        await self._page.locator(f"{name} [data-column='before'] .card").first.wait_for()
        left = time.monotonic() - started
        await self._page.locator(f"{name}[data-state='done']").wait_for()
        right = time.monotonic() - started
        await self._look_for_problems()
        return left, right

    async def _upload(self, name: str) -> None:
        text = f"Tab {self._number} adds a file called {name}, which says that the ferry leaves at noon."
        drop = self._page.locator("[data-testid='stFileUploader'] input[type='file']").first
        started = time.monotonic()
        await drop.set_input_files([{"name": name, "mimeType": "text/plain", "buffer": text.encode()}])
        done, busy = self._page.get_by_text(f"✓ {name}: indexed"), self._page.get_by_text(BUSY)
        await done.or_(busy).first.wait_for()
        if await done.count():
            self._seen.uploads.append(time.monotonic() - started)
        else:
            self._seen.busy += 1

    async def _look_for_problems(self) -> None:
        for box in await self._page.locator("[data-testid='stAlert'], [data-testid='stException']").all():
            text = " ".join((await box.inner_text()).split())
            if text != "The files could not be added.":  # its sentence is looked at where files are added
                self._seen.errors.append(f"tab {self._number}: {text}")

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            where = (message.location or {}).get(
                "url", ""
            )  # the console names what failed, not what was asked for
            self._seen.errors.append(f"tab {self._number}: {message.text} {where}".rstrip())


async def people(address: str, tabs: int, seconds: float, pause: float) -> Seen:
    """Open all tabs, and have them searched in for so many seconds."""
    seen = Seen()
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        pages = [await (await browser.new_context(**LOOKS)).new_page() for _ in range(tabs)]
        everybody = [Tab(page, number, seen, pause) for number, page in enumerate(pages)]
        await asyncio.gather(*(tab.open(address) for tab in everybody))
        seen.warm = time.monotonic()
        await asyncio.gather(*(tab.live(seen.warm + seconds) for tab in everybody))
        await browser.close()
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--tabs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--pause", type=float, default=2, help="mean seconds between two questions of a tab")
    given = parser.parse_args()
    json.dump(asdict(asyncio.run(people(given.address, given.tabs, given.seconds, given.pause))), sys.stdout)


if __name__ == "__main__":
    main()
