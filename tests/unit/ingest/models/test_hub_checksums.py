"""Models in the hub's cache are compared with the hashes that the cache names their files by."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.errors import ModelDamagedError
from ingest.models import hub_checksums
from ingest.models.hub import Hub
from ingest.models.hub_checksums import has_checksums
from ingest.models.spec import ModelSource
from ingest.notices import Help, Remedy
from rerank.factory import open_scorer
from rerank.registry import RERANKERS, resolve_reranker
from ui.command_line.main import main

NAME = "cross-encoder/ms-marco-TinyBERT-L-2-v2"


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(allow_downloads=False, memory=tmp_path / "memory" / "hub.json")


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_cross_encoder: Path) -> Path:
    """The small cross-encoder in the hub's cache, in its layout: blobs by hash, and a snapshot of links to them."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    repository = tmp_path / "cache" / f"models--{NAME.replace('/', '--')}"
    snapshot = repository / "snapshots" / RERANKERS[NAME].revision
    for folder in (snapshot, repository / "blobs", repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(RERANKERS[NAME].revision)
    for path in tiny_cross_encoder.iterdir():
        if path.is_file():
            content = path.read_bytes()
            git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
            name = hashlib.sha256(content).hexdigest() if path.suffix == ".safetensors" else git
            (repository / "blobs" / name).write_bytes(content)
            (snapshot / path.name).symlink_to(f"../../blobs/{name}")
    return snapshot


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read from now on, in a list that grows."""
    read: list[str] = []
    real = hub_checksums._hash

    def spy(path: Path, size: int, digits: int) -> str:
        read.append(path.name)
        return real(path, size, digits)

    monkeypatch.setattr(hub_checksums, "_hash", spy)
    return read


def test_a_whole_model_is_used_and_its_files_are_read_once(
    hub: Hub, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = hashed(monkeypatch)
    model = resolve_reranker(NAME, hub)
    assert (model.source, has_checksums(model.folder)) == (ModelSource.CACHE, True)
    assert len(open_scorer(model, "torch").score("snake", ["boa", "river"]).logits) == 2
    assert (snapshot / "model.safetensors").resolve().name in read
    assert (snapshot / "tokenizer.json").resolve().name in read
    read.clear()
    resolve_reranker(NAME, hub)
    assert read == []


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
@pytest.mark.parametrize("spoil", [flip, cut])
@pytest.mark.parametrize("known", [False, True], ids=["never seen", "verified before"])
def test_a_damaged_file_is_refused_with_what_to_do(
    hub: Hub, snapshot: Path, file: str, spoil: Callable[[Path], None], known: bool
) -> None:
    if known:
        resolve_reranker(NAME, hub)
    spoil(snapshot / file)
    with pytest.raises(ModelDamagedError) as caught:
        resolve_reranker(NAME, hub)
    said = str(caught.value)
    assert f"{snapshot / file} is not the one that the hub published" in said
    assert f"Delete the folder {snapshot.parent.parent}, then" in said
    assert caught.value.help == Help(Remedy.FETCH, subject=NAME)


@pytest.mark.parametrize("note", ["", "[]", '{"a": 1}', '{"a": ["b", 1, 2]}', "\0"])
def test_a_note_that_is_damaged_old_or_of_another_time_only_means_reading_again(
    hub: Hub, snapshot: Path, monkeypatch: pytest.MonkeyPatch, note: str
) -> None:
    resolve_reranker(NAME, hub)
    memory = hub.memory.with_name("verified.json")
    noted = json.loads(memory.read_text())
    weights = str((snapshot / "model.safetensors").resolve())
    read = hashed(monkeypatch)
    for changed in (
        note, json.dumps({path: [size, time, at - 8 * 86400] for path, (size, time, at) in noted.items()}),
        json.dumps({path: [size, time, at + 8 * 86400] for path, (size, time, at) in noted.items()}),
    ):  # fmt: skip
        memory.write_text(changed)
        read.clear()
        resolve_reranker(NAME, hub)
        assert Path(weights).name in read


def test_a_mirror_may_name_files_by_their_plain_sha1(hub: Hub, snapshot: Path) -> None:
    config = snapshot / "config.json"
    content = config.read_bytes()
    name = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    (snapshot.parent.parent / "blobs" / name).write_bytes(content)
    config.unlink()
    config.symlink_to(f"../../blobs/{name}")
    assert resolve_reranker(NAME, hub).source is ModelSource.CACHE
    flip(config)
    with pytest.raises(ModelDamagedError, match=r"config\.json is not the one"):
        resolve_reranker(NAME, hub)


def test_a_file_written_again_is_read_again_though_it_is_as_long(
    hub: Hub, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_reranker(NAME, hub)
    read = hashed(monkeypatch)
    weights = (snapshot / "model.safetensors").resolve()
    os.utime(weights, ns=(1, weights.stat().st_mtime_ns + 1))
    resolve_reranker(NAME, hub)
    assert read == [weights.name]


def test_a_folder_without_known_hashes_is_used_and_said_to_have_none(
    hub: Hub,
    snapshot: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A cache that was copied without its links, as on a disk that knows none."""
    monkeypatch.setenv("SECONDLOOK_DOWNLOADS", "0")
    arguments = ["models", "--encoder", "bundled", "--reranker", NAME, "--json"]
    assert main(arguments) == 0
    rows = {row["use"]: row["checksum"] for row in json.loads(capsys.readouterr().out)["models"]}
    assert rows == {"encoder": "SHA-256 as it was published here", "reranker": "SHA-256 as the hub has it"}
    copied = shutil.copytree(snapshot, tmp_path / "copied")
    shutil.rmtree(snapshot)
    shutil.copytree(copied, snapshot)
    flip(snapshot / "model.safetensors")
    assert resolve_reranker(NAME, hub).source is ModelSource.CACHE
    for name in (NAME, str(copied)):
        assert main([*arguments[:-2], name]) == 0
        assert "weights: no SHA-256 is known to compare them with" in capsys.readouterr().out
