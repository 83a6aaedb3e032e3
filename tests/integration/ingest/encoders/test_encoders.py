"""The bi-encoder on its engines: the same vectors, whatever runs it, and a graph that is never half a file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ingest.encoders.base import SentenceTransformerEncoder
from ingest.encoders.onnx import OnnxEncoder, open_encoder
from ingest.models.hub import Hub
from ingest.models.resolve import encoder_spec_of_folder, resolve_encoder
from ingest.models.spec import ModelSource, ResolvedModel
from ingest.runtime.graph_cache import UNUSED_FOR, note_of
from tests.parts.tiny_models import make_encoder

TEXTS = [
    "A boa coils around its prey.", "", "Python is a language. " * 90, "Ein Kranich zieht. 鹤往南飞。", "bank"
]  # fmt: skip


@pytest.fixture(scope="module")
def model() -> ResolvedModel:
    return resolve_encoder("bundled", Hub(allow_downloads=False))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(scope="module")
def reference(model: ResolvedModel) -> np.ndarray:
    """Plain sentence-transformers, as its documentation shows it."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(model.folder)).encode(TEXTS, normalize_embeddings=True)


def test_every_engine_gives_the_vectors_of_sentence_transformers(
    model: ResolvedModel, cache: Path, reference: np.ndarray
) -> None:
    onnx = OnnxEncoder(model, cache)
    for encoder in (SentenceTransformerEncoder(model), onnx, OnnxEncoder(model, cache)):
        seen: list[int] = []
        vectors = encoder.encode_passages(TEXTS, seen.append)
        assert vectors == pytest.approx(reference, abs=2e-5)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-6)
        assert sum(seen) == len(TEXTS)
        assert encoder.encode_query(TEXTS[0]) == pytest.approx(reference[0], abs=2e-5)
        assert encoder.encode_passages([]).shape == (0, 384)
    assert onnx.engine == "onnxruntime"


@pytest.mark.parametrize("there", [True, False])
def test_torch_is_never_imported_here_whether_the_graph_is_there_or_not(
    model: ResolvedModel, cache: Path, tmp_path: Path, there: bool
) -> None:
    OnnxEncoder(model, cache).encode_query("make the graph")
    program = (
        "import sys; from pathlib import Path; from ingest.models.hub import Hub;"
        "from ingest.models.resolve import resolve_encoder;"
        "from ingest.encoders.onnx import OnnxEncoder;"
        "e = OnnxEncoder(resolve_encoder('bundled', Hub(allow_downloads=False)), Path(sys.argv[1]));"
        "print(e.encode_query('which snake').shape, e.engine, 'torch' in sys.modules)"
    )
    folder = cache if there else tmp_path
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "(384,) onnxruntime False"
    assert {path.suffix for path in folder.iterdir()} == {".onnx", ".sha256", ".used"}


def test_a_graph_that_its_process_cannot_make_is_said_with_what_the_process_said(
    model: ResolvedModel, tmp_path: Path
) -> None:
    shutil.copytree(model.folder, tmp_path / "model", symlinks=False)
    (tmp_path / "model" / "model.safetensors").write_bytes(b"no weights")
    program = (
        "import sys; from pathlib import Path; from ingest.models.spec import ModelSource, ResolvedModel;"
        "from ingest.models.hub import Hub; from ingest.models.resolve import resolve_encoder;"
        "from ingest.encoders.export import make_graph;"
        "spec = resolve_encoder('bundled', Hub(allow_downloads=False)).spec;"
        "make_graph(ResolvedModel(spec, ModelSource.FOLDER, Path(sys.argv[1])), Path(sys.argv[1], 'a.onnx'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "model")], capture_output=True, text=True, check=False
    )
    assert "ModelError: the process that makes it ended with: " in done.stderr
    assert "cannot be loaded" in done.stderr


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-100], lambda raw: raw[:5000] + b"\x00" * 64 + raw[5064:], lambda raw: b""]
)
def test_a_damaged_graph_is_noticed_and_made_again(
    model: ResolvedModel, cache: Path, reference: np.ndarray, damage: Callable[[bytes], bytes]
) -> None:
    OnnxEncoder(model, cache).encode_query("make the graph")
    (graph,) = cache.glob("*.onnx")
    graph.write_bytes(damage(graph.read_bytes()))
    assert OnnxEncoder(model, cache).encode_query(TEXTS[0]) == pytest.approx(reference[0], abs=2e-5)
    assert [path.name for path in cache.iterdir() if path.name.startswith(".")] == [], "litter"


