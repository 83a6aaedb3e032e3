"""A model's folder, whoever made it, runs no code: not through its settings, and not by way of a library's export."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ingest.archive import export_library
from ingest.encoder import SentenceTransformerEncoder
from ingest.errors import ModelError
from ingest.hub import Hub
from ingest.library import Library, Manifest
from ingest.models import resolve_encoder
from ingest.pipeline import Source, ingest
from rerank.models import resolve_reranker
from rerank.scorers import open_scorer
from rerank.training.model import load_base
from tests.ingest.test_models import hub, put_in_cache
from tests.models.hostile import prefer_pickle, with_pickle
from tests.models.tiny_models import make_cross_encoder, make_encoder
from ui.cli import main

__all__ = ["hub"]  # the fixture of a hub whose cache is the test's own

OFF = Hub(allow_downloads=False)
GIFT = "somebody/gift"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("models") / "encoder", "mean", dense=16)


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cross_encoder(tmp_path_factory.mktemp("models") / "cross-encoder")


@pytest.mark.parametrize("key", ["model_args", "model_kwargs"])
def test_an_encoder_whose_settings_ask_for_its_pickle_is_refused_and_nothing_runs(
    encoder: Path, tmp_path: Path, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = with_pickle(encoder, tmp_path / "encoder", tmp_path / "mark")
    prefer_pickle(folder, key)
    (tmp_path / "a.txt").write_text("A boa is a snake.")
    library = str(tmp_path / "library")
    assert main(["ingest", str(tmp_path / "a.txt"), "--encoder", str(folder), "--library", library]) == 1
    assert not (tmp_path / "mark").exists()
    said = capsys.readouterr().err
    assert "sentence_bert_config.json" in said
    assert f"{key}.use_safetensors" in said


def test_a_reranker_whose_settings_ask_for_its_pickle_is_refused_and_nothing_runs(
    cross_encoder: Path, tmp_path: Path
) -> None:
    folder = with_pickle(cross_encoder, tmp_path / "reranker", tmp_path / "mark")
    prefer_pickle(folder)
    with pytest.raises(ModelError, match=r"sentence_bert_config\.json.*model_args\.use_safetensors"):
        open_scorer(resolve_reranker(str(folder), OFF))
    with pytest.raises(ModelError, match=r"model_args\.use_safetensors"):
        load_base(folder, 64)
    assert not (tmp_path / "mark").exists()


def test_a_strangers_export_and_one_search_run_nothing(
    encoder: Path, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole chain: a library that names a hub model of a stranger's, imported, and asked once."""
    revision = "0" * 40
    put_in_cache(tmp_path / "cache", GIFT, revision, {})
    snapshot = tmp_path / "cache" / f"models--{GIFT.replace('/', '--')}" / "snapshots" / revision
    shutil.copytree(encoder, snapshot, dirs_exist_ok=True)
    made_with = SentenceTransformerEncoder(resolve_encoder(GIFT, hub))
    (tmp_path / "a.txt").write_text("A boa is a snake.")
    library = Library.create(tmp_path / "theirs", Manifest.of(made_with.model.spec))
    ingest([Source.of_path(tmp_path / "a.txt")], library, made_with)
    export_library(library, tmp_path / "gift.zip")
    with_pickle(encoder, snapshot, tmp_path / "mark")
    prefer_pickle(snapshot)
    ours = str(tmp_path / "ours")
    assert main(["import", str(tmp_path / "gift.zip"), "--library", ours]) == 0
    assert GIFT in capsys.readouterr().err  # it is said which models the library names
    assert main(["search", "snake", "--library", ours, "--reranker", "bundled"]) == 1
    assert not (tmp_path / "mark").exists()
    said = capsys.readouterr().err
    assert GIFT in said
    assert "--trust-encoder" in said
    # And with the yes: the settings of the folder are looked at all the same.
    assert main(["search", "snake", "--library", ours, "--reranker", "bundled", "--trust-encoder"]) == 1
    assert not (tmp_path / "mark").exists()
    assert "model_args.use_safetensors" in capsys.readouterr().err
