"""Encoders behind OpenAI's protocol: the official client against a local server with faults of all sorts."""

from __future__ import annotations

import base64
import logging
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.encoders.onnx import open_encoder
from ingest.encoders.openai import RequestLimits
from ingest.errors import ConsentNeededError, EncoderMismatchError, ModelError, ServiceError
from ingest.models.consent import privacy_notice
from ingest.models.encoders import BGE_QUERY
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.notices import Help, Remedy
from ingest.services.access import Service, ServiceAccess
from ingest.services.billing import billing
from ingest.services.client import RetryPolicy
from rerank.factory import ModelChoice, encoder_for, open_searcher, resolve_models
from rerank.request import SearchRequest
from tests.fakes import DIM
from tests.parts.embeddings_stub import embeddings, word_vector
from tests.parts.rerank_stub import (
    Fault,
    RerankStub,
    hang_up,
    rerank_stub,
    sleep,
    status,
    trickle,
    trickle_headers,
)

pytest.importorskip("openai", reason='pip install "second-look[openai]"')

from ingest.encoders import openai
from ingest.encoders.openai import OpenAIEncoder
from ingest.library.library import Library
from ui.command_line.main import main

KEY = "sk-secret-0123456789"
OFFLINE = Hub(allow_downloads=False)
PASSAGES = ["A boa has no venom.", "Python code", "the venom of a snake", "snake", "川の土手"]


@pytest.fixture
def stub() -> Iterator[RerankStub]:
    with rerank_stub(KEY, embeddings) as stub:
        yield stub


def access(stub: RerankStub, **changes: Any) -> ServiceAccess:
    here = {"embed_url": stub.url, "embed_key": KEY, "openai_url": f"{stub.url}/v1", "openai_key": KEY}
    return ServiceAccess(**(here | changes))


def encoder(
    stub: RerankStub, name: str = "server:words@12", seconds: float = 5.0, **changes: Any
) -> OpenAIEncoder:
    given = access(stub, **changes)
    policy = RetryPolicy(seconds, 3, 0.01)
    return OpenAIEncoder(resolve_encoder(name, OFFLINE, given), given, policy, policy)


@pytest.mark.parametrize(("name", "sizes"), [("openai:words", [150]), ("server:words", [32, 32, 32, 32, 22])])
def test_each_passage_gets_its_own_unit_vector_in_requests_that_the_service_takes(
    stub: RerankStub, name: str, sizes: list[int]
) -> None:
    passages = [f"{PASSAGES[n % 5]} crane {n}" * (1 + n % 3) for n in range(150)]
    heard: list[int] = []
    vectors = encoder(stub, name).encode_passages(passages, heard.append)
    assert vectors == pytest.approx(np.stack([word_vector(passage) for passage in passages]), abs=1e-6)
    assert heard == sizes == [len(body["input"]) for body in stub.bodies]
    assert {body["model"] for body in stub.bodies} == {"words"}
    assert {request["headers"]["authorization"] for request in stub.requests} == {f"Bearer {KEY}"}


