"""Weights that a loader would unpickle are refused by name, in whichever module of a model they lie."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.encoders.base import SentenceTransformerEncoder
from ingest.errors import ModelDamagedError, ModelNotFoundError
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.models.spec import ModelSource
from rerank.registry import resolve_reranker
from tests.integration.ingest.models.test_models import hub, put_in_cache
from tests.parts.later import later
from tests.parts.tiny_models import make_cross_encoder, make_encoder

torch = later("torch")
load_file = later("safetensors.torch", "load_file")
CrossEncoderScorer = later("rerank.scorers.cross_encoder", "CrossEncoderScorer")
load_base = later("rerank.training.model", "load_base")

__all__ = ["hub"]  # the fixture of a hub whose cache is the test's own


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("models") / "encoder", "mean", dense=16)


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cross_encoder(tmp_path_factory.mktemp("models") / "cross-encoder")


@pytest.fixture(autouse=True)
def nothing_is_unpickled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    opened = list[object]()
    monkeypatch.setattr("torch.load", lambda file, **_: opened.append(file))
    yield
    assert opened == []


def pickled_dense(folder: Path) -> str:
    """The weights of the dense layer alone; those of the transformer stay as they are."""
    (weights,) = folder.glob("*_Dense/model.safetensors")
    return _pickled(weights, folder)


def pickled_beside_another(folder: Path) -> str:
    shutil.copy(folder / "model.safetensors", folder / "other.safetensors")
    return _pickled(folder / "model.safetensors", folder)


def pickled_shards(folder: Path) -> str:
    shutil.copy(folder / "model.safetensors", folder / "other.safetensors")
    _pickled(folder / "model.safetensors", folder)
    shard = folder / "shard-of-weights"
    (folder / "pytorch_model.bin").rename(shard)
    index = {"metadata": {}, "weight_map": {"embeddings.word_embeddings.weight": shard.name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return "model.safetensors.index.json"


def pickled_shards_of_any_name(folder: Path) -> str:
    """As `pickled_shards`, by the index that pickled weights have of their own."""
    name = pickled_shards(folder)
    (folder / name).rename(folder / "pytorch_model.bin.index.json")
    return "pytorch_model.bin.index.json"


def pickled_within(folder: Path) -> str:
    """A module of a module, as a router keeps them."""
    (dense,) = folder.glob("*_Dense")
    inner = dense / "query_0_Dense"
    inner.mkdir()
    shutil.copy(dense / "model.safetensors", inner)
    return _pickled(inner / "model.safetensors", folder)


def _pickled(weights: Path, folder: Path) -> str:
    torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
    weights.unlink()
    return str((weights.parent / "pytorch_model.bin").relative_to(folder))


@pytest.mark.parametrize(
    "spoil",
    [pickled_dense, pickled_beside_another, pickled_shards, pickled_shards_of_any_name, pickled_within],
    ids=lambda f: f.__name__,
)
def test_an_encoder_is_refused_by_the_name_of_its_pickle(
    encoder: Path, tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(encoder, folder)
    name = spoil(folder)
    with pytest.raises(ModelNotFoundError) as refused:
        resolve_encoder(str(folder), Hub(allow_downloads=False))
    assert name in str(refused.value)
    assert str(folder) in str(refused.value)


@pytest.mark.parametrize(
    "spoil", [pickled_beside_another, pickled_shards, pickled_shards_of_any_name], ids=lambda f: f.__name__
)
def test_a_reranker_is_refused_by_the_name_of_its_pickle(
    cross_encoder: Path, tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    folder = tmp_path / "reranker"
    shutil.copytree(cross_encoder, folder)
    name = spoil(folder)
    with pytest.raises(ModelNotFoundError, match=name):
        resolve_reranker(str(folder), Hub(allow_downloads=False))
    with pytest.raises(ModelNotFoundError, match=name):
        load_base(folder, 64)


def test_the_hubs_cache_is_looked_at_in_the_same_way(
    cross_encoder: Path, encoder: Path, hub: Hub, tmp_path: Path
) -> None:
    for source, name, resolve in (
        (encoder, "somebody/encoder", resolve_encoder),
        (encoder, "BAAI/bge-base-en-v1.5", resolve_encoder),
        (cross_encoder, "somebody/reranker", resolve_reranker),
        (cross_encoder, "cross-encoder/ms-marco-MiniLM-L-12-v2", resolve_reranker),
    ):
        revision = {
            "BAAI/bge-base-en-v1.5": "a5beb1e3e68b9ab74eb54cfd186867f64f240e1a",
            "cross-encoder/ms-marco-MiniLM-L-12-v2": "7b0235231ca2674cb8ca8f022859a6eba2b1c968",
        }.get(name, "0" * 40)
        put_in_cache(tmp_path / "cache", name, revision, {})
        snapshot = tmp_path / "cache" / f"models--{name.replace('/', '--')}" / "snapshots" / revision
        shutil.copytree(source, snapshot, dirs_exist_ok=True)
        assert resolve(name, hub).source is ModelSource.CACHE
        pickled_beside_another(snapshot)
        with pytest.raises(ModelNotFoundError, match=r"pytorch_model\.bin"):
            resolve(name, hub)


def test_what_no_loader_opens_may_lie_there(encoder: Path, cross_encoder: Path, tmp_path: Path) -> None:
    for source in (encoder, cross_encoder):
        shutil.copytree(source, tmp_path / source.name)
        torch.save({}, tmp_path / source.name / "pytorch_model.bin")  # safetensors come first
        torch.save({}, tmp_path / source.name / "training_args.bin")
        (tmp_path / source.name / "openvino").mkdir()
        torch.save({}, tmp_path / source.name / "openvino" / "openvino_model.bin")
    off = Hub(allow_downloads=False)
    vector = SentenceTransformerEncoder(resolve_encoder(str(tmp_path / encoder.name), off)).encode_query(
        "a boa"
    )
    assert vector.shape == (16,)
    scorer = CrossEncoderScorer(resolve_reranker(str(tmp_path / cross_encoder.name), off))
    assert len(scorer.score("a boa", ["snake"]).logits) == 1


@pytest.mark.parametrize("path", ["../elsewhere", "/elsewhere"])
def test_a_module_outside_of_the_folder_is_refused(encoder: Path, tmp_path: Path, path: str) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(encoder, folder)
    modules = json.loads((folder / "modules.json").read_text())
    modules[-1]["path"] = path
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelDamagedError, match="outside"):
        resolve_encoder(str(folder), Hub(allow_downloads=False))
