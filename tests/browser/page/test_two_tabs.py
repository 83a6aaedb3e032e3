"""A second look that takes long in one tab keeps nobody else from the first look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.page.test_slices import PATIENCE, QUESTION, address

pytestmark = pytest.mark.browser

__all__ = ["address"]  # a fixture is used by its name alone


def test_a_slow_second_look_leaves_other_tabs_their_first_look(
    address: str, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    slow = open_page(f"{address}/?q={QUESTION}", idle=False)
    slow.get_by_text("10 of 30 passages scored; the order may still change").wait_for(timeout=PATIENCE)
    others = [open_page(f"{address}/?q={question}", idle=False) for question in ("venom", "river+snake")]
    for other, question in zip(others, ("venom", "river snake"), strict=True):
        waiting = other.locator(f".comparison[data-query='{question}']:not([data-state='done'])")
        waiting.locator("[data-column='before'] .card").nth(9).wait_for(timeout=PATIENCE)
        assert waiting.locator("[data-column='before'] .card").count() == 10
        assert waiting.locator("[data-column='after'] .card.pending").count() == 10
    assert slow.locator(".comparison[data-state='scoring']").count() == 1, "it was not slow any more"
    (tmp_path / "go").touch()
    for page in (slow, *others):
        page.locator(".comparison[data-state='done']").wait_for(timeout=PATIENCE)


def test_a_search_whose_tab_is_closed_is_not_scored(
    address: str, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    stays = open_page(f"{address}/?q={QUESTION}", idle=False)
    stays.get_by_text("10 of 30 passages scored; the order may still change").wait_for(timeout=PATIENCE)
    leaves, waits = (
        open_page(f"{address}/?q={question}", idle=False) for question in ("venom", "river+snake")
    )
    leaves.get_by_text("30 passages found; the second look waits for 1 other.").wait_for(timeout=PATIENCE)
    waits.get_by_text("30 passages found; the second look waits for 2 others.").wait_for(timeout=PATIENCE)
    leaves.close()
    waits.get_by_text("30 passages found; the second look waits for 1 other.").wait_for(timeout=PATIENCE)
    (tmp_path / "go").touch()
    for page in (stays, waits):
        page.locator(".comparison[data-state='done']").wait_for(timeout=PATIENCE)
    scored = (tmp_path / "scored").read_text().splitlines()
    assert set(scored) == {QUESTION.replace("+", " "), "river snake"}
