"""What `literal` promises can only be seen where the Markdown is drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.page.literal_demo import AWKWARD

pytestmark = pytest.mark.browser

JOINER = "\u2060"


def test_markdown_shows_words_from_outside_as_they_are(
    serve: Callable[..., str], open_page: Callable[..., Any]
) -> None:
    page = open_page(serve(Path(__file__).with_name("literal_demo.py")))
    shown = page.locator("[class*='st-key-awkward-'] button")
    shown.first.wait_for()
    assert [text.replace(JOINER, "") for text in shown.all_inner_texts()] == list(AWKWARD)
    assert page.locator("[class*='st-key-awkward-'] :is(a, code, em, strong, del, img, .katex)").count() == 0
