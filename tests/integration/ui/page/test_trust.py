"""A library that names a model nobody here knows: the page asks before it loads it, once, and only at this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ingest.library.library import Library
from rerank.factory import encoder_for
from tests.integration.ui.page.conftest import TEXTS, Screen
from ui.page import consent, resources
from ui.server.access import Way

QUESTION = "Which snake kills without venom?"
TRUST = "Trust it and load it"


@pytest.fixture
def asked(
    screen: Screen, fill: Callable[..., Library], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """What is asked for by name; the library names a model that is not on our list, and nobody has allowed any."""
    names = list[str]()

    def resolve(name: str, *_: object, **__: object) -> object:
        names.append(name)
        return screen.encoder.model

    fill(TEXTS, screen.library, screen.encoder)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    monkeypatch.setattr("ingest.library.trust._allowed_now", set())
    monkeypatch.setattr("ingest.library.trust.resolve_encoder", resolve)
    monkeypatch.setattr(resources, "encoder_for", encoder_for)
    return names


def test_the_page_loads_it_after_a_click_which_is_remembered(
    screen: Screen, asked: list[str], tmp_path: Path
) -> None:
    screen.open(q=QUESTION)
    assert (
        "names the model word-encoder, which is neither bundled nor on Second Look's list" in screen.texts()
    )
    assert asked == []
    screen.press(TRUST)
    assert set(asked) == {"word-encoder"}
    assert screen.columns()[0][0] == "vipers"
    assert "word-encoder" in (tmp_path / "data-home" / "second-look" / "trusted-models.json").read_text()


def test_a_visitor_from_elsewhere_is_not_asked(
    screen: Screen, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = SimpleNamespace(protection=SimpleNamespace(way=Way.PASSWORD))
    monkeypatch.setattr(consent, "standing", lambda: gate)
    screen.open(q=QUESTION)
    assert "Whoever serves this page allows it" in screen.texts()
    assert TRUST not in [button.label for button in screen.app.button]
    assert asked == []
