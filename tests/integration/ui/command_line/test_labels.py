"""`secondlook labels` as it is called: with the real bundled models, in processes of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from ingest.library.library import Library
from tests.integration.ui.command_line.test_cli import run

QUESTIONS = {"which snake kills without venom?": "constrictors", "where do I look a value up?": "python"}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three documents, and two questions with a relevant and a not relevant passage each."""
    folder = tmp_path_factory.mktemp("labels")
    files = folder / "files"
    files.mkdir()
    (files / "constrictors.txt").write_text("A boa coils around its prey until the blood no longer flows.\n")
    (files / "cobras.txt").write_text("The venom of a cobra stops the nerves from working.\n")
    (files / "python.txt").write_text("A list holds values in order; a dictionary finds them by key.\n")
    done = run("ingest", files, "--library", folder / "library")
    assert done.returncode == 0, done.stderr
    labels = Labels(Library(folder / "library"))
    with labels.library.connection() as db:
        hashes = {row[0]: row[1] for row in db.execute("SELECT title, passage_hash FROM chunks")}
    for question, answer in QUESTIONS.items():
        labels.set(question, hashes[answer], Grade.RELEVANT)
        labels.set(question, hashes["cobras"], Grade.NOT)
    return folder / "library"


def labels(library: Path, *more: object) -> tuple[int, str, str]:
    done = run("labels", *more, "--library", library)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_labels_are_listed_for_people_and_as_json(library: Path) -> None:
    status, out, err = labels(library)
    assert status == 0, err
    assert all(question in out.splitlines() for question in QUESTIONS)
    assert "relevant      constrictors: A boa coils" in out
    assert "4 labels of 2 questions: 2 not relevant, 0 partly, 2 relevant." in err
    rows = json.loads(labels(library, "list", "--json")[1])["labels"]
    assert len(rows) == 4
    assert set(rows[0]) == {
        "query", "passage_hash", "grade", "judged", "indexed", "document_id", "path", "title", "page", "start", "end",
        "text",
    }  # fmt: skip


def test_asking_is_the_verdicts(library: Path) -> None:
    assert labels(library, "list", "--ask")[0] == 2


def test_the_verdict_says_what_is_missing_asks_and_names_its_models(library: Path) -> None:
    status, out, err = labels(library, "verdict")
    assert (status, out) == (0, "")
    assert "Not enough labels yet: no judged question was asked" in err
    status, out, err = labels(library, "verdict", "--ask", "--offline", "--json")
    assert status == 0, err
    (found,) = json.loads(out)["verdicts"]
    assert (found["queries"], found["queries_unseen"], found["verdict"]) == (2, 0, "undecided")
    assert found["more_queries"] >= 8
    assert found["models"]["encoder"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert set(found["difference"]["nDCG@10"]) == {"mean", "ci95", "p"}
    status, out, _ = labels(library, "verdict")
    assert out.startswith("Not enough labels yet: nDCG@10 ")
    assert found["models"]["reranker"] in out


def test_export_and_import_are_each_other_s_reverse(library: Path, tmp_path: Path) -> None:
    status, out, err = labels(library, "export", tmp_path / "out", "--json")
    assert status == 0, err
    assert json.loads(out) == {"queries": 2, "labels": 4, "without_text": 0}
    status, out, err = labels(library, "import", tmp_path / "out" / "labels.qrels", "--json")
    assert (status, json.loads(out)) == (0, {"added": 0, "changed": 0, "kept": 4}), err
    evaluated = run(
        "evaluate",
        tmp_path / "out",
        "--split",
        "labels",
        "--library",
        tmp_path / "set",
        "--offline",
        "--json",
    )
    assert evaluated.returncode == 0, evaluated.stderr
    assert json.loads(evaluated.stdout)["queries"] == 2


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["export"], 2, "Say what to export"),
        (["list", "{folder}"], 2, "takes no path"),
        (["import", "{folder}/nothing"], 2, "holds no labels"),
        (["import", "{folder}/bad.qrels"], 1, "line 2 of"),
        (["list", "--library", "{folder}/nowhere"], 1, "no library"),
        (["export", "/proc/nowhere"], 2, "cannot be written"),
    ],
)
def test_faults_are_sentences(
    library: Path, tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    (tmp_path / "bad.qrels").write_text("\nnobody asked this\n")
    filled = [argument.format(folder=tmp_path) for argument in arguments]
    where = [] if "--library" in filled else ["--library", library]
    done = run("labels", *filled, *where)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
