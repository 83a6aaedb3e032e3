"""Everything that one visitor's session remembers, typed: one record, and the keys of the widgets."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import streamlit as st

from ingest.library.files.originals import Original
from ingest.library.snapshot import Generation
from rerank.request import SearchRequest
from ui.jobs.ingest import IngestJob
from ui.jobs.search import SearchJob

if TYPE_CHECKING:  # what evaluates is loaded when it is asked for
    from ui.files.datasets import Dataset
    from ui.jobs.evaluation import EvaluationJob
    from ui.jobs.second_reranker import OtherSearch
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what measures and fits is loaded when it is asked for
    from ui.jobs.calibration import FitJob
    from ui.presentation.running_verdict import Weighed


@dataclass
class Judging:
    """``confirmed`` is the number of the last judgement from the browser that was dealt with.

    ``problem`` says why one could not be kept, ``message`` and ``import_problem`` what came of the last import.
    ``seen`` are the searches whose places the labels know, ``weighed`` the verdict with what it was made of, ``fit``
    the last fitting (``fits`` counts those that succeeded), and ``all_the_same`` the question whose passages are
    wanted though nothing answers it.
    """

    confirmed: int = 0
    problem: str = ""
    message: str = ""
    import_problem: str = ""
    uploader: int = 0
    seen: tuple[SearchJob, ...] = ()
    weighed: Weighed | None = None
    fit: FitJob | None = None
    fits: int = 0
    all_the_same: str | None = None

    @property
    def fitting(self) -> bool:
        """Whether a calibration is being fitted."""
        return self.fit is not None and not self.fit.finished


QUESTION_KEY = "question"
CANDIDATES_KEY = "candidates"
RESULTS_KEY = "results"
RERANKER_KEY = "reranker"  # in the address too
NO_OTHER = "none"  # chosen with the next one, where there is none
OTHER_KEY = "compare"  # the second of two rerankers; in the address too
BUDGET_KEY = "budget"
SOURCE_KEY = "candidates-from"
FUSION_KEY = "second-order"
ENSEMBLE_KEY = "together"  # whether two rerankers are fused; in the address too
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

    request: SearchRequest
    reranker: str | None
    generation: Generation


@dataclass
class State:
    """What a session remembers from one run of the script to the next.

    ``url`` is the question, and ``view`` the view, that the address held when it was last looked at, and
    ``choices`` those of settings, by their keys; ``not_found`` are names in it that nothing here goes by. ``other`` is
    the search of a second reranker beside ``search``.
    ``deleting`` names what waits for a confirmation: a document's id, or `ALL_SAMPLES`. ``put_back`` is
    an earlier file that is wanted in the place of the one that replaced it. ``message`` is a sentence
    about the last deletion, ``problem`` one about what could not be done. ``upload_problem`` says why files that
    were dropped were not taken. ``dataset`` is the one that was uploaded to evaluate on, and ``dataset_problem``
    why the last one could not be used. ``allowed`` are the hosts of services to which text may be sent.
    """

    question: str = ""
    url: str = ""
    view: View = View.SEARCH
    choices: dict[str, str] = field(default_factory=dict)
    not_found: dict[str, str] = field(default_factory=dict)
    ask: Ask | None = None
    search: SearchJob | None = None
    other: OtherSearch | None = None
    ingest: IngestJob | None = None
    uploader: int = 0
    make_sample: bool = False
    put_back: Original | None = None
    deleting: str | None = None
    message: str = ""
    problem: str = ""
    upload_problem: str = ""
    evaluation: EvaluationJob | None = None
    dataset: Dataset | None = None
    dataset_problem: str = ""
    dataset_uploader: int = 0
    judging: Judging = field(default_factory=Judging)
    allowed: set[str] = field(default_factory=set)

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
        if self.other is not None:
            self.other.cancel()
        self.search = self.ask = self.other = None


ALL_SAMPLES = "all samples"


def current() -> State:
    """This session's state."""
    if _STATE_KEY not in st.session_state:
        st.session_state[_STATE_KEY] = State()
    state: State = st.session_state[_STATE_KEY]
    return state
