"""Everything that one visitor's session remembers, typed: one record, and the keys of the widgets."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from ui.jobs import IngestJob, SearchJob

QUESTION_KEY = "question"
CANDIDATES_KEY = "candidates"
RESULTS_KEY = "results"
RERANKER_KEY = "reranker"
FILTER_KEY = "filter"
_STATE_KEY = "second_look"


@dataclass(frozen=True, slots=True)
class Ask:
    """What an answer is an answer to. When any of it changes, models run again; else they do not."""

    question: str
    candidates: int
    reranker: str | None
    generation: int


@dataclass
class State:
    """What a session remembers from one run of the script to the next.

    ``url`` is the question that the address held when it was last looked at. ``deleting`` names what waits
    for a confirmation: a document's id, or `ALL_SAMPLES`. ``said`` is a sentence about the last deletion,
    ``problem`` one about what could not be done.
    """

    question: str = ""
    url: str = ""
    ask: Ask | None = None
    search: SearchJob | None = None
    ingest: IngestJob | None = None
    uploader: int = 0
    make_sample: bool = False
    deleting: str | None = None
    said: str = ""
    problem: str = ""

    @property
    def ingesting(self) -> bool:
        """Whether an ingest of this session is running."""
        return self.ingest is not None and not self.ingest.finished

    def forget_answer(self) -> None:
        """Drop the answer on the screen; work on it stops soon."""
        if self.search is not None:
            self.search.cancel()
        self.search = self.ask = None


ALL_SAMPLES = "all samples"


def current() -> State:
    """This session's state."""
    if _STATE_KEY not in st.session_state:
        st.session_state[_STATE_KEY] = State()
    state: State = st.session_state[_STATE_KEY]
    return state