def test_where_no_graph_can_be_kept_torch_does_the_work(
    model: ResolvedModel, reference: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("")
    encoder = OnnxEncoder(model, blocked)
    assert encoder.encode_query(TEXTS[0]) == pytest.approx(reference[0], abs=2e-5)
    assert encoder.engine == "torch"
    assert "stays on torch" in caplog.text


def test_a_graph_that_differs_from_torch_is_not_used(
    model: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ingest.encoders.onnx.MAX_DIFFERENCE", 0.0)
    encoder = OnnxEncoder(model, tmp_path)
    encoder.encode_query("x")
    assert encoder.engine == "torch"
    assert list(tmp_path.glob("*.onnx")) == []


def test_graphs_that_no_encoder_here_has_used_for_long_go_and_the_one_in_use_stays(
    tmp_path: Path, reference: np.ndarray, model: ResolvedModel
) -> None:
    """Another encoder's graph is there 30 days after its last use; so is that of an installation from before notes."""
    other = ResolvedModel(
        encoder_spec_of_folder(make_encoder(tmp_path / "other", "mean")),
        ModelSource.FOLDER,
        tmp_path / "other",
    )
    cache = tmp_path / "graphs"
    OnnxEncoder(other, cache).encode_query("make the graph")
    (theirs,) = cache.glob("encoder-*.onnx")
    OnnxEncoder(model, cache).encode_query("make the graph")
    (ours,) = set(cache.glob("encoder-*.onnx")) - {theirs}
    former = cache / "encoder-0123456789abcdef01234567.onnx"
    reranker = cache / "reranker-0123456789abcdef01234567" / "model_int8.onnx"
    reranker.parent.mkdir()
    for path in (former, former.with_suffix(".sha256"), reranker, cache / ".making-old"):
        path.write_bytes(b"a graph" * 1000)

    def unused_for(seconds: float) -> set[str]:
        """What a process finds there that uses ours so long after all was used."""
        for path in cache.rglob("*"):
            if path.suffix != ".used" or path == note_of(ours):
                os.utime(path, times=(time.time() - 10 * UNUSED_FOR,) * 2)
        for note in (note_of(theirs), note_of(former)):
            if note.exists():
                os.utime(note, times=(time.time() - seconds,) * 2)
        encoder = OnnxEncoder(model, cache)
        assert encoder.encode_query(TEXTS[0]) == pytest.approx(reference[0], abs=2e-5)
        return {path.name for path in cache.iterdir()} - {reranker.parent.name}

    def files(*graphs: Path) -> set[str]:
        return {path.with_suffix(suffix).name for path in graphs for suffix in (".onnx", ".sha256", ".used")}

    assert unused_for(UNUSED_FOR - 600) == files(ours, theirs, former), "former has a note now"
    assert time.time() - note_of(former).stat().st_mtime < UNUSED_FOR
    assert time.time() - note_of(ours).stat().st_mtime < UNUSED_FOR, "its use is noted"
    assert unused_for(UNUSED_FOR - 600) == files(ours, theirs, former)
    assert unused_for(UNUSED_FOR + 600) == files(ours)
    assert reranker.is_file(), "not an encoder's"


def test_threads_share_one_encoder(model: ResolvedModel, cache: Path) -> None:
    encoder = OnnxEncoder(model, cache)
    expected = {n: SentenceTransformerEncoder(model).encode_query(f"question {n}") for n in range(4)}
    got: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda n=n: got.__setitem__(n, encoder.encode_query(f"question {n}")))
        for n in expected
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(got[n] == pytest.approx(expected[n], abs=2e-5) for n in expected)


@pytest.mark.parametrize(
    ("name", "pooling", "query", "passage"),
    [
        ("e5-tiny-v2", "mean", "query: ", "passage: "),
        ("bge-tiny-en-v1.5", "cls", "Represent this sentence for searching relevant passages: ", ""),
        ("another", "max", "", ""),
    ],
)
def test_prefixes_pooling_and_length_one_are_applied_as_the_model_was_trained(
    tmp_path: Path, name: str, pooling: str, query: str, passage: str
) -> None:
    """Against transformers alone: the hidden states of prefix and text, pooled by hand."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = make_encoder(tmp_path / name, pooling, normalize=False)
    encoder = open_encoder(resolve_encoder(str(folder), Hub(allow_downloads=False)), tmp_path / "graphs")
    bert, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)

    def by_hand(text: str) -> np.ndarray:
        with torch.no_grad():
            states = bert(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()
        pooled = {"mean": states.mean(axis=0), "cls": states[0], "max": states.max(axis=0)}[pooling]
        return pooled / np.linalg.norm(pooled)

    text, longer = "a boa coils", "a boa coils around its prey and tightens"
    assert encoder.encode_query(text) == pytest.approx(by_hand(query + text), abs=2e-5)
    # Together, so that one is padded: padding must not be pooled.
    assert encoder.encode_passages([text, longer]) == pytest.approx(
        np.stack([by_hand(passage + text), by_hand(passage + longer)]), abs=2e-5
    )


def test_the_width_of_any_encoder_is_read_from_its_modules(tmp_path: Path) -> None:
    """A dense layer after the pooling, or pooling in two ways, gives vectors of another width than the transformer."""
    folder = make_encoder(tmp_path / "dense", "mean", dense=8)
    model = resolve_encoder(str(folder), Hub(allow_downloads=False))
    assert model.spec.dim == 8
    assert open_encoder(model, tmp_path / "graphs").encode_passages(["a boa", "a bank"]).shape == (2, 8)
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(
        '{"word_embedding_dimension": 32, "pooling_mode_cls_token": true, "pooling_mode_max_tokens": true}'
    )
    (folder / "modules.json").write_text(
        '[{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]'
    )
    assert resolve_encoder(str(folder), Hub(allow_downloads=False)).spec.dim == 64


def test_an_encoder_in_a_folder_works_with_the_prefixes_it_names(
    model: ResolvedModel, tmp_path: Path
) -> None:
    """E5's way: a model of its own, loaded by its folder, reads "query: " and "passage: " before the text."""
    import json
    import shutil

    from sentence_transformers import SentenceTransformer

    folder = tmp_path / "e5-tiny"
    shutil.copytree(model.folder, folder)
    settings = json.loads((folder / "config_sentence_transformers.json").read_text())
    settings["prompts"] = {"query": "query: ", "document": "passage: "}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    encoder = open_encoder(resolve_encoder(str(folder), Hub(allow_downloads=False)), tmp_path / "graphs")
    plain = SentenceTransformer(str(model.folder))
    expected = plain.encode(["query: a boa", "passage: a boa", "a boa"], normalize_embeddings=True)
    assert encoder.encode_query("a boa") == pytest.approx(expected[0], abs=2e-5)
    assert encoder.encode_passages(["a boa"])[0] == pytest.approx(expected[1], abs=2e-5)
    assert np.abs(expected[0] - expected[2]).max() > 1e-3, (
        "the prefixes make no difference: the test shows nothing"
    )


def test_a_folder_has_one_identity_from_wherever_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that remembers an encoder in a folder is asked from other folders, too."""
    folder = make_encoder(tmp_path / "encoder", "mean")
    whole = resolve_encoder(str(folder), Hub(allow_downloads=False))
    monkeypatch.chdir(tmp_path)
    from_near = resolve_encoder("./encoder", Hub(allow_downloads=False))
    assert from_near.spec.identity == whole.spec.identity
    assert Path(from_near.name).is_absolute()
