"""`--token-vectors`: asked for once, kept up by the command line and the page, and gone when they are not wanted."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from ingest.encoders.onnx import open_encoder
from ingest.library.library import Library
from ingest.library.token_vectors import FILE
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.sources import Source
from ui.command_line.main import main
from ui.jobs.ingest import IngestJob


def test_a_wish_outlives_its_command_and_ends_with_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SECONDLOOK_DOWNLOADS", "0")
    folder = tmp_path / "library"
    files = [tmp_path / f"{name}.txt" for name in ("boa", "cobra", "apple")]
    for file in files:
        file.write_text(f"What the {file.stem} does is told here, in a sentence of its own.")

    def said(command: str, *arguments: object) -> str:
        assert main([command, *map(str, arguments), "--library", str(folder)]) == 0
        return capsys.readouterr().err

    def stored() -> int:
        with sqlite3.connect(folder / FILE) as db:
            return int(db.execute("SELECT count(*) FROM token_vectors").fetchone()[0])

    assert "Token vectors" not in said("ingest", files[0])
    first = said("ingest", files[0], "--token-vectors")
    assert first.count("Token vectors of 1 passage for MaxSim over") == 1
    assert ": 1 new, " in first
    assert ": 0 new, " in said("ingest", files[0], "--token-vectors")
    assert "2 passages" in said("ingest", files[1])
    encoder = open_encoder(resolve_encoder("bundled", Hub(allow_downloads=False)))
    job = IngestJob([Source.of_path(files[2])], lambda: Library(folder), encoder).start()
    job.wait(120)
    assert (job.failure, job.token_vectors, stored()) == ("", "", 3)
    said("delete", "cobra.txt" if Library(folder).documents()[0].path == "cobra.txt" else str(files[1]))
    assert stored() == 2
    assert "2 passages" in said("rebuild")
    capsys.readouterr()
    assert (
        main(["search", "what does the boa do", "--reranker", "maxsim", "--json", "--library", str(folder)])
        == 0
    )
    assert "boa" in json.loads(capsys.readouterr().out)["after"][0]["text"]
    assert "are removed" in said("ingest", files[0], "--no-token-vectors")
    assert not (folder / FILE).exists()
    assert "Token vectors" not in said("ingest", files[1])
    assert not (folder / FILE).exists()