def test_a_request_holds_no_more_than_the_service_allows_and_nothing_of_a_long_passage_is_lost(
    stub: RerankStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = RequestLimits(inputs=3, tokens=40, input_tokens=20)
    monkeypatch.setattr(openai, "OPENAI_LIMITS", limits)
    long = "snake venom. 川の土手 bank, snake; and " * 2
    heard: list[int] = []
    vectors = encoder(stub, "openai:words").encode_passages(["code", long, "", "river"], heard.append)
    sent = [text for body in stub.bodies for text in body["input"]]
    assert "".join(sent) == f"code{long} river"
    assert all(len(text.encode()) <= 20 for text in sent)
    for body in stub.bodies:
        assert len(body["input"]) <= 3
        assert sum(len(text.encode()) for text in body["input"]) <= 40
    pieces = sent[1:-2]
    assert len(pieces) > 3
    mean = sum(len(piece) * word_vector(piece) for piece in pieces)
    assert vectors[1] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert vectors[3] == pytest.approx(word_vector("river"), abs=1e-6)
    assert sum(heard) == 4


def test_dimensions_are_asked_for_and_are_a_part_of_the_name(stub: RerankStub) -> None:
    short = encoder(stub, "openai:text-embedding-3-large@4")
    assert short.encode_query("snake venom") == pytest.approx(word_vector("snake venom", 4), abs=1e-6)
    assert stub.bodies[0]["dimensions"] == 4
    assert stub.bodies[0]["model"] == "text-embedding-3-large"
    whole = resolve_encoder("openai:text-embedding-3-large", OFFLINE, access(stub)).spec
    assert (whole.dim, short.model.spec.dim) == (3072, 4)
    assert whole.identity != short.model.spec.identity
    for wrong in ("openai:text-embedding-3-small@1537", "openai:words@0", "server:words@many"):
        with pytest.raises(ModelError, match=r"numbers|dimensions"):
            resolve_encoder(wrong, OFFLINE, access(stub))


def test_a_server_gets_the_prefixes_of_the_model_it_runs_and_moves_without_a_rebuild(
    stub: RerankStub,
) -> None:
    plain = "a snake"
    for name, query, passage in (
        ("server:intfloat/multilingual-e5-base", "query: ", "passage: "),
        ("server:my-e5-finetune@12", "query: ", "passage: "),
        ("server:bge-small", BGE_QUERY, ""),
        ("server:bge-m3:567m@12", "", ""),
        ("server:nomic-embed-text", "", ""),
    ):
        spec = resolve_encoder(name, OFFLINE, access(stub)).spec
        model = replace(resolve_encoder(name, OFFLINE, access(stub)), spec=replace(spec, dim=None))
        asked = OpenAIEncoder(model, access(stub))
        asked.encode_query(plain)
        asked.encode_passages([plain])
        assert [body["input"] for body in stub.bodies[-2:]] == [[query + plain], [passage + plain]]
        moved = resolve_encoder(name, OFFLINE, ServiceAccess(embed_url="http://elsewhere:9/v1")).spec
        assert moved.identity == spec.identity


@pytest.mark.parametrize(
    "fault", [status(429, {"error": {"message": "slow down"}}), status(503), status(500), hang_up]
)
def test_what_may_pass_is_tried_again(stub: RerankStub, fault: Fault) -> None:
    stub.faults = [fault, fault]
    assert encoder(stub).encode_passages(PASSAGES)[3] == pytest.approx(word_vector(PASSAGES[3]), abs=1e-6)
    assert len(stub.requests) == 3


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (status(429, {"error": {"message": "quota"}}, Retry_After="900"), r"too many requests.*\(quota\).* 900 s"),
        (
            status(429, {"error": {"message": "check your plan", "code": "insufficient_quota"}}),
            r"no credit left \(check your plan\)",
        ),
        (status(404, {"error": {"message": "no model"}}), r"no such route or model.*404 \(no model\)"),
        (status(307, Location="http://127.0.0.1:1/elsewhere"), "refused the request: status 307"),
        (status(200, "<html>Sign in</html>"), r"not JSON \(text/html\)"),
        (status(200, "[" * 100_000), r"not JSON \(text/html\)"),
        (status(200, {"hello": 1}), "without vectors"),
        (sleep(3), r"did not answer within 0\.8 s"),
        (trickle(3), r"did not answer within 0\.8 s"),
        (trickle_headers(3), r"did not answer within 0\.8 s"),
    ],
    ids=["wait too long", "no credit", "no model", "redirect", "a page", "brackets", "other JSON", "silent",
         "a byte at a time", "a byte of a header at a time"],
)  # fmt: skip
def test_refusals_and_slowness_are_sentences(stub: RerankStub, fault: Fault, sentence: str) -> None:
    asked = encoder(stub, seconds=0.8)
    stub.faults = [fault]
    started = time.monotonic()
    with pytest.raises(
        ServiceError, match=f"^The passages could not be embedded: the embeddings server.*{sentence}"
    ):
        asked.encode_passages(PASSAGES)
    assert time.monotonic() - started < 2.5
    assert len(stub.requests) == 1


