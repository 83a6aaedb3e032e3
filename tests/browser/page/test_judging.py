"""Judging and calibrating in a real browser on the real page, with models worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from ingest.library.library import Library, Manifest
from ingest.pipeline import ingest
from ingest.sources import Source
from rerank.labels.judging import judge
from rerank.request import SearchRequest
from rerank.search import Searcher
from retrieval.retriever import Retriever
from tests.browser.conftest import ROOT, wait_until_answered, wait_until_idle
from tests.fakes import WORD_ENCODER, WordEncoder, WordScorer

pytestmark = pytest.mark.browser

PATIENCE = (
    120_000  # milliseconds; a loaded machine takes many seconds for what is drawn at once on a quiet one
)
FIRST, SECOND = "which snake kills without venom", "when does a river flood the bank"
RELEVANT, NOT = "Relevant", "Not"
# Asked and judged before: with ten questions there is a verdict, and with eight there is none.
EARLIER = (
    "without venom which", "kills without which", "when does a river", "the bank of a river", "flood the bank when",
    "when does the snake kill", "which river does flood", "without which does a river flood",
)  # fmt: skip


WATCH_STATE = """node => {
  window.states = [];
  const note = () => node.dataset.state === "done" || window.states.push(node.dataset.state);
  new MutationObserver(note).observe(node, { attributeFilter: ["data-state"] });
}"""


def passages() -> list[str]:
    """Twelve passages for each question, with one to five of its words."""
    texts = []
    for question in (FIRST, SECOND):
        words = question.split()
        for number in range(12):
            shared = " ".join(words[: 1 + number % 5])
            texts.append(f"{shared} and also other things, text {number} of {words[0]}.")
    return texts


@pytest.fixture
def library(tmp_path: Path) -> Library:
    made = Library.create(tmp_path / "library", Manifest.of(WORD_ENCODER))
    for number, text in enumerate(passages()):
        (tmp_path / f"{number:02d}.txt").write_text(text)
    ingest([Source.of_path(path) for path in sorted(tmp_path.glob("*.txt"))], made, WordEncoder())
    (tmp_path / "go").touch()
    return made


@pytest.fixture
def judged_before(library: Library) -> Library:
    """Eight questions, each with a relevant passage that reranking put before one that is not."""
    searcher, labels = Searcher(Retriever(library, WordEncoder()), WordScorer()), Labels(library)
    for question in EARLIER:
        result = searcher.search(SearchRequest(question))
        risen, passed = next(
            (one, other)
            for one in result.after
            for other in result.after
            if one.rank < other.rank and one.candidate.rank > other.candidate.rank
        )
        judge(labels, result, risen.candidate.chunk.passage_hash, Grade.RELEVANT)
        judge(labels, result, passed.candidate.chunk.passage_hash, Grade.NOT)
    return library


@pytest.fixture
def address(serve: Callable[..., str], library: Library) -> str:
    names = {"LIBRARY": str(library.folder), "ENCODER": "", "RERANKER": "", "DOWNLOADS": "0", "BUDGET_MS": ""}
    environment = {f"SECONDLOOK_{name}": value for name, value in names.items()}
    return serve(ROOT / "tests" / "browser" / "page" / "slow_page.py", env=environment)


def ask(page: Any, question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.get_by_role("button", name="Search").click()
    wait_until_answered(page, question)


def second(page: Any, place: int) -> Any:
    return page.locator("[data-column='after'] li").nth(place)


def pressed(page: Any, side: str = "after") -> list[tuple[str, str]]:
    """(passage, judgement) of every judged card of a column, by passage."""
    found = page.locator(f"[data-column='{side}'] li:has([data-grade][aria-pressed='true'])")
    pairs = found.evaluate_all(
        "items => items.map(i => [i.dataset.key, i.querySelector('[data-grade][aria-pressed=true]').textContent])"
    )
    return sorted((key, word) for key, word in pairs)


def kept(library: Library) -> int:
    return sum(map(len, Labels(library).judgements().values()))


def wait_until_kept(page: Any, library: Library, count: int) -> None:
    for _ in range(600):
        if kept(library) == count:
            return
        page.wait_for_timeout(50)
    assert kept(library) == count


def verdict(page: Any) -> str:
    return str(page.locator(".st-key-quiet-verdict").inner_text())


def bands(page: Any) -> list[tuple[int, str]]:
    """(place, name) of every line between the cards of the second column."""
    found = page.locator("[data-column='after'] li").evaluate_all(
        "items => items.flatMap((i, n) => [...i.querySelectorAll('.divider .name')].map(d => [n + 1, d.textContent]))"
    )
    return [(place, name) for place, name in found]


def test_judge_ten_passages_fit_and_reload(
    address: str, open_page: Callable[..., Any], library: Library
) -> None:
    page = open_page(f"{address}/?q={FIRST.replace(' ', '+')}")
    wait_until_answered(page, FIRST)
    assert "Judge passages with the buttons" in verdict(page)
    # Faster than the page can follow: five keys, an arrow between each two.
    second(page, 0).focus()
    for key in "11133":
        page.keyboard.press(key)
        page.keyboard.press("ArrowDown")
    wait_until_kept(page, library, 5)
    page.get_by_text("5 judged here, 5 labels in all.").wait_for(timeout=PATIENCE)
    first_verdict = verdict(page)
    assert "over 1 question;" in first_verdict
    ask(page, SECOND)
    assert "0 judged here, 5 labels in all." in verdict(page)
    for place, word in enumerate([RELEVANT, RELEVANT, NOT, RELEVANT, NOT]):
        second(page, place).get_by_role("button", name=word, exact=True).click()
    wait_until_kept(page, library, 10)
    page.get_by_text("5 judged here, 10 labels in all.").wait_for(timeout=PATIENCE)
    assert verdict(page) != first_verdict
    assert "over 2 questions" in verdict(page)
    judged, before_fit = pressed(page), bands(page)
    assert len(judged) == 5
    assert set(pressed(page, "before")) <= set(judged)
    assert before_fit[0] == (1, "Relevance 0.7 or more")
    order = page.locator("[data-column='after'] li").evaluate_all("items => items.map(i => i.dataset.key)")

    page.locator(".st-key-calibration-panel summary").click()
    page.get_by_role("button", name="Fit", exact=True).click()
    page.get_by_text("Expected calibration error").wait_for(timeout=PATIENCE)
    page.locator(".st-key-quiet-reading").get_by_text("learnt from the labels").wait_for(timeout=PATIENCE)
    second(page, 0).get_by_text("probability").wait_for(timeout=PATIENCE)
    wait_until_idle(page)
    after_fit = bands(page)
    assert after_fit != before_fit
    assert order == page.locator("[data-column='after'] li").evaluate_all(
        "items => items.map(i => i.dataset.key)"
    )

    page.reload()
    wait_until_answered(page, SECOND)
    assert pressed(page) == judged
    assert bands(page) == after_fit
    assert "5 judged here, 10 labels in all." in verdict(page)
    assert kept(library) == 10

    page.locator(".st-key-labels-panel summary").click()
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name="Export (TREC qrels)").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 10
    assert len({line.split()[0] for line in lines}) == 2


def test_ten_judgements_tip_the_verdict_and_it_outlives_a_reload(
    judged_before: Library, address: str, open_page: Callable[..., Any]
) -> None:
    before = kept(judged_before)
    page = open_page(f"{address}/?q={FIRST.replace(' ', '+')}")
    wait_until_answered(page, FIRST)
    assert "Not enough labels yet: nDCG@10" in verdict(page)
    assert "over 8 questions" in verdict(page)
    for number, question in enumerate((FIRST, SECOND), start=1):
        if number == 2:
            ask(page, question)
        for place, word in enumerate([RELEVANT, RELEVANT, RELEVANT, NOT, NOT]):
            second(page, place).get_by_role("button", name=word, exact=True).click()
        wait_until_kept(page, judged_before, before + 5 * number)
        page.get_by_text(f"5 judged here, {before + 5 * number} labels in all.").wait_for(timeout=PATIENCE)
        if number == 1:
            assert "Not enough labels yet" in verdict(page), "nine questions are too few"
    after = verdict(page)
    assert "Reranking helps here: nDCG@10" in after
    assert "over 10 questions" in after
    page.reload()
    wait_until_answered(page, SECOND)
    assert verdict(page) == after


def test_a_click_neither_scrolls_nor_searches_and_zero_takes_it_back(
    address: str, open_page: Callable[..., Any], library: Library
) -> None:
    page = open_page(f"{address}/?q={FIRST.replace(' ', '+')}")
    wait_until_answered(page, FIRST)
    card = second(page, 7)
    card.scroll_into_view_if_needed()
    button = card.get_by_role("button", name="Partly", exact=True)
    page.locator(".comparison").evaluate(WATCH_STATE)
    top = card.bounding_box()["y"]
    button.click()
    wait_until_kept(page, library, 1)
    page.get_by_text("1 judged here").wait_for(timeout=PATIENCE)
    assert abs(card.bounding_box()["y"] - top) < 30  # the verdict line may have got a row
    assert button.get_attribute("aria-pressed") == "true"
    assert button.evaluate("node => node.getRootNode().activeElement === node")
    assert page.evaluate("window.states") == []
    page.keyboard.press("0")
    assert button.get_attribute("aria-pressed") == "false"
    wait_until_kept(page, library, 0)
