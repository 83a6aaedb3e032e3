"""The walk over a page's tree, by which its text and its shape are both found."""

from __future__ import annotations

from bs4 import BeautifulSoup

from ingest.readers.html_text import walk

PAGE = "<!doctype html><p>one<b>two</b><!-- no --><i><u>three</u></i>four</p>"


def steps(page: str, *dropped: str) -> list[str]:
    soup = BeautifulSoup(page, "lxml")
    return [
        f"{event} {node if event == 'text' else node.name}"
        for event, node in walk(soup, lambda tag: tag.name in dropped)
    ]


def test_it_goes_in_reading_order_and_closes_what_it_opens() -> None:
    assert steps(PAGE) == [
        "open html", "open body", "open p", "text one", "open b", "text two", "close b", "open i", "open u",
        "text three", "close u", "close i", "text four", "close p", "close body", "close html",
    ]  # fmt: skip


def test_of_what_is_dropped_nothing_comes_nor_of_what_is_inside() -> None:
    assert steps(PAGE, "i", "b") == [
        "open html", "open body", "open p", "text one", "text four", "close p", "close body", "close html",
    ]  # fmt: skip


def test_a_page_that_nests_deeper_than_calls_may_is_walked() -> None:
    depth = 5000
    soup = BeautifulSoup("", "lxml")
    inner = soup
    for _ in range(depth):
        tag = soup.new_tag("div")
        inner.append(tag)
        inner = tag
    assert [event for event, _ in walk(soup)] == ["open"] * depth + ["close"] * depth
