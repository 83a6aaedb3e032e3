"""A hostile document in the real page: nothing it holds becomes an element, a script or a request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.browser.conftest import ROOT, wait_until_idle
from tests.browser.page import hostile
from tests.browser.page.test_journey import PATIENCE, comparison_of, see, titles
from tests.parts.later import later

expect = later("playwright.sync_api", "expect")

pytestmark = pytest.mark.browser

QUESTION = f"how does the heron fish? {hostile.MARKUP}"


@dataclass
class Watched:
    """A page whose requests are written down."""

    page: Any
    asked: list[str] = field(default_factory=list)

    def look(self) -> str:
        """All that the page shows, once nothing is found that a document made."""
        wait_until_idle(self.page, PATIENCE)
        found = self.page.evaluate(hostile.INSPECT, hostile.MARK)
        assert found["ran"] is None, f"a script of a document ran: {found['ran']}"
        assert not found["made"], f"markup of a document was made into {found['made']}"
        return " ".join(found["text"].split())

    def upload(self, *files: dict[str, object]) -> None:
        self.page.locator("[data-testid='stFileUploader'] input[type='file']").last.set_input_files(
            list(files)
        )


@pytest.fixture
def watched(serve: Callable[..., str], open_page: Callable[..., Any], tmp_path: Path) -> Iterator[Watched]:
    """The page on an empty library, with the bundled models; at the end every request must have come here.

    It is started as people start it, so that what keeps it at home is the product's own setting.
    """
    settings = {"LIBRARY": str(tmp_path / "library"), "ENCODER": "", "RERANKER": "", "DOWNLOADS": "0"}
    address = serve(None, env={f"SECONDLOOK_{name}": value for name, value in settings.items()})
    page = open_page(address)
    watched = Watched(page)
    page.on("request", lambda request: watched.asked.append(request.url))
    page.on("websocket", lambda socket: watched.asked.append(socket.url))
    page.goto(f"{address}/?q={quote(QUESTION)}")
    yield watched
    elsewhere = [url for url in watched.asked if urlsplit(url).hostname not in ("127.0.0.1", None)]
    assert watched.asked
    assert not elsewhere, f"the page asked for {elsewhere}"


def plain(text: str) -> str:
    return " ".join(text.split())


def test_whatever_a_name_might_be_made_into_is_noticed(
    serve: Callable[..., str], open_page: Callable[..., Any]
) -> None:
    """The check itself: on a page that takes each directive for Markdown, it finds each."""
    from playwright.sync_api import TimeoutError as NeverHappenedError

    page = open_page(serve(ROOT / "tests" / "browser" / "page" / "markup_demo.py"))
    for number, name in enumerate(hostile.DIRECTIVES):
        page.goto(f"{page.url.partition('?')[0]}?n={number}")
        wait_until_idle(page, PATIENCE)
        page.get_by_text(f"directive {number}.").wait_for()
        try:  # what makes emojis and formulas is fetched when it is first wanted
            page.wait_for_function(f"mark => ({hostile.INSPECT})(mark).made.length", arg=hostile.MARK)
        except NeverHappenedError:
            pytest.fail(f"{name} was made, and nobody noticed")
    page.goto(f"{page.url.partition('?')[0]}?n={len(hostile.DIRECTIVES)}")
    wait_until_idle(page, PATIENCE)
    assert not page.evaluate(hostile.INSPECT, hostile.MARK)["made"], "it finds what nobody made"


def test_documents_questions_and_names_stay_text(watched: Watched, tmp_path: Path) -> None:
    page, name = watched.page, plain(hostile.NAME)
    see(page, "There is no library yet")
    watched.look()
    expect(page.get_by_label("Your question")).to_have_value(QUESTION)  # filled a moment after it is drawn
    watched.upload(*hostile.uploads())
    see(page, f"{5 + len(hostile.NAMES)} documents,")
    page.locator("[data-testid='stSidebar'] .st-key-clear-ingest, .st-key-clear-ingest").first.wait_for()
    shown = watched.look()
    for suffix in (".md: indexed", " page.html: indexed", " rows.jsonl: indexed", " table.csv: indexed"):
        assert f"✓ {name}{suffix}" in shown
    assert f"{name}.png" in shown  # refused, with the reason
    assert f"{name} empty.txt" in shown
    for called in hostile.NAMES:
        assert f"✓ {called}.txt: indexed" in shown
    assert not list(tmp_path.parent.rglob(f"*{hostile.MARK}*")), "an uploaded name became a path"

    comparison_of(page, QUESTION)
    for button in page.get_by_role("button", name="Show the whole passage").all():
        button.click()
    watched.look()
    cards = " ".join(page.locator(".comparison").inner_text().split())
    for piece in hostile.PIECES:
        assert piece in cards, f"{piece} is not shown as it is"
    assert any(title.strip().startswith("<img src=") for title in titles(page, "after"))

    page.locator("[data-column='after'] li").first.focus()
    page.keyboard.press("1")
    see(page, "Your judgements: 1").click()
    page.get_by_text("Copy as context").click()
    watched.look()
    page.keyboard.press("Escape")

    row = page.locator("[class*='st-key-document-']").first
    row.get_by_role("button", name="Delete", exact=True).click()
    watched.look()
    page.get_by_role("button", name="Yes, delete").click()
    see(page, f"{4 + len(hostile.NAMES)} documents,")
    assert "Deleted: " in watched.look()


# What a page elsewhere can try, and what came of it.
TRY = """async ([address, path]) => {
    const socket = new WebSocket(address.replace('http', 'ws') + '/_stcore/stream', ['streamlit']);
    const image = new Image();
    const got = {
        socket: new Promise(done => { socket.onopen = () => done(true); socket.onerror = () => done(false) }),
        image: new Promise(done => { image.onload = () => done(true); image.onerror = () => done(false) }),
    };
    image.src = address + path;
    return {socket: await got.socket, image: await got.image};
}"""


def test_a_page_on_another_port_gets_nothing(watched: Watched, browser: Any) -> None:
    """It has the cookies of this one, and is of the same site; the same page tries it at home, where it works."""
    address, path = watched.page.url.partition("/?")[0], "/favicon.png"
    elsewhere = ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
    try:
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{elsewhere.server_port}/")
            assert page.evaluate(TRY, [address, path]) == {"socket": False, "image": False}
            page.goto(f"{address}{path}")  # a link leads here from anywhere
            at_home = page.evaluate(TRY, [address, path])
    finally:
        elsewhere.shutdown()
        elsewhere.server_close()
    assert at_home == {"socket": True, "image": True}


def test_an_address_is_only_a_question(watched: Watched) -> None:
    """Too long, with control characters, given twice, with a view that there is not: a sentence, never an error."""
    page = watched.page
    address = page.url.partition("?")[0]
    for query in (
        f"q={'a' * 20_000}",
        "q=%00%1b%0d%0aSet-Cookie:a=b&q=<script>",
        "q=&view=../../etc&View=%24%24",
    ):
        page.goto(f"{address}?{query}")
        wait_until_idle(page, PATIENCE)
        assert page.locator("[data-testid='stException']").count() == 0
        watched.look()


def test_a_hostile_dataset_stays_text(watched: Watched, tmp_path: Path) -> None:
    page = watched.page
    page.get_by_role("radio", name="Evaluate").or_(page.get_by_role("button", name="Evaluate")).first.click()
    see(page, "Judged questions from")
    page.get_by_text("A dataset", exact=True).click()
    see(page, "A zip of a folder")
    watched.upload({"name": f"{hostile.NAME}.zip", "mimeType": "application/zip", "buffer": b"no zip"})
    see(page, "This dataset cannot be used.")
    assert f"{plain(hostile.NAME)}.zip is not a zip archive" in watched.look()
    watched.upload(hostile.dataset(tmp_path))
    see(page, "6 judged questions in test")
    watched.look()
    page.get_by_role("button", name="Evaluate", exact=True).last.click()
    see(page, "How to read this")
    shown = watched.look()
    if "Fell: 0" in shown and "Rose: 0" in shown:
        pytest.fail("no question moved, so none was shown; the dataset is too easy to test this")
    assert plain(hostile.MARKUP)[:100] in shown
