"""Rerankers by name: what each is, where it may come from, and how one typed by hand is recognised."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ingest.errors import ModelError, ModelNotFoundError
from ingest.models.encoders import BUNDLED_ENCODER, ENCODERS
from ingest.models.hub import Hub
from ingest.models.spec import ModelSource
from ingest.services.access import ServiceAccess
from rerank.registry import RERANKER_ALIASES, RERANKERS, resolve_reranker
from tests.parts.tiny_models import (
    make_colbert,
    make_cross_encoder,
    make_monot5,
    make_xlm_roberta,
)
from ui.presentation.remedies import told

OFFLINE = Hub(allow_downloads=False)


@pytest.mark.parametrize("name", RERANKERS)
def test_every_name_says_what_it_is_and_is_asked_of_the_hub(name: str) -> None:
    spec = RERANKERS[name]
    assert spec.licence
    assert spec.parameters
    short = name.rpartition("/")[2]
    assert RERANKER_ALIASES[short] == name
    with pytest.raises(ModelNotFoundError, match=re.escape(name)):
        resolve_reranker(short, OFFLINE)


def test_every_model_of_the_hub_is_pinned_to_a_commit() -> None:
    for spec in (*RERANKERS.values(), *ENCODERS.values()):
        bundled = spec.name == BUNDLED_ENCODER  # its weights have a checksum of their own
        assert re.fullmatch(r"[0-9a-f]{40}", spec.revision) or bundled, spec.name


@pytest.mark.parametrize(
    ("make", "architecture", "max_length"),
    [
        (make_cross_encoder, "cross-encoder", 128),
        (make_xlm_roberta, "cross-encoder", 128),
        (make_monot5, "monot5", 512),
        (make_colbert, "colbert", 128),
    ],
)
def test_a_folder_is_recognised_by_its_configuration(
    tmp_path: Path, make: object, architecture: str, max_length: int
) -> None:
    folder = make(tmp_path / "model")  # type: ignore[operator]
    spec = resolve_reranker(str(folder), OFFLINE).spec
    assert (spec.architecture, spec.max_length) == (architecture, max_length)


@pytest.mark.parametrize(
    ("places", "said", "length"),
    [(8194, 8192, 8192), (8194, None, 8192), (8194, 512, 512), (514, 10**30, 512)],
)
def test_a_folder_reads_as_much_as_its_model_and_tokenizer_can(
    tmp_path: Path, places: int, said: int | None, length: int
) -> None:
    """bge-reranker-v2-m3 reads 8,192 tokens by name, and as a folder too."""
    folder = make_xlm_roberta(tmp_path / "model")
    for file, field, value in (
        ("config.json", "max_position_embeddings", places), ("tokenizer_config.json", "model_max_length", said)
    ):  # fmt: skip
        content = json.loads((folder / file).read_text()) | {field: value}
        (folder / file).write_text(json.dumps(content))
    assert resolve_reranker(str(folder), OFFLINE).spec.max_length == length


def test_what_stands_behind_a_service_has_no_files() -> None:
    access = ServiceAccess(url="http://localhost:8000", model="bge")
    for typed, name in (
        ("server", "server:bge"), ("server:jina", "server:jina"), ("cohere", "cohere:rerank-v3.5"),
        ("rerank-v4.0-fast", "cohere:rerank-v4.0-fast"), ("cohere:rerank-v9", "cohere:rerank-v9"),
    ):  # fmt: skip
        model = resolve_reranker(typed, OFFLINE, access)
        assert (model.name, model.source, model.size_bytes) == (name, ModelSource.SERVICE, 0)


def test_a_server_without_an_address_is_said() -> None:
    with pytest.raises(ModelError) as caught:
        resolve_reranker("server", OFFLINE)
    assert told(caught.value) == (
        "Nobody said where the rerank server is. Give its address (http://localhost:8000/v1/rerank, say) as "
        "SECONDLOOK_RERANK_URL in the environment."
    )
