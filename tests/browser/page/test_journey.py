"""The main job in a real browser with the real bundled models: upload, search, compare, delete."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser import files
from tests.browser.conftest import ROOT, wait_until_answered
from tests.parts.later import later

expect = later("playwright.sync_api", "expect")

pytestmark = pytest.mark.browser

PATIENCE = 120_000  # milliseconds; loading the models on a busy machine takes most of it
QUESTION = "when does the boat not sail?"


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """The environment of a library that does not exist yet, with nothing but the bundled models."""
    values = {"LIBRARY": str(tmp_path / "library"), "ENCODER": "", "RERANKER": "", "DOWNLOADS": "0"}
    return {f"SECONDLOOK_{name}": value for name, value in values.items()}


@pytest.fixture
def filled(settings: dict[str, str], tmp_path: Path) -> None:
    """The library, with the three documents in it."""
    paths = [files.pdf(tmp_path), files.word(tmp_path), files.markdown(tmp_path)]
    subprocess.run(
        [sys.executable, "-m", "ui.command_line.main", "ingest", *map(str, paths)],
        cwd=ROOT, env={**os.environ, **settings}, check=True, capture_output=True,
    )  # fmt: skip


def see(page: Any, text: str) -> Any:
    """The first element with this text, once it is there."""
    found = page.get_by_text(text).first
    found.wait_for(timeout=PATIENCE)
    return found


def search(page: Any, question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.get_by_role("button", name="Search").click()
    comparison_of(page, question)


def comparison_of(page: Any, question: str) -> Any:
    """The finished comparison for this question."""
    done = wait_until_answered(page, question, PATIENCE)
    see(page, "Both orders as CSV")
    return done


def titles(page: Any, side: str) -> list[str]:
    return [
        " ".join(title.split())
        for title in page.locator(f"[data-column='{side}'] li .title").all_inner_texts()
    ]


def taken(page: Any, button: str) -> str:
    """What the file holds that is downloaded by this button."""
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name=button).click()
    return Path(download.value.path()).read_text(encoding="utf-8")


def test_upload_search_compare_delete(
    serve: Callable[..., str], settings: dict[str, str], open_page: Callable[..., Any], tmp_path: Path
) -> None:
    page = open_page(serve(ROOT / "app.py", env=settings))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    see(page, "There is no library yet")

    page.locator("[data-testid='stFileUploader'] input[type='file']").set_input_files(
        [files.pdf(tmp_path), files.word(tmp_path), files.markdown(tmp_path)]
    )
    see(page, "✓ ferry.pdf: indexed")
    see(page, "✓ lighthouse.docx: indexed")
    see(page, f"✓ {files.MARKDOWN_NAME}: indexed")
    see(page, "3 documents,")

    search(page, QUESTION)
    before, after = titles(page, "before"), titles(page, "after")
    assert len(before) >= 3
    assert sorted(before) == sorted(after)
    badges = page.locator("[data-column='after'] li .badge").all_inner_texts()
    assert len(badges) == len(after)
    assert all(badge[0] in "▲▼=" for badge in badges), badges
    assert not [url for url in asked if urlsplit(url).path.startswith("/media/")], (
        "files were fetched before anybody asked for them"
    )
    assert taken(page, "Both orders as CSV").startswith("\ufeff")
    assert json.loads(taken(page, "Both orders as JSON"))["query"] == QUESTION
    page.locator(".comparison").evaluate("node => { node.mountedOnce = true }")
    awkward = next(title for title in before if title.startswith("Tides"))
    assert awkward == "Tides :red[a] $x$ :smile:"

    row = page.locator("[class*='st-key-document-']").filter(has_text="Tides")
    assert awkward in row.inner_text()
    row.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Yes, delete").click()
    see(page, f"Deleted: {awkward}")
    see(page, "2 documents,")
    search(page, "where can a boat with a keel anchor?")
    assert page.locator(".comparison").evaluate("node => node.mountedOnce"), "the comparison was made anew"
    assert not any(title.startswith("Tides") for title in [*titles(page, "before"), *titles(page, "after")])

    elsewhere = [url for url in asked if urlsplit(url).hostname not in ("127.0.0.1", None)]
    assert not elsewhere, f"the page asked for {elsewhere}"


def test_a_link_opens_the_answer_and_a_phone_shows_it_without_scrolling_sideways(
    serve: Callable[..., str], settings: dict[str, str], filled: None, open_page: Callable[..., Any]
) -> None:
    address = serve(ROOT / "app.py", env=settings)
    page = open_page(f"{address}/?q=how+many+steps", width=390, height=844, color_scheme="dark")
    comparison_of(page, "how many steps")
    expect(page.get_by_label("Your question")).to_have_value("how many steps")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("[data-testid='stMain']").evaluate("node => node.scrollWidth <= node.clientWidth")
