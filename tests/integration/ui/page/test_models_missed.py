"""The page says in a sentence which model could not be had, and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.library.library import Library
from tests.integration.ui.page.conftest import OPEN_WITH, TEXTS, Screen
from tests.parts.published import MS_MARCO
from tests.parts.stand_in_hub import stand_in_hub
from ui.page import resources


def test_a_model_that_could_not_be_had_is_said_with_the_reason_and_asked_for_once(
    screen: Screen, fill: Callable[..., Library], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fill(TEXTS, screen.library, screen.encoder)
    with stand_in_hub() as hub:
        hub.status = 403
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        monkeypatch.setenv("SECONDLOOK_DOWNLOADS", "1")
        monkeypatch.setattr(resources, "open_with", OPEN_WITH)
        screen.open(q="which snake kills without venom?")
        screen.settle()
        said = f"{MS_MARCO} could not be had: the hub answered with status 403."
        assert said in screen.texts()
        asked = list(hub.requests)
        screen.app.selectbox(key="reranker").set_value("maxsim").run()
        screen.settle()
        assert said not in screen.texts()
        assert hub.requests == asked
    assert asked.count("HEAD /") == 1
