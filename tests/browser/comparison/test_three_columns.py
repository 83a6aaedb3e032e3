"""Before, A and B in a real browser: three lists that stay level, two flows, the keys, and a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.comparison.comparison_demo import FIRST_AFTER, OTHER_AFTER
from tests.browser.comparison.test_comparison_component import LONGEST_OFF, card, focused, keys, side

pytestmark = pytest.mark.browser

DEMO = Path(__file__).with_name("comparison_demo.py")
A, B = ([f"c{n}" for n in order] for order in (FIRST_AFTER, OTHER_AFTER))
SIDES = ("before", "after", "other")
GAPS = """root => [...root.querySelectorAll("[data-part='flow-other'] .line")].map((group) => {
  const path = group.querySelector('.stroke');
  const box = path.ownerSVGElement.getBoundingClientRect();
  const ends = [0, path.getTotalLength()].map((at) => path.getPointAtLength(at));
  const points = ends.map((end) => [box.left + end.x, box.top + end.y]);
  const gap = (side) => {
    const item = root.querySelector(`[data-column=${side}] li[data-key=${group.dataset.key}]`);
    if (!item) return 0;
    const place = item.getBoundingClientRect();
    const [x, y] = [side === 'after' ? place.right : place.left, place.top + place.height / 2];
    return Math.min(...points.map((point) => Math.abs(point[0] - x) + Math.abs(point[1] - y)));
  };
  return [group.dataset.key, Math.max(gap('after'), gap('other'))];
})"""


@pytest.fixture(scope="module")
def demo(serve: Callable[..., str]) -> str:
    return serve(DEMO)


@pytest.fixture
def show(demo: str, open_page: Callable[..., Any]) -> Callable[..., Any]:
    """Open the demo with two rerankers and wait for the first card."""

    def show_(other: str = "done", **options: Any) -> Any:
        page = open_page(f"{demo}/?other={other}", **options)
        page.wait_for_selector(".comparison[data-columns='3'] .card", state="attached")
        return page

    return show_


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_three_lists_side_by_side_with_lines_that_meet_their_cards(
    show: Callable[..., Any], scheme: str
) -> None:
    page = show(width=1280, color_scheme=scheme)
    for name, heading, order in zip(
        SIDES, ("First look — bi-encoder", "A — reranker", "B — late interaction"),
        ([f"c{n}" for n in range(1, 11)], A, B), strict=True,
    ):  # fmt: skip
        assert page.get_by_role("list", name=heading).get_by_role("listitem").count() == 10
        assert keys(page, name) == order
    tops = [side(page, name).locator("li").evaluate_all("all => all.map(i => i.offsetTop)") for name in SIDES]
    assert tops[0] == tops[1] == tops[2]
    assert card(page, "other", "c45").locator(".badge").inner_text() == "▲ 40"
    assert card(page, "other", "c4").locator(".elsewhere").inner_text() == "A: place 3"
    gaps = dict(page.locator(".comparison").evaluate(GAPS))
    assert set(gaps) == set(A) | set(B)
    assert max(gaps.values()) <= LONGEST_OFF, gaps
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_pointing_lights_all_three_and_the_arrows_cross_two_gaps(show: Callable[..., Any]) -> None:
    page = show()
    card(page, "before", "c4").hover()
    lit = page.locator(".comparison .lit").evaluate_all(
        "nodes => nodes.map((node) => node.tagName.toLowerCase())"
    )
    assert sorted(lit) == ["g", "g", "li", "li", "li"]
    card(page, "before", "c1").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert focused(page) == ("other", "c1")
    page.keyboard.press("ArrowRight")
    assert focused(page) == ("other", "c1"), "there is nothing further right"
    page.keyboard.press("1")
    for name in SIDES:
        relevant = card(page, name, "c1").get_by_role("button", name="Relevant", exact=True)
        assert relevant.get_attribute("aria-pressed") == "true"
    page.keyboard.press("ArrowLeft")
    assert focused(page) == ("after", "c1")


def test_b_waits_or_fails_without_a(show: Callable[..., Any]) -> None:
    page = show("waiting")
    assert keys(page, "after") == A
    assert side(page, "other").get_attribute("aria-busy") == "true"
    assert side(page, "other").locator(".card.pending").count() == 10
    assert page.locator("[data-part='flow-other'] .line").count() == 0
    page = show("failed")
    assert keys(page, "after") == A
    assert keys(page, "other") == []
    assert side(page, "other").get_by_text("It is not here.").is_visible()


def test_a_phone_has_a_switch_of_three(show: Callable[..., Any]) -> None:
    page = show(width=390, height=800)
    names = ("First look", "Second look A", "Second look B")
    assert page.locator(".switch button").all_inner_texts() == list(names)
    for name, pressed in zip(SIDES, names, strict=True):
        page.get_by_role("button", name=pressed).click()
        assert [each for each in SIDES if side(page, each).is_visible()] == [name]
    assert page.locator("[data-part='small-flow-other'] .line").count() == len(set(A) | set(B))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