@pytest.mark.parametrize("code", [302, 307, 308])
def test_a_redirect_brings_neither_key_nor_passages_elsewhere(stub: RerankStub, code: int) -> None:
    with rerank_stub(KEY, embeddings) as elsewhere:
        stub.faults = [status(code, Location=f"{elsewhere.url}/v1/embeddings")]
        with pytest.raises(ServiceError, match=f"status {code}"):
            encoder(stub).encode_passages(PASSAGES)
        assert elsewhere.requests == []


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.mark.parametrize("name", ["server:words@12", "openai:words@12"])
def test_what_is_for_a_server_on_this_machine_goes_through_no_proxy(
    stub: RerankStub, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with rerank_stub(KEY, embeddings) as proxy:
        for variable in PROXIES:
            monkeypatch.setenv(variable, proxy.url)
        encoder(stub, name).encode_query("snake venom")
        assert proxy.requests == []
    assert len(stub.requests) == 1


@pytest.mark.parametrize("proxy", ["socks5://me:secret@127.0.0.1:1", "nonsense://me:secret@127.0.0.1"])
def test_a_proxy_that_cannot_be_used_is_said_and_is_nothing_to_a_server_here(
    stub: RerankStub, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    for variable in PROXIES:
        monkeypatch.setenv(variable, proxy)
    assert len(encoder(stub).encode_query("snake")) == 12
    with pytest.raises(ModelError, match="proxy that the environment names") as caught:
        encoder(stub, embed_url="https://embed.example", allowed=frozenset({"embed.example"}))
    assert "secret" not in str(caught.value)


def rows(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Callable[[Any], Any]:
    return lambda answer: answer | {"data": change(answer["data"])}


def first_row(**changes: Any) -> Callable[[Any], Any]:
    return rows(lambda data: [data[0] | changes, *data[1:]])


@pytest.mark.parametrize(
    ("rewrite", "sentence"),
    [
        (rows(lambda data: data[1:]), "no vector to 1 of 5 passages, the first is 4"),
        (rows(lambda data: [*data, data[0]]), "two vectors to passage 4"),
        (first_row(index=5), "passage 5, but was asked about 0 to 4"),
        (first_row(index=None), "passage None"),
        (first_row(embedding=[1.0] * 11), "a vector of 11 numbers; 12 were expected"),
        (first_row(embedding=[float("nan")] * 12), "points nowhere"),
        (first_row(embedding=[0.0] * 12), "points nowhere"),
        (first_row(embedding=[1e300] * 12), "points nowhere"),
        (first_row(embedding=["one"] * 12), "cannot be read"),
        (first_row(embedding=base64.b64encode(b"12345").decode()), "cannot be read"),
        (first_row(embedding="not base64"), "cannot be read"),
        (first_row(embedding=None), "neither numbers nor base64"),
    ],
)
def test_broken_answers_are_never_taken_for_vectors(
    stub: RerankStub, rewrite: Callable[[Any], Any], sentence: str
) -> None:
    asked = encoder(stub)
    stub.rewrite = rewrite
    with pytest.raises(ServiceError, match=sentence):
        asked.encode_passages(PASSAGES)


@pytest.mark.parametrize("tokens", [10**400, -5, True, "seven"], ids=["huge", "negative", "true", "text"])
def test_tokens_that_cannot_be_are_not_billed(stub: RerankStub, tokens: object) -> None:
    stub.rewrite = lambda answer: answer | {"usage": {"total_tokens": tokens}}
    with billing() as bill:
        encoder(stub, "openai:words@12").encode_query("snake")
    assert not bill


def test_a_server_that_writes_plain_numbers_is_understood(stub: RerankStub) -> None:
    def plain(answer: Any) -> Any:
        for row in answer["data"]:
            row["embedding"] = np.frombuffer(base64.b64decode(row["embedding"]), "<f4").tolist()
        return answer

    stub.rewrite = plain
    assert encoder(stub).encode_query("snake venom") == pytest.approx(word_vector("snake venom"), abs=1e-6)


def test_keys_are_sent_to_their_own_service_alone_and_shown_nowhere(
    stub: RerankStub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-mine")
    wrong = encoder(stub, "openai:words", openai_key=f"{KEY}-wrong")
    with pytest.raises(ServiceError, match=r"does not accept the key.*401 \(Incorrect key: …\)") as caught:
        wrong.encode_query("snake")
    assert KEY not in str(caught.value) + repr(wrong) + repr(access(stub)) + caplog.text
    stub.key = ""
    encoder(stub, embed_key="").encode_query("snake")
    headers = {name.lower() for name in stub.requests[-1]["headers"]}
    assert not headers & {"authorization", "openai-organization", "openai-project"}
    with pytest.raises(ModelError, match="needs a key of OpenAI") as caught:
        encoder(stub, "openai:words", openai_key="")
    assert caught.value.help == Help(Remedy.SET_KEY, subject=Service.OPENAI)


def test_without_the_client_what_installs_it_is_said(
    stub: RerankStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ModelError, match="is not installed") as caught:
        encoder(stub)
    assert caught.value.help == Help(Remedy.INSTALL, subject="openai")


def test_nothing_is_sent_to_another_machine_before_somebody_allowed_it(
    stub: RerankStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.models.consent.LOCAL", frozenset())
    model = resolve_encoder("server:words", OFFLINE, access(stub))
    assert "every document that is added and every question leave" in str(privacy_notice(model)).lower()
    with pytest.raises(ConsentNeededError, match="Nothing was sent yet") as caught:
        open_encoder(model, access=access(stub, allowed=frozenset({"api.openai.com"})))
    assert caught.value.help == Help(Remedy.ALLOW, subject=caught.value.host)
    assert caught.value.host == "127.0.0.1"
    assert stub.requests == []
    with billing() as bill:
        opened = open_encoder(model, access=access(stub, allowed=frozenset({"127.0.0.1"})))
        assert (opened.model.spec.dim, stub.bodies[0]["input"]) == (DIM, ["a"])
        opened.encode_passages(["snake venom"])
    assert str(bill) == "Services counted 3 tokens of server:words."


def test_ingest_and_search_by_a_service_from_the_command_line(
    stub: RerankStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{stub.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("SECONDLOOK_RERANKER", "maxsim")
    (tmp_path / "snakes.txt").write_text("The venom of a snake.")
    (tmp_path / "banks.txt").write_text("The bank of a river.")
    folder = tmp_path / "library"
    files = [str(tmp_path / name) for name in ("snakes.txt", "banks.txt")]
    begin = ["ingest", *files, "--library", str(folder), "--encoder", f"openai:words@{DIM}", "--json"]
    assert main(begin) == 0
    out, err = capsys.readouterr()
    assert '"unit": "token"' in out
    assert "is a server on this machine" in err
    found = Library(folder).manifest()
    assert (found.encoder, found.dim) == (f"openai:words@{DIM}", DIM)
    assert main(["search", "snake venom", "--library", str(folder), "--json"]) == 0
    out, err = capsys.readouterr()
    assert f"Services counted 2 tokens of openai:words@{DIM} elsewhere." in err
    assert out.index("venom") < out.index("bank of a river")
    with pytest.raises(EncoderMismatchError, match=f"openai:words@{DIM}; openai:words "):
        encoder_for(Library(folder), ModelChoice("openai:words", access=access(stub)), OFFLINE)


def test_an_ingest_that_a_service_broke_off_goes_on_where_it_stood(
    stub: RerankStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SECONDLOOK_EMBED_URL", stub.url)
    monkeypatch.setenv("SECONDLOOK_EMBED_KEY", KEY)
    monkeypatch.setattr("ingest.intake.WINDOW", 2)
    for n, word in enumerate(("snake", "venom", "bank", "river", "crane")):
        (tmp_path / f"{n}.txt").write_text(f"A {word}.")
    begin = ["ingest", str(tmp_path), "--library", str(tmp_path / ".library"), "--encoder", "server:words"]
    stub.faults = [
        lambda handler: False,
        lambda handler: False,
        status(402, {"error": {"message": "no credit"}}),
    ]
    assert main(begin) == 1
    assert (
        "asks for payment: status 402 (no credit). What was embedded before is kept"
        in capsys.readouterr().err
    )
    assert [len(body["input"]) for body in stub.bodies] == [1, 2, 2], "its dimension, and two windows"
    assert main(begin) == 0
    assert "5 indexed" in capsys.readouterr().out
    assert [len(body["input"]) for body in stub.bodies[3:]] == [1, 2, 1], "passages were embedded twice"
    model = encoder_for(Library(tmp_path / ".library"), ModelChoice(access=access(stub)), OFFLINE)
    assert (model.name, model.spec.dim) == ("server:words", DIM)
    assert len(stub.bodies) == 6, "the server was asked for what the library knows"


def test_a_search_whose_question_cannot_be_embedded_says_why(stub: RerankStub, tmp_path: Path) -> None:
    from ingest.library.library import Manifest

    given = access(stub)
    model = resolve_encoder("openai:words@12", OFFLINE, given)
    library = Library.create(tmp_path / "library", Manifest.of(model.spec))
    searcher = open_searcher(
        library, resolve_models(ModelChoice(None, "maxsim", False, access=given), library)
    )
    stub.faults = [status(402, {"error": {"message": "no credit"}})]
    with pytest.raises(
        ServiceError, match=r"question could not be embedded: OpenAI asks for payment.*no credit"
    ):
        searcher.search(SearchRequest("snake"))
