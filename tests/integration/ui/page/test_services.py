"""Services on the page: nothing is sent before somebody allowed it, and keys come from Streamlit's secrets too."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from streamlit.testing.v1 import AppTest

from ingest.library.library import Library
from tests.integration.ui.page.conftest import APP, OPEN_WITH, TEXTS, Screen
from tests.parts.rerank_stub import RerankStub, rerank_stub
from ui.page import resources

KEY = "sk-secret-0123456789"
QUESTION = "Which snake kills without venom?"
ALLOW = "Allow it for this session"


@pytest.fixture
def stub() -> Iterator[RerankStub]:
    with rerank_stub(KEY) as stub:
        yield stub


def test_nothing_is_sent_before_a_click_and_what_was_allowed_is_remembered_for_the_session(
    screen: Screen, fill: Callable[..., Library], stub: RerankStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(TEXTS, screen.library, screen.encoder)
    monkeypatch.setattr(resources, "open_with", OPEN_WITH)
    monkeypatch.setattr("ingest.models.consent.LOCAL", frozenset())  # as if the stub were on another machine
    for name, value in (("RERANKER", "server:bge"), ("RERANK_URL", stub.url), ("RERANK_KEY", "")):
        monkeypatch.setenv(f"SECONDLOOK_{name}", value)
    screen.app.secrets["SECONDLOOK_RERANK_KEY"] = KEY
    screen.open(q=QUESTION)
    assert (
        "the passages found for it leave this machine: server:bge reads them at 127.0.0.1" in screen.texts()
    )
    assert "SECONDLOOK_ALLOW_SERVICES=127.0.0.1" in screen.texts()
    assert stub.requests == []
    screen.press(ALLOW)
    assert [body["query"] for body in stub.bodies] == [QUESTION]
    assert stub.requests[0]["headers"]["Authorization"] == f"Bearer {KEY}"
    before, after = screen.columns()
    assert (before[0], after[0]) == ("vipers", "python")
    assert KEY not in screen.texts() + str(screen.payload())
    screen.ask("When does the river flood?")
    assert len(stub.requests) == 2, "it was asked again"

    other = AppTest.from_file(str(APP), default_timeout=30)
    other.query_params["q"] = "Which bird flies?"
    other.run()
    assert [button.label for button in other.button if button.label == ALLOW], (
        "another visitor's leave was used"
    )
    assert len(stub.requests) == 2
