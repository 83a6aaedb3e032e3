"""Keys of services are in no log, no answer and no traceback, though the service repeats them in its refusal."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.encoders.onnx import open_encoder
from ingest.errors import ModelError, ServiceError
from ingest.library.library import Library, Manifest
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.services.access import ServiceAccess
from rerank.factory import open_scorer
from rerank.registry import resolve_reranker
from rerank.request import SearchRequest
from rerank.search import Searcher
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WordScorer
from tests.parts.rerank_stub import RerankStub, rerank_stub, status

KEY = "sk-secret-0123456789"
OFFLINE = Hub(allow_downloads=False)


@pytest.fixture
def stub() -> Iterator[RerankStub]:
    with rerank_stub(KEY) as stub:
        yield stub


def access(stub: RerankStub, key: str = KEY) -> ServiceAccess:
    return ServiceAccess(
        url=stub.url, model="bge", key=key, cohere_key=key, cohere_url=stub.url,
        embed_url=stub.url, embed_key=key, openai_key=key, openai_url=f"{stub.url}/v1",
    )  # fmt: skip


def echo(stub: RerankStub, code: int) -> None:
    """Every answer is a refusal that holds the key in each place that services put it."""
    said = f"the key {KEY} is not known"
    headers = {"X_Key": KEY, "X_Request_Id": KEY, "Authorization": f"Bearer {KEY}"}
    stub.faults = [status(code, {"message": said, "error": {"message": said}}, **headers)] * 9


@pytest.mark.parametrize("code", [400, 401, 403])
@pytest.mark.parametrize("name", ["cohere", "server"])
def test_a_reranker_that_repeats_the_key_does_not_bring_it_into_the_log(
    desk: Desk, stub: RerankStub, caplog: pytest.LogCaptureFixture, name: str, code: int
) -> None:
    if name == "cohere":
        pytest.importorskip("cohere", reason='pip install "second-look[cohere]"')
    caplog.set_level(logging.DEBUG)
    desk.add(desk.write("a.txt", "snake venom"))
    model = resolve_reranker(name, OFFLINE, access(stub))
    searcher = Searcher(Retriever(desk.library, desk.encoder), open_scorer(model, access=access(stub)))
    echo(stub, code)
    result = searcher.search(SearchRequest("snake"))
    assert stub.requests
    assert any("is not known" in notice.text for notice in result.notices)
    assert "reranking failed" in caplog.text
    assert KEY not in caplog.text + repr(result)


@pytest.mark.parametrize("code", [400, 401, 403])
@pytest.mark.parametrize("name", ["openai:words@12", "server:words@12"])
def test_an_encoder_that_repeats_the_key_does_not_bring_it_into_the_log(
    tmp_path: Path, stub: RerankStub, caplog: pytest.LogCaptureFixture, name: str, code: int
) -> None:
    pytest.importorskip("openai", reason='pip install "second-look[openai]"')
    caplog.set_level(logging.DEBUG)
    encoder = open_encoder(resolve_encoder(name, OFFLINE, access(stub)), access=access(stub))
    library = Library.create(tmp_path / "library", Manifest.of(encoder.model.spec, 32))
    searcher = Searcher(Retriever(library, encoder), WordScorer())
    echo(stub, code)
    with pytest.raises(ServiceError, match="is not known") as caught:
        searcher.search(SearchRequest("snake"))
    assert stub.requests
    assert KEY not in caplog.text + "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("key", ["sk-sec\nret", "sk sec ret", "sk-sec’ret"])
@pytest.mark.parametrize("name", ["cohere", "server"])
def test_a_key_that_no_header_takes_is_refused_without_being_shown(
    stub: RerankStub, name: str, key: str
) -> None:
    """HTTP clients raise errors with the whole header in them."""
    if name == "cohere":
        pytest.importorskip("cohere", reason='pip install "second-look[cohere]"')
    given = access(stub, key)
    with pytest.raises(ModelError, match="holds spaces, line ends") as caught:
        open_scorer(resolve_reranker(name, OFFLINE, given), access=given)
    assert key not in str(caught.value)


@pytest.mark.parametrize("name", ["openai:words@12", "server:words@12"])
def test_so_is_an_encoders(stub: RerankStub, name: str) -> None:
    pytest.importorskip("openai", reason='pip install "second-look[openai]"')
    given = access(stub, "sk-sec\nret")
    with pytest.raises(ModelError, match="holds spaces, line ends"):
        open_encoder(resolve_encoder(name, OFFLINE, given), access=given)
