"""The command line as it is called, with the real bundled models, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from ingest.library.library import Library
from rerank.request import STABLE_SLICES
from rerank.search import Searcher
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WordScorer
from ui.command_line.main import build_parser, main
from ui.settings import Settings

ROOT = Path(__file__).resolve().parents[4]
COMMAND = [sys.executable, "-m", "ui.command_line.main"]
OFFLINE = os.environ | {"SECONDLOOK_DOWNLOADS": "0", "HF_HUB_OFFLINE": "1"}


def run(*arguments: object, program: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [*(program or COMMAND), *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=OFFLINE, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli")
    files = path / "files"
    files.mkdir()
    (files / "constrictors.md").write_text(
        "# Constrictors\n\nA boa coils around its prey and tightens until the blood no longer flows.\n"
    )
    (files / "cobras.txt").write_text("Cobras\n\nThe venom of a cobra stops the nerves from working.\n")
    (files / "python.txt").write_text(
        "Python for data\n\nA list holds values in order; a dictionary finds them by key.\n"
    )
    (files / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    return path


@pytest.fixture(scope="module")
def ingested(folder: Path) -> dict:
    done = run("ingest", folder / "files", "--library", folder / "library", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_ingest_reports_every_file_as_json(ingested: dict) -> None:
    assert set(ingested) == {"files", "seconds"}
    statuses = {Path(file["path"]).name: file["status"] for file in ingested["files"]}
    assert statuses == {
        "broken.pdf": "refused", "cobras.txt": "indexed", "constrictors.md": "indexed", "python.txt": "indexed"
    }  # fmt: skip
    assert set(ingested["files"][0]) == {
        "path", "status", "reason", "chunks", "pages", "pages_without_text", "needs_password",
        "unreachable", "needs_ocr",
    }  # fmt: skip
    assert "broken.pdf" in ingested["files"][0]["reason"]


def test_search_gives_both_orders_in_the_promised_form(folder: Path, ingested: dict) -> None:
    done = run(
        "search", "which snake kills without venom?", "--library", folder / "library", "--top-k", 2, "--json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["query"] == "which snake kills without venom?"
    assert found["candidates"] == 3
    assert [row["rank"] for row in found["before"]] == [row["rank"] for row in found["after"]] == [1, 2]
    assert {"rank", "path", "title", "page", "start", "end", "cosine", "first_score", "text"} <= set(
        found["before"][0]
    )
    assert {"before_rank", "second_score", "logit", "relevance"} <= set(found["after"][0])
    assert found["after"][0]["logit"] >= found["after"][1]["logit"]
    assert found["models"] == {
        "encoder": "sentence-transformers/all-MiniLM-L6-v2", "reranker": found["models"]["reranker"]
    }  # fmt: skip
    timings = found["timings_ms"]
    assert timings["total"] == pytest.approx(
        timings["encode"] + timings["retrieve"] + timings["rerank"], abs=0.1
    )
    for row in found["before"] + found["after"]:
        source = Path(row["path"]).read_text().removeprefix("# ")  # the mark of a heading is no text
        assert source[row["start"] : row["end"]] == row["text"], "the citation does not hold"


def test_search_for_people_shows_two_columns(folder: Path, ingested: dict) -> None:
    done = run("search", "venom", "--library", folder / "library")
    assert done.returncode == 0
    assert "FIRST LOOK" in done.stdout
    assert "SECOND LOOK" in done.stdout
    assert "logit" in done.stdout


def test_a_search_that_ended_early_says_how_far_it_came_and_why(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.add(*(desk.write(f"{n}.txt", f"A cobra's venom, number {n}.") for n in range(40)))
    searcher = Searcher(Retriever(desk.library, desk.encoder), WordScorer())
    monkeypatch.setattr("ui.command_line.search.searcher_for", lambda *_: searcher)
    ticks = count(step=0.01)  # ten milliseconds pass from one look at the clock to the next
    monkeypatch.setattr("rerank.second_look.perf_counter", lambda: next(ticks))
    search = ["search", "number 7", "--library", str(desk.library.folder)]
    assert main([*search, "--budget-ms", "1", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["candidates"], found["scored"], found["stopped"]) == (40, 10, "budget")
    assert "10 of 40 passages were scored, in" in err
    assert found["notices"][-1]["text"] in err
    assert main([*search, "--stop-when-stable", "9"]) == 0
    assert "; 40 candidates\n" in capsys.readouterr().out
    assert (
        build_parser(Settings()).parse_args([*search, "--stop-when-stable"]).stop_when_stable == STABLE_SLICES
    )


def test_documents_and_delete(folder: Path, ingested: dict) -> None:
    listed = json.loads(run("documents", "--library", folder / "library", "--json").stdout)["documents"]
    assert {document["title"] for document in listed} == {"Constrictors", "Cobras", "Python for data"}
    assert set(listed[0]) >= {"id", "title", "path", "chunks", "pages"}
    assert run("delete", "Python for data", "--library", folder / "library").returncode == 0
    left = json.loads(run("documents", "--library", folder / "library", "--json").stdout)["documents"]
    assert {document["title"] for document in left} == {"Constrictors", "Cobras"}
    gone = run("delete", "Python for data", "--library", folder / "library")
    assert (gone.returncode, gone.stdout) == (1, "")
    assert "no document “Python for data”" in gone.stderr


def test_models_says_what_is_used_from_where_and_what_was_tried() -> None:
    models = json.loads(run("models", "--json").stdout)["models"]
    assert [model["use"] for model in models] == ["encoder", "reranker"]
    encoder = models[0]
    assert (encoder["source"], encoder["licence"], encoder["dim"]) == ("bundled", "Apache-2.0", 384)
    assert any("bge-small" in attempt for attempt in encoder["tried"])
    assert encoder["megabytes"] > 50
    assert "tried before" in run("models").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["search", " ", "--library", "{library}"], 2, "question is empty"),
        (["search", "x", "--library", "{library}", "--candidates", "0"], 2, "give 1 or more"),
        (["search", "x", "--library", "{folder}/nowhere"], 1, "no library"),
        (["ingest", "{folder}/nothing.pdf", "--library", "{library}"], 2, "no such file"),
        (["ingest", "{folder}/files/broken.pdf", "--library", "{library}"], 1, ""),
        (["ingest", "a" * 300, "--library", "{library}"], 2, "no such file"),
        (["documents", "--library", "a" * 300], 1, " cannot be used: File name too long."),
        (["import", "a" * 300, "--library", "{folder}/new"], 1, "File name too long"),
        (["documents", "--library", ""], 2, "it is empty; name a folder"),
        (["import", "{folder}/x.zip", "--library", ""], 2, "it is empty; name a folder"),
        (["frobnicate"], 2, "invalid choice"),
        (["search", "x", "--library", "{library}", "--encoder", "bge-base", "--offline"], 1, "cannot be had"),
        (["serve", "--port", "0"], 2, "--port"),
        (["search", "x", "--library", "{library}", "--budget-ms", "-1"], 2, "1 ms or more"),
        (["search", "x", "--library", "{library}", "--window", "3"], 2, "“3” is no size of a window"),
        (["search", "x", "--library", "{library}", "--window", "9" * 5000], 2, "is no size of a window"),
        (["rebuild", "--library", "{library}", "--chunk-tokens", "0"], 2, "must be at least 16; 0 was given"),
        (["rebuild", "--library", "{library}", "--chunk-tokens", "-9"], 2, "must be at least 16"),
        (
            ["ingest", "{folder}/files", "--library", "{library}", "--chunk-tokens", "64"],
            2,
            "cut at 160 tokens",
        ),
        (["export", ".", "--library", "{library}"], 2, ". is a folder. Say which file"),
        (["export", "{folder}", "--library", "{library}"], 2, "is a folder"),
    ],
)
def test_exit_status_and_sentences(
    folder: Path, ingested: dict, arguments: list[str], status: int, words: str
) -> None:
    filled = [argument.format(folder=folder, library=folder / "library") for argument in arguments]
    done = run(*filled)
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_new_library_is_made_by_the_encoder_of_the_environment(
    tmp_path: Path,
    ingested: dict,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SECONDLOOK_ENCODER", "no/such")
    monkeypatch.setenv("SECONDLOOK_DOWNLOADS", "0")
    assert main(["ingest", str(folder / "files"), "--library", str(tmp_path / "new")]) == 1
    assert "no/such cannot be had" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert main(["ingest", str(folder / "files"), "--library", str(folder / "library")]) == 0, (
        "it knows its own"
    )


def test_ctrl_c_stops_an_ingest_and_the_next_one_goes_on(folder: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for number in range(6):
        body = "\n\n".join(f"Paragraph {number}-{n} is about cranes and their nests." for n in range(250))
        (files / f"long{number}.txt").write_text(body)
    command = [*COMMAND, "ingest", str(files), "--library", str(tmp_path / "library"), "--json"]
    command += ["--chunk-tokens", "16"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=OFFLINE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    vectors = f"file:{tmp_path / 'library' / 'library.sqlite'}?mode=ro"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not _stored(vectors):
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert "run the same command again" in err
    finished = json.loads(out)["files"]
    assert len(finished) < 6
    stored = _stored(vectors)
    assert stored >= max(256, 250 * len(finished)), "what was embedded is lost"
    again = json.loads(run(*command[len(COMMAND) :]).stdout)["files"]
    assert [file["status"] for file in again] == ["unchanged"] * len(finished) + ["indexed"] * (
        6 - len(finished)
    )
    assert _stored(vectors) == sum(file["chunks"] for file in again)


def _stored(uri: str) -> int:
    import sqlite3

    try:
        with sqlite3.connect(uri, uri=True) as db:
            return db.execute("SELECT count(*) FROM vectors").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def test_a_long_passage_is_read_in_part_unless_the_whole_is_asked_for(tmp_path: Path) -> None:
    text = "Cranes dance in the marsh before they nest. " * 30 + "A heron stood on one leg all day."
    (tmp_path / "cranes.txt").write_text(text)
    (tmp_path / "geese.txt").write_text("Geese fly in a wedge.")
    library = ["--library", tmp_path / "library"]
    assert (
        run(
            "ingest", tmp_path / "cranes.txt", tmp_path / "geese.txt", *library, "--chunk-tokens", "250"
        ).returncode
        == 0
    )
    read, noted, logits = [], [], []
    for window in ([], ["--window", "whole"], ["--window", "40"]):
        done = run("search", "which heron stood on one leg?", *library, "--json", *window)
        found = json.loads(done.stdout)
        rows = {Path(row["path"]).name: row for row in found["after"]}
        read.append((rows["cranes.txt"]["read"], rows["geese.txt"]["read"]))
        logits.append(rows["cranes.txt"]["logit"])
        noted.append("1 passage is long" in done.stderr)
    assert read == [("window", "whole"), ("whole", "whole"), ("window", "whole")]
    assert noted == [True, False, True]
    assert len(set(logits)) == 3


def test_a_library_cut_by_an_earlier_version_says_so_once_and_a_rebuild_cuts_it_anew(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The crane is a bird.")
    folder = tmp_path / "library"
    assert run("ingest", tmp_path / "a.txt", "--library", folder).returncode == 0
    with sqlite3.connect(folder / "library.sqlite") as db:
        db.execute("UPDATE manifest SET value = '1' WHERE key = 'chunker_version'")
    db.close()

    def told() -> bool:
        return "secondlook rebuild --library" in run("documents", "--library", folder).stderr

    assert told()
    assert not told()
    assert Library(folder).is_cut_as_before
    assert run("rebuild", "--library", folder).returncode == 0
    assert not Library(folder).is_cut_as_before
