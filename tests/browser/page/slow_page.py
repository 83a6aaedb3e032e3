"""The real page with models worked out by hand; after its first slice the reranker waits for a file.

The library is in ``SECONDLOOK_LIBRARY``, as always; the file that lets the reranker go on is ``go`` beside it. There
too, ``scored`` gets a line with the question of each slice, and ``drawn`` one with the state of each answer drawn.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from ingest.library.library import Library
from rerank.factory import ModelChoice
from rerank.scorers.base import Scores
from rerank.search import Searcher
from retrieval.retriever import Retriever
from tests.fakes import WordEncoder, WordScorer
from ui.comparison import comparison
from ui.page import resources
from ui.page.screen.page import render
from ui.page.search import answer
from ui.presentation.payload import Payload

PATIENCE = 60  # seconds


class WaitingScorer(WordScorer):
    """A `WordScorer` whose second call waits until ``go`` is there."""

    def __init__(self, go: Path) -> None:
        super().__init__()
        self._go = go

    def score(
        self, query: str, passages: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> Scores:
        deadline = time.monotonic() + PATIENCE
        while self.calls and not self._go.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        note(self._go.parent / "scored", query)
        return super().score(query, passages, on_batch)


def note(path: Path, line: str) -> None:
    """Add a line to the file, for the test to read."""
    with path.open("a", encoding="utf-8") as lines:
        lines.write(f"{line}\n")


def drawn(payload: Payload, **more: Any) -> None:
    """The comparison, which is noted."""
    note(Path(os.environ["SECONDLOOK_LIBRARY"]).parent / "drawn", payload["state"])
    comparison(payload, **more)


def open_with(library: Library, choice: ModelChoice, encoder: WordEncoder) -> Searcher:
    """In the place of `ui.page.resources.open_with`."""
    return Searcher(Retriever(library, encoder), WaitingScorer(library.folder.parent / "go"))


st.set_page_config(page_title="Second Look", layout="wide")
resources.open_with = open_with  # type: ignore[assignment]
resources.encoder_for = lambda library, choice, hub: WordEncoder().model  # type: ignore[assignment]
resources.open_encoder = lambda model, access: WordEncoder()  # type: ignore[assignment]
answer.comparison = drawn  # type: ignore[assignment]
render()
