"""Everything that one visitor's session remembers, typed: one record, and the keys of the widgets."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import streamlit as st

from ui.jobs import IngestJob, SearchJob
from ui.judging_state import Judging

if TYPE_CHECKING:  # what evaluates is loaded when it is asked for
    from ui.evaluation_dataset import Dataset
    from ui.evaluation_job import EvaluationJob

QUESTION_KEY = "question"
CANDIDATES_KEY = "candidates"
RESULTS_KEY = "results"
RERANKER_KEY = "reranker"
BUDGET_KEY = "budget"
FILTER_KEY = "filter"
READING_KEY = "reading"
TEMPERATURE_KEY = "temperature"
HIDE_KEY = "hide"
VIEW_KEY = "view"  # in the address too
_STATE_KEY = "second_look"


class View(StrEnum):
    """What the page is for at the moment."""

    SEARCH = "Search"
    EVALUATE = "Evaluate"


@dataclass(frozen=True, slots=True)
class Ask:
    """What an answer is an answer to. When any of it changes, models run again; else they do not."""

    question: str
    candidates: int
    reranker: str | None
    generation: int
    budget_ms: float | None = None


@dataclass
class State:
    """What a session remembers from one run of the script to the next.

    ``url`` is the question that the address held when it was last looked at. ``deleting`` names what waits
    for a confirmation: a document's id, or `ALL_SAMPLES`. ``said`` is a sentence about the last deletion,
    ``problem`` one about what could not be done. ``dataset`` is the one that was uploaded to evaluate on, and
    ``dataset_problem`` why the last one could not be used.
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
    evaluation: EvaluationJob | None = None
    dataset: Dataset | None = None
    dataset_problem: str = ""
    dataset_uploader: int = 0
    judging: Judging = field(default_factory=Judging)

    @property
    def ingesting(self) -> bool:
        """Whether an ingest of this session is running."""
        return self.ingest is not None and not self.ingest.finished

    @property
    def evaluating(self) -> bool:
        """Whether an evaluation of this session is running."""
        return self.evaluation is not None and not self.evaluation.finished

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
