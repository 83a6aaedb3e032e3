"""Every awkward file is read or refused in a sentence, by one process after the other, and nothing is left behind."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from ingest.errors import ReadError
from ingest.readers.process.client import read_in_worker
from ingest.readers.source import Limits
from ingest.records import Document
from tests.conftest import Desk
from tests.integration.ingest.readers import awkward_formats
from tests.integration.ingest.readers.awkward import CASES as AWKWARD
from tests.integration.ingest.readers.awkward import LARGE, Case

CASES = [*AWKWARD, *awkward_formats.CASES]


def read(case: Case, folder: Path) -> list[Document]:
    """The file's documents, read as an upload is: under a path of ours and a name of theirs."""
    path = folder / "upload"
    path.write_bytes(case.data)
    return list(read_in_worker(path, name=case.name, key="k", limits=Limits()))


def check(case: Case, folder: Path) -> None:
    if isinstance(case.outcome, str):
        document, *_ = read(case, folder)
        assert case.outcome in document.text
        document.text.encode("utf-8")
        assert "\x00" not in document.text
        return
    kind, words = case.outcome
    with pytest.raises(ReadError) as caught:
        read(case, folder)
    sentence = str(caught.value)
    assert type(caught.value) is kind, sentence
    assert words in sentence
    assert sentence.startswith(case.name)
    assert sentence.endswith(".")
    assert str(folder) not in sentence
    # PDFium ends its process where there is no more memory, so that a bomb costs the process, and no other file.
    assert "was lost" not in sentence or case.label == "a bomb of 2 GB"


def test_there_are_enough_of_them() -> None:
    assert len({(Path(case.name).suffix, case.label) for case in CASES}) == len(CASES) >= 200


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{Path(case.name).suffix or 'name'}: {case.label}")
def test_awkward_files(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", LARGE, ids=lambda case: case.label)
def test_large_files(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


def test_awkward_names_go_through_an_ingest_and_its_report(desk: Desk) -> None:
    names = ["two\nlines.txt", "é" * 125 + "x.txt", "-rf.txt", "\u202efdp.txt", "a b:c*.txt"]
    paths = [desk.write(name, f"A crane, number {number}.") for number, name in enumerate(names)]
    if sys.platform == "linux":
        raw_name = os.path.join(os.fsencode(desk.folder), b"\xff\xfe.txt")
        with open(raw_name, "wb") as file:
            file.write(b"A crane of bytes.")
        paths.append(Path(os.fsdecode(raw_name)))
    report = desk.add(*paths)
    assert [file.status for file in report.files] == ["indexed"] * len(paths)
    assert len(desk.texts()) == len(paths)
    json.dumps([file.path for file in report.files], ensure_ascii=False).encode()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX only")
def test_a_pipe_is_refused_instead_of_waited_for(desk: Desk) -> None:
    os.mkfifo(desk.folder / "pipe.txt")
    (report,) = desk.add(desk.folder / "pipe.txt").files
    assert report.status == "refused"
    assert "is a device, a pipe or a socket" in report.reason
