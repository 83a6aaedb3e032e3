"""The second column while it fills, in a real browser on the real page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.library.library import Library, Manifest
from ingest.pipeline import ingest
from ingest.sources import Source
from tests.browser.conftest import ROOT
from tests.fakes import WORD_ENCODER, WordEncoder

pytestmark = pytest.mark.browser

PATIENCE = 120_000  # milliseconds
QUESTION = "which+snake+kills+without+venom"


@pytest.fixture
def address(serve: Callable[..., str], tmp_path: Path) -> str:
    """A server on a library of thirty passages; the one that answers best stands far down in the first look."""
    library = Library.create(tmp_path / "library", Manifest.of(WORD_ENCODER))
    texts = [f"A snake {'kills' if n % 2 else 'bites'} with venom, number {n}." for n in range(29)]
    texts.append("Which of them kills without it, by coils alone? That is what the long river snake does.")
    for number, text in enumerate(texts):
        (tmp_path / f"{number:02d}.txt").write_text(text)
    ingest([Source.of_path(path) for path in sorted(tmp_path.glob("*.txt"))], library, WordEncoder())
    settings = {
        "LIBRARY": str(library.folder),
        "ENCODER": "",
        "RERANKER": "",
        "DOWNLOADS": "0",
        "BUDGET_MS": "",
    }
    script = ROOT / "tests" / "browser" / "page" / "slow_page.py"
    return serve(script, env={f"SECONDLOOK_{name}": value for name, value in settings.items()})


def test_the_second_column_is_there_before_the_last_passage_is_scored(
    address: str, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    page = open_page(f"{address}/?q={QUESTION}", idle=False)
    second = page.locator(".comparison[data-state='scoring'] [data-column='after']")
    page.get_by_text("10 of 30 passages scored; the order may still change").wait_for(timeout=PATIENCE)
    assert second.locator(".card").count() == 10
    assert second.locator(".card.pending").count() == 0
    assert second.locator(".card .badge").count() == 10
    assert "logit" in second.locator(".card").first.inner_text()
    assert page.locator(".comparison .flow .line").count() == 10
    title = second.locator(".card .title")
    assert "29" not in title.all_inner_texts()
    (tmp_path / "go").touch()
    done = page.locator(".comparison[data-state='done'] [data-column='after']")
    done.wait_for(timeout=PATIENCE)
    assert done.locator(".card .title").first.inner_text() == "29"
    assert done.locator(".note").inner_text() == "30 passages reranked, 10 shown"


def test_what_has_no_news_is_not_drawn_again_and_again(
    address: str, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    page = open_page(f"{address}/?q={QUESTION}", idle=False)
    page.get_by_text("10 of 30 passages scored; the order may still change").wait_for(timeout=PATIENCE)
    drawn = tmp_path / "drawn"
    before = len(drawn.read_text().splitlines())
    page.wait_for_timeout(6000)
    # Once a second, in case something was missed; the browser asks for it every 0.4 s.
    assert len(drawn.read_text().splitlines()) - before <= 7
    (tmp_path / "go").touch()
    page.locator(".comparison[data-state='done']").wait_for(timeout=PATIENCE)
