"""The comparison in a real browser: what a person sees, points at, and reaches with the keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.comparison.comparison_demo import CANDIDATES, FIRST_AFTER, HOSTILE, PROSE
from tests.parts.looks import candidates, search
from ui.comparison import SCRIPTS, Drawing, read
from ui.presentation.view_model import comparison_payload

pytestmark = pytest.mark.browser

DEMO = Path(__file__).with_name("comparison_demo.py")
FIRST = [f"c{n}" for n in range(1, 11)]
SECOND = [f"c{n}" for n in FIRST_AFTER]
LONGEST_OFF = 2.0  # pixels between a line's end and the middle of its card: whole-pixel layout on both


@pytest.fixture(scope="module")
def demo(serve: Callable[..., str]) -> str:
    return serve(DEMO)


@pytest.fixture
def show(demo: str, open_page: Callable[..., Any]) -> Callable[..., Any]:
    """Open the demo and wait for the first card."""

    def show_(query: str = "", **options: Any) -> Any:
        page = open_page(f"{demo}/?{query}", **options)
        page.wait_for_selector(".comparison .card", state="attached")
        return page

    return show_


SETTLED_OPACITY = """async node => {
  await Promise.all(node.getAnimations().map((running) => running.finished));
  return getComputedStyle(node).opacity;
}"""


def side(page: Any, name: str) -> Any:
    return page.locator(f"[data-column={name}]")


def card(page: Any, name: str, key: str) -> Any:
    return side(page, name).locator(f"li[data-key={key}]")


def keys(page: Any, name: str) -> list[str]:
    return side(page, name).locator("li").evaluate_all("items => items.map((item) => item.dataset.key)")


def focused(page: Any) -> tuple[str, str]:
    found = page.locator(".comparison").evaluate(
        "root => { const item = root.getRootNode().activeElement;"
        " return [item.closest('[data-column]').dataset.column, item.dataset.key]; }"
    )
    return found[0], found[1]


def test_both_orders_are_real_lists_with_their_names(show: Callable[..., Any]) -> None:
    page = show()
    for name, heading, order in (
        ("before", "First look — bi-encoder", FIRST),
        ("after", "Second look — cross-encoder", SECOND),
    ):
        assert page.get_by_role("heading", name=heading).count() == 1
        assert page.get_by_role("list", name=heading).get_by_role("listitem").count() == len(order)
        assert keys(page, name) == order
    assert card(page, "after", "c37").locator(".badge").inner_text() == "▲ 36"
    assert "from place 37" in card(page, "after", "c37").inner_text()
    assert "up 36 places, from 37" in card(page, "after", "c37").text_content()


def test_text_of_documents_shows_literally(show: Callable[..., Any]) -> None:
    page = show()
    title, text = HOSTILE[2]
    hostile = card(page, "before", "c2")
    assert hostile.locator(".title").inner_text() == title
    assert hostile.locator(".text").inner_text() == text
    assert page.locator(".comparison :is(script, img, a)").count() == 0
    assert page.evaluate("window.hacked") is None
    direction = "node => getComputedStyle(node).direction"
    assert card(page, "before", "c3").locator(".text").evaluate(direction) == "rtl"
    assert hostile.locator(".text").evaluate(direction) == "ltr"


def test_pointing_lights_the_same_passage_on_both_sides_and_its_line(show: Callable[..., Any]) -> None:
    page = show()
    card(page, "before", "c4").hover()
    lit = page.locator(".comparison .lit").evaluate_all(
        "nodes => nodes.map((node) => [node.tagName.toLowerCase(), node.dataset.key])"
    )
    assert sorted(lit) == [["g", "c4"], ["li", "c4"], ["li", "c4"]]
    assert float(card(page, "after", "c4").evaluate(SETTLED_OPACITY)) == 1
    assert float(card(page, "after", "c1").evaluate(SETTLED_OPACITY)) < 1
    page.mouse.move(5, 5)
    assert page.locator(".comparison .lit").count() == 0


def test_arrow_keys_walk_a_column_and_cross_over(show: Callable[..., Any]) -> None:
    page = show()
    card(page, "before", "c1").focus()
    page.keyboard.press("ArrowDown")
    assert focused(page) == ("before", "c2")
    page.keyboard.press("ArrowRight")
    assert focused(page) == ("after", "c2")
    assert card(page, "before", "c2").evaluate("node => node.classList.contains('lit')")
    page.keyboard.press("ArrowUp")
    assert focused(page) == ("after", "c3")
    page.keyboard.press("Home")
    assert focused(page) == ("after", "c37")
    page.keyboard.press("ArrowLeft")  # place 37 is not shown on the left: the card at the same height
    assert focused(page) == ("before", "c1")
    page.keyboard.press("End")
    assert focused(page) == ("before", "c10")
    assert page.locator("li[tabindex='0']").count() == 2  # one stop of the Tab key per column


def test_the_whole_passage_opens_by_button_and_by_enter_and_survives_a_rerun(
    show: Callable[..., Any],
) -> None:
    page = show()
    passage = card(page, "after", "c4")
    text = passage.locator(".text")
    assert text.inner_text() != PROSE[0]
    passage.get_by_role("button", name="Show the whole passage").click()
    assert text.inner_text() == PROSE[0]
    other = card(page, "before", "c8")
    other.focus()
    page.keyboard.press("Enter")
    assert other.locator(".text").inner_text() == PROSE[0]
    page.get_by_role("radio", name="20", exact=True).click()
    side(page, "after").locator("li").nth(19).wait_for(state="attached")
    assert len(keys(page, "before")) == 20
    assert text.inner_text() == PROSE[0]
    assert passage.get_by_role("button", name="Show").get_attribute("aria-expanded") == "true"
    page.get_by_role("radio", name="5", exact=True).click()
    side(page, "after").locator("li").nth(5).wait_for(state="detached")
    assert text.inner_text() == PROSE[0]


LINE_ENDS = """root => [...root.querySelectorAll('.flow .line')].map((group) => {
  const path = group.querySelector('.stroke');
  const box = path.ownerSVGElement.getBoundingClientRect();
  const ends = [0, path.getTotalLength()].map((at) => path.getPointAtLength(at));
  const middle = (side) => {
    const item = root.querySelector(`[data-column=${side}] li[data-key=${group.dataset.key}]`);
    if (!item) return null;
    const place = item.getBoundingClientRect();
    return [side === 'before' ? place.right : place.left, place.top + place.height / 2];
  };
  const points = ends.map((point) => [box.left + point.x, box.top + point.y]);
  return { key: group.dataset.key, points, before: middle('before'), after: middle('after') };
})"""


def meets_its_cards(line: dict[str, Any]) -> bool:
    ends = [
        min(abs(x - place[0]) + abs(y - place[1]) for x, y in line["points"])
        for place in (line["before"], line["after"])
        if place
    ]
    return max(ends) <= LONGEST_OFF


@pytest.mark.parametrize("width", [1280, 900])
def test_lines_meet_the_middles_of_their_cards(show: Callable[..., Any], width: int) -> None:
    page = show()
    page.set_viewport_size({"width": width, "height": 900})
    card(page, "after", "c4").get_by_role("button", name="Show").click()  # rows change their height
    for _ in range(100):  # the lines follow a frame or two after the cards
        lines = page.locator(".comparison").evaluate(LINE_ENDS)
        if all(map(meets_its_cards, lines)):
            break
        page.wait_for_timeout(50)
    assert {line["key"] for line in lines} == set(FIRST) | set(SECOND)
    assert [line for line in lines if not meets_its_cards(line)] == []
    tops = [
        side(page, name).locator("li").evaluate_all("all => all.map(i => i.offsetTop)")
        for name in ("before", "after")
    ]
    assert tops[0] == tops[1]


def test_lines_from_below_name_the_place_they_come_from(show: Callable[..., Any]) -> None:
    page = show()
    from_below = {
        line: page.locator(f".flow .line[data-key={line}] text").text_content() for line in ("c37", "c52")
    }
    assert from_below == {"c37": "37", "c52": "52"}
    assert page.locator(".flow .line[data-key=c8] text").text_content() == "12"  # and where c8 went
    assert page.locator(".flow .line.riser.thick[data-key=c37]").count() == 1
    dashes = "node => getComputedStyle(node.querySelector('.stroke')).strokeDasharray"
    assert page.locator(".flow .line[data-key=c37]").evaluate(dashes) == "none"
    assert page.locator(".flow .line[data-key=c2]").evaluate(dashes) != "none"


COUNT_MOTION = """window.moved = 0;
const animate = Element.prototype.animate;
Element.prototype.animate = function (...all) { window.moved += 1; return animate.apply(this, all); };"""


@pytest.mark.parametrize("calm", [False, True])
def test_the_second_look_stands_in_grey_and_settles(show: Callable[..., Any], calm: bool) -> None:
    page = show("state=scoring", before=COUNT_MOTION, reduced_motion="reduce" if calm else "no-preference")
    assert keys(page, "after") == FIRST
    assert side(page, "after").get_attribute("aria-busy") == "true"
    assert side(page, "after").locator("progress").evaluate("bar => [bar.value, bar.max]") == [24, CANDIDATES]
    assert float(card(page, "after", "c1").evaluate("node => getComputedStyle(node).opacity")) < 1
    assert page.locator(".flow .line").count() == 0
    page.get_by_role("button", name="Finish").click()
    card(page, "after", "c37").wait_for()
    assert keys(page, "after") == SECOND
    assert (page.evaluate("window.moved") == 0) is calm
    assert side(page, "after").get_attribute("aria-busy") == "false"
    assert side(page, "after").locator("progress").is_hidden()
    assert "3 came from below place 10" in page.get_by_role("status").text_content()


def test_what_was_not_reranked_is_not_shown_as_reranked(show: Callable[..., Any]) -> None:
    page = show("state=failed")
    assert keys(page, "before") == FIRST
    assert keys(page, "after") == []
    assert "not reranked" in side(page, "after").inner_text()
    page.set_viewport_size({"width": 390, "height": 800})
    page.locator(".comparison[data-narrow]").wait_for()
    assert side(page, "after").get_by_text("not reranked").is_visible()
    assert card(page, "before", "c1").is_visible()
    assert page.get_by_role("button", name="Second look").is_hidden()


def test_what_was_not_reranked_is_read_and_judged_with_the_keys_too(show: Callable[..., Any]) -> None:
    page = show("state=failed")
    page.get_by_text("What the numbers and lines mean").focus()
    page.keyboard.press("Shift+Tab")  # from below to the last button of the one card that Tab stops at
    page.keyboard.press("3")
    judged = card(page, "before", "c1").get_by_role("button", name="Not", exact=True)
    assert judged.get_attribute("aria-pressed") == "true"


def test_every_answer_is_said_also_one_that_comes_whole_after_another(show: Callable[..., Any]) -> None:
    page = show()
    card(page, "after", "c37").focus()
    page.keyboard.press("1")
    status = page.get_by_role("status")
    assert "Judged relevant" in status.text_content()
    page.get_by_role("button", name="Ask another").click()
    page.locator(".comparison[data-query='another question']").wait_for()
    assert "Of the 10 shown" in status.text_content()
    page.get_by_role("radio", name="5", exact=True).click()
    status.get_by_text("Of the 5 shown").wait_for(state="attached")


def test_a_phone_shows_one_order_with_a_switch_that_keeps_the_place(show: Callable[..., Any]) -> None:
    page = show(width=390, height=800)
    first = page.get_by_role("button", name="First look")
    second = page.get_by_role("button", name="Second look")
    assert (first.get_attribute("aria-pressed"), second.get_attribute("aria-pressed")) == ("false", "true")
    assert card(page, "after", "c37").is_visible()
    assert card(page, "before", "c1").is_hidden()
    assert card(page, "after", "c37").locator(".badge").is_visible()
    assert page.get_by_role("img", name="Of the 10 shown").is_visible()
    assert page.locator(".small-flow .line").count() == len(set(FIRST) | set(SECOND))
    card(page, "after", "c9").click()
    card(page, "after", "c9").evaluate("node => node.scrollIntoView({ block: 'center' })")
    top = card(page, "after", "c9").bounding_box()["y"]
    first.evaluate("button => button.click()")  # from where the person is: no scrolling up to the switch
    assert first.get_attribute("aria-pressed") == "true"
    assert card(page, "after", "c9").is_hidden()
    assert abs(card(page, "before", "c9").bounding_box()["y"] - top) <= LONGEST_OFF
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390


CONTRASTS = """root => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.slice(0, 3).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement ?? at.getRootNode().host) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const spoken = [...root.querySelectorAll('*')].filter((node) =>
    !node.matches('.unseen, svg *') && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()));
  return spoken.map((node) => {
    const [one, two] = [light(rgba(getComputedStyle(node).color)), light(ground(node))];
    return [node.className, (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05)];
  });
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_word_is_legible(show: Callable[..., Any], theme: str) -> None:
    page = show(color_scheme=theme)
    page.get_by_text("What the numbers and lines mean").click()
    assert page.locator(".comparison").get_attribute("data-theme") == theme
    found = page.locator(".comparison").evaluate(CONTRASTS)
    assert len(found) > 100
    assert [entry for entry in found if entry[1] < 4.5] == []


