"""Adding a reranker takes one new file, and one line in the table of rerankers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.models.hub import Hub
from rerank import registry, scorers
from rerank.registry import resolve_reranker
from tests.conftest import Desk
from ui.command_line.main import main
from ui.command_line.models import known_rerankers
from ui.page.sidebar.settings import rerankers
from ui.settings import Settings

TOY = '''"""A toy: the longest passage first."""

import numpy as np

from ingest.models.spec import ModelKind, ModelSpec
from rerank.scorers.base import Scorer, Scores

SPEC = ModelSpec("longest-first", ModelKind.RERANKER, "longest-first", "1", "MIT", 1_000_000)


def open_reranker(model, options):
    return LongestFirst(model)


class LongestFirst(Scorer):
    def __init__(self, model):
        self._model = model

    @property
    def model(self):
        return self._model

    def score(self, query, passages, on_batch=None):
        lengths = [len(passage) for passage in passages]
        no = np.zeros(len(passages), dtype=bool)
        return Scores(np.array(lengths, np.float32), np.array(lengths, np.int64), no)
'''


@pytest.fixture
def one_reranker_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder of rerankers with `longest_first.py` in it, and its line in the table."""
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / "longest_first.py").write_text(TOY)
    monkeypatch.setattr(scorers, "__path__", [*scorers.__path__, str(tmp_path / "kinds")])
    monkeypatch.setitem(registry.ARCHITECTURES, "longest-first", "rerank.scorers.longest_first")
    monkeypatch.setattr(registry, "NAMED", (*registry.NAMED, "longest-first"))
    yield
    sys.modules.pop("rerank.scorers.longest_first", None)


@pytest.mark.usefixtures("one_reranker_more")
def test_a_toy_reranker_is_found_listed_offered_and_orders(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offline = Hub(allow_downloads=False)
    assert resolve_reranker("longest-first", offline).spec.licence == "MIT"
    (row,) = [r for r in known_rerankers(offline, Settings().services) if r["name"] == "longest-first"]
    assert (row["max_length"], row["languages"]) == (1_000_000, "English")
    assert "longest-first" in rerankers(Settings())
    desk.add(*(desk.write(f"{n}.txt", "a snake " * n) for n in (1, 3, 2)))
    monkeypatch.setattr("rerank.factory.encoder_for", lambda *_: desk.encoder.model)
    monkeypatch.setattr("rerank.factory.open_encoder", lambda *_, **__: desk.encoder)
    command = [
        "search",
        "snake",
        "--library",
        str(desk.library.folder),
        "--reranker",
        "longest-first",
        "--json",
    ]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["title"] for row in found["after"]] == ["3", "2", "1"]
    assert found["models"]["reranker"] == "longest-first"


def test_the_table_names_every_file_that_loads_a_reranker() -> None:
    files = {path.stem: path.read_text("utf-8") for path in Path(str(scorers.__file__)).parent.glob("*.py")}
    loading = {f"rerank.scorers.{name}" for name, text in files.items() if "\ndef open_reranker(" in text}
    assert set(registry.ARCHITECTURES.values()) == loading
    named = {
        f"rerank.scorers.{name}" for name, text in files.items() if "\nSPEC = " in text or "\nSPEC: " in text
    }
    assert {registry.ARCHITECTURES[name] for name in registry.NAMED} == named


def test_a_name_that_is_not_in_the_table_is_none_of_these() -> None:
    assert registry.resolve_named("longest-first") is None
    assert registry.resolve_named("cross-encoder") is None, (
        "an architecture that needs a model's files is no reranker by itself"
    )
    assert registry.resolve_named("../models") is None
