"""Limits of uploads in a real browser: what is too much is refused by name of the limit, the rest goes in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import OpenPage, Serve
from tests.browser.page.test_journey import see, settings  # noqa: F401 (a fixture)
from tests.parts.later import later

expect = later("playwright.sync_api", "expect")

pytestmark = pytest.mark.browser


def test_more_files_than_a_drop_may_have(
    settings: dict[str, str],  # noqa: F811
    serve: Serve,
    open_page: OpenPage,
    tmp_path: Path,
) -> None:
    paths = [tmp_path / f"crane-{number}.txt" for number in range(3)]
    for path in paths:
        path.write_text(f"The crane called {path.stem} flies south.")
    page = open_page(serve(Path(__file__).with_name("small_uploads.py"), env=settings))
    drop = page.locator("[data-testid='stFileUploader'] input[type='file']")
    drop.set_input_files(paths)
    see(page, "The page takes 2 files at once, and more came.")
    see(page, "2 documents, 2 passages")
    drop.set_input_files(paths)  # the first two gave their places back when they had been taken
    see(page, "unchanged, it is in the library already")
    assert all("413" in problem for problem in page.problems), page.problems
    page.problems.clear()


def test_the_list_of_what_was_added_is_cleared_at_once(
    settings: dict[str, str],  # noqa: F811
    serve: Serve,
    open_page: OpenPage,
    tmp_path: Path,
) -> None:
    path = tmp_path / "crane.txt"
    path.write_text("A crane flies south.")
    page = open_page(serve(None, env=settings))
    page.locator("[data-testid='stFileUploader'] input[type='file']").set_input_files(path)
    see(page, "✓ crane.txt: indexed, 1 passage.")
    page.get_by_role("button", name="Clear this list").click()
    expect(page.get_by_text("crane.txt")).to_have_count(0, timeout=20_000)
    assert page.get_by_role("button", name="Clear this list").count() == 0
    see(page, "1 document, 1 passage")
