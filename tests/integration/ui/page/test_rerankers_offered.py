"""The page offers every reranker that can be used here, says which one of a link cannot, and compares any two."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.library.library import Library
from rerank.registry import RERANKERS
from tests.integration.ui.page.conftest import OPEN_WITH, TEXTS, Screen
from tests.parts.rerank_stub import RerankStub, rerank_stub
from tests.parts.tiny_models import make_cross_encoder, make_xlm_roberta
from ui.page import resources
from ui.page.evaluate.choices import rerankers_here
from ui.settings import from_environment

KEY = "sk-secret-0123456789"
QUESTION = "which snake kills without venom?"
L12, BGE = "cross-encoder/ms-marco-MiniLM-L-12-v2", "BAAI/bge-reranker-base"


@pytest.fixture
def stub() -> Iterator[RerankStub]:
    with rerank_stub(KEY) as stub:
        yield stub


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small models in the hub's cache, under the names and commits of MiniLM-L-12 and BGE."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name, make in ((L12, make_cross_encoder), (BGE, make_xlm_roberta)):
        repository = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        shutil.copytree(make(tmp_path / "made" / name), repository / "snapshots" / RERANKERS[name].revision)


@pytest.fixture
def services(stub: RerankStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDLOOK_RERANK_URL", stub.url)
    monkeypatch.setenv("SECONDLOOK_RERANK_MODEL", "bge")
    monkeypatch.setenv("SECONDLOOK_RERANK_KEY", KEY)
    monkeypatch.setenv("COHERE_API_KEY", KEY)
    monkeypatch.setenv("CO_API_URL", stub.url)


def offered(screen: Screen) -> list[str]:
    return list(screen.app.selectbox(key="reranker").options)


def both_done(screen: Screen) -> dict[str, object]:
    screen.settle()
    screen.state.other.job.wait(60)
    screen.app.run()
    return screen.payload()


def test_only_what_can_be_used_is_offered(screen: Screen, fill: Callable[..., Library]) -> None:
    fill(TEXTS, screen.library, screen.encoder)
    screen.open(q=QUESTION)
    assert not [name for name in offered(screen) if "cohere" in name or "server" in name or "MiniLM" in name]


@pytest.mark.usefixtures("cached", "services")
def test_what_is_cached_or_set_up_is_offered_in_search_and_evaluate(
    screen: Screen, fill: Callable[..., Library]
) -> None:
    fill(TEXTS, screen.library, screen.encoder)
    screen.open(q=QUESTION)
    wanted = {"ms-marco-MiniLM-L-12-v2", "bge-reranker-base", "cohere:rerank-v3.5", "server:bge"}
    assert wanted <= set(offered(screen))
    assert "bge-reranker-large" not in offered(screen), "it is not here"
    assert {L12, BGE, "cohere:rerank-v3.5", "server:bge"} <= set(rerankers_here(from_environment()).values())


@pytest.mark.usefixtures("services")
def test_two_services_are_compared(
    screen: Screen, fill: Callable[..., Library], stub: RerankStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cohere", reason='pip install "second-look[cohere]"')
    fill(TEXTS, screen.library, screen.encoder)
    monkeypatch.setattr(resources, "open_with", OPEN_WITH)
    screen.open(q=QUESTION, reranker="server:bge", compare="cohere:rerank-v3.5")
    data = both_done(screen)
    assert (data["state"], data["other"]["state"]) == ("done", "done")
    assert {request["path"] for request in stub.requests} == {"/v1/rerank", "/v2/rerank"}
    assert screen.columns()[1][0] == "python"


@pytest.mark.usefixtures("cached")
def test_two_cached_models_are_compared_by_their_short_names(
    screen: Screen, fill: Callable[..., Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(TEXTS, screen.library, screen.encoder)
    monkeypatch.setenv("SECONDLOOK_ENGINE", "torch")
    monkeypatch.setattr(resources, "open_with", OPEN_WITH)
    screen.open(q=QUESTION, reranker="ms-marco-MiniLM-L-12-v2", compare=BGE)
    data = both_done(screen)
    assert (data["state"], data["other"]["state"]) == ("done", "done")
    assert (screen.app.selectbox(key="reranker").value, screen.app.selectbox(key="compare").value) == (
        L12,
        BGE,
    )


def test_a_name_in_the_link_that_is_not_here_is_said_until_another_is_chosen(
    screen: Screen, fill: Callable[..., Library]
) -> None:
    fill(TEXTS, screen.library, screen.encoder)
    screen.open(q=QUESTION, reranker="bge-reranker-large", compare=":red[x]" * 40)
    assert (
        "The link asks for the reranker “BAAI/bge-reranker-large”, which is not on this machine"
        in screen.texts()
    )
    assert screen.texts().count("The link asks for") == 2
    assert ":red[x]" * 12 not in screen.texts()
    assert screen.app.selectbox(key="reranker").value == "automatic"
    screen.app.selectbox(key="reranker").set_value("maxsim").run()
    screen.app.selectbox(key="compare").set_value("second-look-reranker").run()
    assert "The link asks for" not in screen.settle().texts()
