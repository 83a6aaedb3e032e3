"""The page on a library where nothing may be written: it answers, and says why nothing can be kept."""

from __future__ import annotations

import pytest

from tests.integration.ui.page.conftest import TEXTS, Screen
from tests.integration.ui.page.test_search import QUESTION
from tests.parts.disks import Disk, disk

__all__ = ["disk"]  # a fixture is used by its name alone


def test_a_read_only_library_is_searched_and_says_why_it_keeps_no_judgement(
    screen: Screen, fill, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = disk.folder / "library"
    monkeypatch.setenv("SECONDLOOK_LIBRARY", str(folder))
    fill(TEXTS, folder, screen.encoder)
    with disk.locked():
        screen.open(q=QUESTION)
        assert screen.columns()[1][0] == "python"
        assert screen.errors() == ""
        screen.judge(("python", 2))
        assert "Not everything that was judged could be kept." in screen.errors()
        assert f"The library {folder} cannot be written" in screen.texts()
        assert screen.columns()[1][0] == "python"
    assert "cannot be written" not in screen.judge(("python", 2)).texts()
