"""Zips that people upload to evaluate on: only what a dataset needs is taken out, and what is wrong is said."""

from __future__ import annotations

import gc
import io
import re
from pathlib import Path

import pytest

from ingest.errors import DamagedFileError, EncryptedFileError, SecondLookError, TooLargeError, UsageError
from tests.parts.datasets import beir_files, packed
from ui.files import datasets
from ui.files.datasets import uploaded_dataset


def refused(content: bytes) -> SecondLookError:
    with pytest.raises(SecondLookError) as caught:
        uploaded_dataset(io.BytesIO(content), "set.zip")
    return caught.value


def test_nothing_is_written_under_a_name_of_the_archive(tmp_path: Path) -> None:
    sly = {
        "../outside.txt": "x", "/tmp/outside.txt": "x", "helping/qrels/../../../outside.tsv": "x",
        "helping/qrels/..": "x", "helping/notes.txt": "x", "__MACOSX/helping/corpus.jsonl": "x",
    }  # fmt: skip
    dataset = uploaded_dataset(io.BytesIO(packed(beir_files() | sly)), "../../up.zip")
    root = dataset.folder.parent
    kept = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    assert kept == ["dataset/corpus.jsonl", "dataset/qrels/test.tsv", "dataset/queries.jsonl"]
    assert dataset.name == "up"
    assert dataset.questions == {"test": 11}
    assert root.stat().st_mode & 0o077 == 0


def test_the_last_document_counts_though_its_line_is_not_ended() -> None:
    files = beir_files("")
    whole = uploaded_dataset(io.BytesIO(packed(files)), "set.zip").documents
    files["corpus.jsonl"] = files["corpus.jsonl"].rstrip("\n")
    assert whole > 1
    assert uploaded_dataset(io.BytesIO(packed(files)), "set.zip").documents == whole


def test_the_folder_goes_with_the_dataset() -> None:
    dataset = uploaded_dataset(io.BytesIO(packed(beir_files(""))), "set.zip")
    root = dataset.folder.parent
    assert root.is_dir()
    del dataset
    gc.collect()
    assert not root.exists()


def test_what_it_unpacks_to_is_counted_and_not_believed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(datasets, "MAX_UNPACKED", 1_000_000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    error = refused(packed(beir_files(corpus="{}\n" * 1_000_000)))
    assert isinstance(error, TooLargeError)
    assert "set.zip unpacks to more than 1 MB." in str(error)
    assert list(tmp_path.iterdir()) == []


def test_a_password_and_a_torn_file_are_told_apart() -> None:
    whole = bytearray(packed(beir_files()))
    for signature, place in (
        (b"PK\x03\x04", 6),
        (b"PK\x01\x02", 8),
    ):  # the flag of encryption in both headers
        for found in re.finditer(re.escape(signature), bytes(whole)):
            whole[found.start() + place] |= 1
    assert isinstance(refused(bytes(whole)), EncryptedFileError)
    torn = bytearray(packed(beir_files()))
    torn[100:130] = bytes(30)
    assert isinstance(refused(bytes(torn)), DamagedFileError)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (beir_files("a/") | beir_files("b/"), "set.zip holds more than one corpus.jsonl."),
        ({"a/corpus.jsonl": "{}"}, "set.zip holds no queries.jsonl beside its corpus.jsonl."),
        ({k: v for k, v in beir_files().items() if "qrels" not in k}, "qrels has no table of judgements"),
    ],
    ids=["two sets", "no queries", "no judgements"],
)
def test_what_is_missing_is_named(files: dict[str, str], said: str) -> None:
    error = refused(packed(files))
    assert isinstance(error, UsageError)
    assert said in str(error)
