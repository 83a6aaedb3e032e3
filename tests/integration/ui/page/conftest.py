"""The page under Streamlit's AppTest, on a real library (SQLite, FAISS) with models worked out by hand."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from ingest.library.library import Library, Manifest
from ingest.pipeline import ingest
from ingest.sources import Source
from rerank.factory import ModelChoice
from rerank.search import Searcher
from retrieval.retriever import Retriever
from tests.fakes import WordEncoder
from tests.parts.stand_ins import MoodyScorer
from ui.page import resources, samples
from ui.page.state import State

APP = Path(__file__).resolve().parents[4] / "app.py"
TEXTS = {
    # Snakes and venom over and over: first by cosine. The python's passage has all words of the question.
    "vipers.txt": "A snake with venom: snake venom is a snake thing, venom.",
    "python.txt": "Which snake kills without any venom at all? The python does, by its coil.",
    "cranes.txt": "A crane stands by the river. Another crane flies over the river bank.",
    "banks.txt": "The bank of a river floods in spring.",
}
OPEN_WITH = resources.open_with  # what the page opens in earnest


@dataclass
class Screen:
    """The page in a session: what it shows, in the words of a person who looks at it."""

    app: AppTest
    library: Path
    encoder: WordEncoder
    scorer: MoodyScorer
    rerankers: list[str | None]

    @property
    def state(self) -> State:
        state: State = self.app.session_state["second_look"]
        return state

    def open(self, **query: str) -> Screen:
        for name, value in query.items():
            self.app.query_params[name] = value
        self.app.run()
        return self.settle()

    def settle(self) -> Screen:
        """Run until no work is left beside the page, as the polling fragments do in a browser."""
        for _ in range(5):
            assert not self.app.exception, self.app.exception
            jobs = (self.state.search, self.state.ingest, self.state.judging.fit)
            for job in filter(None, jobs):
                job.wait(20)
            self.app.run()
        return self

    def ask(self, question: str) -> Screen:
        self.app.text_input(key="question").input(question)
        self.press("Search")
        return self

    def press(self, label: str) -> Screen:
        found = [button for button in self.app.button if button.label == label]
        assert len(found) == 1, f"{len(found)} buttons say {label!r}: {[b.label for b in self.app.button]}"
        found[0].click().run()
        return self.settle()

    def texts(self) -> str:
        return "\n".join(str(element.value) for element in self.app.text)

    def errors(self) -> str:
        return "\n".join(str(element.value) for element in self.app.error)

    def payload(self) -> dict[str, Any]:
        shown = self.app.get("bidi_component")
        assert len(shown) == 1, f"{len(shown)} comparisons are on the page"
        data: dict[str, Any] = json.loads(shown[0].proto.json)
        return data

    def send(self, rows: list[dict[str, Any]]) -> Screen:
        """Judgements as the comparison sends them from a browser."""
        states = self.app._tree.get_widget_states()
        component = self.app.get("bidi_component")[0].proto.id
        states.widgets.append(WidgetState(id=component, json_value=json.dumps({"judged": rows})))
        self.app._run(states)
        return self.settle()

    def judge(self, *grades: tuple[str, int | None]) -> Screen:
        """Judge passages of the question on the screen, by title: 2 relevant, 1 partly, 0 not, None takes it back."""
        data = self.payload()
        hashes = {passage["title"]: passage["hash"] for passage in data["passages"].values()}
        numbers = itertools.count(data["confirmed"] + 1)
        return self.send(
            [
                {"n": next(numbers), "query": data["query"], "passage": hashes[title], "grade": grade}
                for title, grade in grades
            ]
        )

    def columns(self) -> tuple[list[str], list[str]]:
        """Titles in the first and in the second column, in their order."""
        data = self.payload()
        titles = {key: passage["title"] for key, passage in data["passages"].items()}
        before, after = (
            [titles[card["key"]] for card in data[side]["cards"]] for side in ("before", "after")
        )
        return before, after


@pytest.fixture
def fill(tmp_path: Path) -> Callable[..., Library]:
    """`fill({name: text}, folder, encoder)` → a library with these files."""

    def make(texts: dict[str, str], folder: Path, encoder: WordEncoder) -> Library:
        library = Library.create(folder, Manifest.of(encoder.model.spec))
        sources = []
        for number, (name, text) in enumerate(texts.items()):
            path = tmp_path / f"source-{number}.txt"
            path.write_text(text, encoding="utf-8")
            sources.append(Source.of_upload(path, name))
        report = ingest(sources, library, encoder)
        assert all(file.status == "indexed" for file in report.files), report
        return library

    return make


@pytest.fixture
def screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    """The page on a library folder that is empty as yet; nothing of it is run before a test says so."""
    encoder, scorer = WordEncoder(), MoodyScorer()

    rerankers: list[str | None] = []

    def open_with(library: Library, choice: ModelChoice, given: WordEncoder) -> Searcher:
        rerankers.append(choice.reranker)
        return Searcher(Retriever(library, given), scorer)

    def encoder_for(library: Library | None, choice: object, hub: object) -> object:
        if library is not None:
            library.require_encoder(encoder.model.spec)
        return encoder.model

    monkeypatch.setattr(resources, "open_with", open_with)
    monkeypatch.setattr(resources, "encoder_for", encoder_for)
    monkeypatch.setattr(resources, "open_encoder", lambda model, access: encoder)
    monkeypatch.setattr(samples, "DOCUMENTS", tmp_path / "data" / "sample" / "documents")
    monkeypatch.setattr(samples, "QUERIES", tmp_path / "data" / "sample" / "queries.jsonl")
    monkeypatch.setenv("SECONDLOOK_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setenv("SECONDLOOK_DOWNLOADS", "0")
    # Else a faster graph is looked for beside the page, in a thread that would outlive the test, and its process too.
    monkeypatch.setenv("SECONDLOOK_ENGINE", "onnx-fp32")
    for name in ("SECONDLOOK_ENCODER", "SECONDLOOK_RERANKER"):
        monkeypatch.delenv(name, raising=False)
    st.cache_resource.clear()
    yield Screen(
        AppTest.from_file(str(APP), default_timeout=30), tmp_path / "library", encoder, scorer, rerankers
    )
    scorer.gate.set()
    st.cache_resource.clear()