def test_the_colours_follow_a_change_of_theme(show: Callable[..., Any]) -> None:
    page = show(color_scheme="light")
    page.emulate_media(color_scheme="dark")
    page.locator(".comparison[data-theme=dark]").wait_for()


def test_unmounting_takes_the_observer_and_listeners_away(show: Callable[..., Any]) -> None:
    watch = """window.observing = 0;
    const { observe, disconnect } = ResizeObserver.prototype;
    const own = new Set();
    ResizeObserver.prototype.observe = function (node, ...all) {
      if (node.matches?.('.comparison')) { own.add(this); window.observing = own.size; }
      return observe.call(this, node, ...all);
    };
    ResizeObserver.prototype.disconnect = function () {
      own.delete(this); window.observing = own.size;
      return disconnect.call(this);
    };"""
    page = show(before=watch)
    assert page.evaluate("window.observing") == 1
    page.get_by_role("radio", name="20", exact=True).click()
    side(page, "after").locator("li").nth(19).wait_for(state="attached")
    assert page.evaluate("window.observing") == 1
    page.get_by_text("Shown", exact=True).click()
    page.locator(".comparison").wait_for(state="detached")
    page.wait_for_function("window.observing === 0")


# Streamlit awaits the module and then calls it: while the module is fetched, two calls may come in the wrong order, and
# the call that was overtaken has its clean-up called at once.
CALLED = """async ({ html, script, drawings }) => {
  const host = document.body.appendChild(document.createElement("div"));
  const parentElement = host.attachShadow({ mode: "open" });
  parentElement.innerHTML = html;
  const module = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  const clean = drawings.map((data) => module.default({ data, parentElement, setStateValue() {} }));
  clean.at(-1)();
  return { ...parentElement.querySelector(".comparison").dataset };
}"""


