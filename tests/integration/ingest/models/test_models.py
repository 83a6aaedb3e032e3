"""Finding models: what is tried, in which order, at what cost, and what is never loaded."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.errors import ModelDamagedError, ModelNotFoundError
from ingest.models import hub as hub_module
from ingest.models.encoders import BUNDLED_ENCODER, ENCODERS, prefixes_of
from ingest.models.hub import Hub
from ingest.models.resolve import (
    bundled_encoder_folder,
    encoder_spec_of_folder,
    resolve_encoder,
    verify_checksum,
)
from ingest.models.spec import ModelSource


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    return Hub(memory=tmp_path / "hub.json")


@pytest.fixture
def silent_server() -> Iterator[str]:
    """An address that accepts a connection and never answers, as a firewall does that drops packets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []
        thread = threading.Thread(target=lambda: held.append(server.accept()[0]), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for connection in held:
            connection.close()


def test_a_silent_hub_costs_a_few_seconds_once_and_the_bundled_encoder_is_used(
    hub: Hub, silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", silent_server)
    started = time.monotonic()
    model = resolve_encoder(None, hub)
    first = time.monotonic() - started
    assert (model.name, model.source) == (BUNDLED_ENCODER, ModelSource.BUNDLED)
    assert len(model.tried) == 2
    assert "hub cannot be reached" in model.tried[1] or "did not answer" in model.tried[1]
    assert 1 < first < 8
    # Neither this process nor the next one asks again for a while.
    started = time.monotonic()
    resolve_encoder(None, hub)
    resolve_encoder(None, Hub(memory=hub.memory))
    assert time.monotonic() - started < 2


def test_downloads_that_are_switched_off_ask_nobody(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.models.hub._ask", lambda endpoint: pytest.fail("the network was asked"))
    model = resolve_encoder(None, Hub(allow_downloads=False, memory=hub.memory))
    assert model.source is ModelSource.BUNDLED
    assert "switched off" in model.tried[1]


def test_a_hub_that_is_reachable_again_is_noticed_by_forgetting(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.models.hub._ask", lambda endpoint: "the hub cannot be reached (no route)")
    assert hub.why_not_now() is not None
    monkeypatch.setattr("ingest.models.hub._ask", lambda endpoint: None)
    assert hub.why_not_now() is not None
    hub.forget()
    assert hub.why_not_now() is None


def test_a_model_asked_for_by_name_is_found_or_refused_never_replaced(hub: Hub) -> None:
    with pytest.raises(ModelNotFoundError, match=r"BAAI/bge-base-en-v1.5 cannot be had.*fetch it"):
        resolve_encoder("bge-base", Hub(allow_downloads=False, memory=hub.memory))


def put_in_cache(cache: Path, name: str, revision: str, files: dict[str, str]) -> None:
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    for path, text in files.items():
        (snapshot / path).write_text(text)


def test_the_hubs_cache_comes_before_the_network_and_must_be_complete(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.models.hub._ask", lambda endpoint: "the hub cannot be reached (a test)")
    revision = "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a"
    put_in_cache(
        tmp_path / "cache", "BAAI/bge-small-en-v1.5", revision, {"config.json": "{}", "tokenizer.json": "{}"}
    )
    assert resolve_encoder(None, hub).source is ModelSource.BUNDLED, "a download that broke off was used"
    snapshot = tmp_path / "cache/models--BAAI--bge-small-en-v1.5/snapshots" / revision
    (snapshot / "model.safetensors").write_bytes(b"weights")
    assert resolve_encoder(None, hub).source is ModelSource.BUNDLED, "how it is pooled was guessed"
    (snapshot / "modules.json").write_text("[]")
    model = resolve_encoder(None, hub)
    assert (model.source, model.folder.name) == (ModelSource.CACHE, revision)
    assert model.spec.query_prefix.startswith("Represent this sentence")


def test_a_cached_model_without_its_tokenizer_is_not_complete(hub: Hub, tmp_path: Path) -> None:
    files = {"config.json": "{}", "tokenizer_config.json": "{}", "model.safetensors": "weights"}
    put_in_cache(tmp_path / "cache", "a/model", "1" * 40, files)
    assert hub.cached("a/model", "1" * 40) is None, "every scorer counts tokens by tokenizer.json"
    (tmp_path / "cache/models--a--model/snapshots" / ("1" * 40) / "tokenizer.json").write_text("{}")
    assert hub.cached("a/model", "1" * 40) is not None


@pytest.mark.parametrize(
    ("typed", "name", "dim"),
    [
        ("text-embedding-3-small", "openai:text-embedding-3-small", 1536),
        ("text-embedding-3-large@256", "openai:text-embedding-3-large@256", 256),
    ],
)
def test_openais_models_need_no_prefix(hub: Hub, typed: str, name: str, dim: int) -> None:
    model = resolve_encoder(typed, hub)
    assert (model.name, model.source, model.spec.dim) == (name, ModelSource.SERVICE, dim)


def test_prefixes_of_any_encoder_come_from_its_prompts_and_e5_is_known(tmp_path: Path) -> None:
    def folder(name: str, **prompts: str) -> Path:
        path = tmp_path / name
        path.mkdir()
        (path / "config.json").write_text(json.dumps({"hidden_size": 8, "max_position_embeddings": 64}))
        (path / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
        (path / "model.safetensors").write_bytes(name.encode())
        return path

    e5 = encoder_spec_of_folder(folder("e5-small-v2"))
    assert (e5.query_prefix, e5.passage_prefix, e5.dim, e5.max_length) == ("query: ", "passage: ", 8, 64)
    own = encoder_spec_of_folder(folder("mine", query="Q: ", document="D: "))
    assert (own.query_prefix, own.passage_prefix) == ("Q: ", "D: ")
    assert own.identity != encoder_spec_of_folder(folder("mine2", query="Q: ")).identity


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_that_has_a_name_is_pinned_and_described(name: str) -> None:
    spec = ENCODERS[name]
    assert re.fullmatch(r"[0-9a-f]{40}", spec.revision)
    assert spec.dim in (384, 768, 1024)
    assert spec.licence in ("MIT", "Apache-2.0")
    assert (spec.query_prefix, spec.passage_prefix) == prefixes_of(name)
    assert ("multilingual" in name) == (spec.languages != "English")


def test_a_model_of_the_hub_gets_the_prefixes_of_its_name_not_of_its_folder(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"config.json": '{"hidden_size": 8}', "tokenizer.json": "{}", "model.safetensors": "weights"}
    put_in_cache(tmp_path / "cache", "intfloat/e5-small", "0" * 40, files)
    spec = resolve_encoder("intfloat/e5-small", hub).spec
    assert (spec.name, spec.query_prefix, spec.passage_prefix) == (
        "intfloat/e5-small",
        "query: ",
        "passage: ",
    )


def test_pickled_weights_are_never_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(ModelNotFoundError, match="pickled weights are not loaded"):
        encoder_spec_of_folder(tmp_path)


def test_the_bundled_encoder_is_verified_before_it_is_used(tmp_path: Path) -> None:
    assert (bundled_encoder_folder() / "model.safetensors").is_file()
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")
    with pytest.raises(ModelDamagedError, match="SHA-256"):
        verify_checksum(tmp_path / "model.safetensors", "0" * 64)


def test_why_the_hub_cannot_be_reached_is_said_in_words() -> None:
    reason = hub_module._ask("http://127.0.0.1:9")
    assert reason == "the hub cannot be reached (Connection refused)"
