"""A library that is made anew under an open page."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from ingest.library.library import Library
from tests.integration.ui.page.conftest import Screen


def test_an_open_page_answers_from_the_library_that_is_there(
    screen: Screen, fill: Callable[..., Library]
) -> None:
    fill({"one.txt": "snake venom", "two.txt": "river bank"}, screen.library, screen.encoder)
    screen.open().ask("snake venom")
    assert screen.columns()[0] == ["one", "two"]
    number = Library(screen.library).generation().id
    shutil.rmtree(screen.library)
    fill({"flood.txt": "river bank flood", "vipers.txt": "snake venom"}, screen.library, screen.encoder)
    assert Library(screen.library).generation().id == number, "the case is about equal numbers"
    screen.settle()  # whatever makes the page draw itself again
    assert screen.columns()[0] == ["vipers", "flood"]
