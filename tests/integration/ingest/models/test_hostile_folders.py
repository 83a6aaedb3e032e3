"""A model's folder, whoever made it, runs no code: not through its settings, and not by way of a library's export."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from ingest.encoders.base import SentenceTransformerEncoder
from ingest.errors import ModelError
from ingest.library.archive.export import export_library
from ingest.library.library import Library, Manifest
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.pipeline import ingest
from ingest.sources import Source
from rerank.factory import open_scorer
from rerank.registry import resolve_reranker
from tests.integration.ingest.models.test_models import hub, put_in_cache
from tests.parts.hostile_models import prefer_pickle, with_pickle
from tests.parts.later import later
from tests.parts.tiny_models import make_cross_encoder, make_encoder
from ui.command_line.main import main

load_base = later("rerank.training.model", "load_base")

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


def test_a_library_names_its_model_as_a_whole_and_the_yes_stays_on_this_machine(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder where one works is not what a library's name means; what a person named needs no second yes."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(encoder, tmp_path / "here")
    (tmp_path / "a.txt").write_text("A boa is a snake.")
    assert main(["ingest", "a.txt", "--encoder", "here", "--library", "mine"]) == 0
    assert (
        main(["search", "snake", "--library", "mine", "--reranker", "bundled"]) == 0
    )  # who named it, trusts it
    main(["export", "mine.zip", "--library", "mine"])
    with_name(tmp_path / "mine", "word-encoder")
    shutil.copytree(encoder, tmp_path / "word-encoder")
    capsys.readouterr()
    assert main(["search", "snake", "--library", "mine", "--trust-encoder", "--offline"]) == 1
    assert "cannot be had" in capsys.readouterr().err
    for name in (3, "", " ", ".", "./here", "../here", "a/b/c", "~/here", "x" * 2000):
        with_name(tmp_path / "mine", name)
        assert main(["search", "snake", "--library", "mine", "--trust-encoder"]) == 1
        assert "cannot be used" in capsys.readouterr().err
        main(["export", "bad.zip", "--library", "mine"])
        assert main(["import", "bad.zip", "--library", "new"]) == 1
        assert not (tmp_path / "new").exists()
        capsys.readouterr()
    # The leave is the user's own: for another user of the machine, the same library names a stranger's model.
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another"))
    monkeypatch.setattr("ingest.library.trust._allowed_now", set())
    assert main(["import", "mine.zip", "--library", "copy", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    assert models == [{"use": "encoder", "name": str(tmp_path / "here"), "known": False}]
    for call in (["search", "snake"], ["ingest", "a.txt"]):
        assert main([*call, "--library", "copy"]) == 1
        assert "--trust-encoder" in capsys.readouterr().err
    assert main(["search", "snake", "--library", "copy", "--reranker", "bundled", "--trust-encoder"]) == 0
    assert main(["search", "snake", "--library", "copy", "--reranker", "bundled"]) == 0
    assert (
        str(tmp_path / "here") in (tmp_path / "another" / "second-look" / "trusted-models.json").read_text()
    )


def with_name(folder: Path, name: object) -> None:
    with sqlite3.connect(folder / "library.sqlite") as db:
        db.execute("UPDATE manifest SET value = ? WHERE key = 'encoder'", (json.dumps(name),))


def test_a_card_calls_no_other_scorer_than_ours(tmp_path: Path) -> None:
    """By its architecture a folder could have named one that sends passages away, and nobody would have been asked."""
    card = {"name": "a", "version": "1", "licence": "x", "max_length": 64, "bi_weight": 0, "bi_encoder": "b"}
    card |= {"relevance_scale": 1, "relevance_shift": 0}
    for bad in ({"architecture": "cohere"}, {"bi_weight": "nan"}, {"max_length": -1}, {"window": 1e400}):
        (tmp_path / "secondlook.json").write_text(json.dumps(card | bad))
        with pytest.raises(ModelError, match=r"secondlook\.json"):
            resolve_reranker(str(tmp_path), OFF)


LOADERS = re.compile(
    r"(from_pretrained|from_file|\b(SentenceTransformer|CrossEncoder|Transformer)\((?!modules|\s+modules))"
)


def test_models_are_loaded_in_one_place_alone() -> None:
    root = Path(__file__).resolve().parents[4]
    files = [
        path for layer in ("ingest", "retrieval", "rerank", "ui") for path in (root / layer).rglob("*.py")
    ]
    text = {path.name: path.read_text(encoding="utf-8") for path in files}
    named = {name for name, lines in text.items() if LOADERS.search(lines)}
    # What writes the command of a conversion and a model's card load nothing; a tokenizer is read there too.
    assert named == {"loading.py", "conversion.py", "card.py"}