@pytest.mark.parametrize(
    ("order", "state"),
    [((1, 2), "done"), ((2, 1), "done"), ((2, 1, 3), "scoring")],
    ids=["in order", "out of order", "and anew"],
)
def test_what_was_drawn_last_stays_in_whatever_order_it_comes(
    open_page: Callable[..., Any], order: tuple[int, ...], state: str
) -> None:
    before = candidates(12)
    drawing = Drawing()
    drawings = {
        number: drawing.numbered(
            comparison_payload(
                query=query, before=before, result=search(before, (3, 1, 2)), top_k=10, state=then,
                progress=(5, 12) if then == "scoring" else None, marks={},
            )
        )
        for number, query, then in ((1, "one", "scoring"), (2, "one", "done"), (3, "two", "scoring"))
    }  # fmt: skip
    page = open_page("about:blank", idle=False)
    parts = {"html": read("comparison.html"), "script": read(*SCRIPTS)}
    shown = page.evaluate(CALLED, {**parts, "drawings": [drawings[number] for number in order]})
    assert (shown["state"], shown["query"]) == (state, drawings[max(order)]["query"])


def test_the_same_drawing_keeps_its_number() -> None:
    before = candidates(3)
    one, two = (
        comparison_payload(
            query=query,
            before=before,
            result=search(before, (2,)),
            top_k=3,
            state="done",
            progress=None,
            marks={},
        )
        for query in ("one", "two")
    )
    drawing = Drawing()
    assert [drawing.numbered(payload)["number"] for payload in (one, one, two, one)] == [1, 1, 2, 3]
    assert drawing.numbered(one)["page"] != Drawing().numbered(one)["page"]
