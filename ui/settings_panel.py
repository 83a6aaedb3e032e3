"""The settings in the side bar: how many candidates and results, which rerankers, and how long they may take."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from rerank.models import BUNDLED_FOLDER, BUNDLED_RERANKER, LATE_INTERACTION
from rerank.scorers import named_rerankers
from ui import address
from ui.settings import MAX_CANDIDATES, MAX_RESULTS, MIN_CANDIDATES, MIN_RESULTS, Settings
from ui.state import BUDGET_KEY, CANDIDATES_KEY, OTHER_KEY, RERANKER_KEY, RESULTS_KEY, State

AUTOMATIC = "automatic"
NO_OTHER = "none"


def settings_panel(settings: Settings, state: State) -> None:
    """How many candidates, how many results, which reranker, and how long it may take."""
    st.header("Settings", anchor=False)
    st.slider(
        "Candidates", MIN_CANDIDATES, MAX_CANDIDATES, settings.candidates, step=10, key=CANDIDATES_KEY,
        help="How many passages the first look hands to the second. Changing it runs the search again.",
    )  # fmt: skip
    st.slider(
        "Results shown", MIN_RESULTS, MAX_RESULTS, settings.results, key=RESULTS_KEY,
        help="How many places of both orders are shown. Changing it runs no model.",
    )  # fmt: skip
    known = rerankers(settings)
    _reranker(
        "Reranker", RERANKER_KEY, known, state,
        "Automatic takes the configured cross-encoder where this machine has it, else the bundled one.",
    )  # fmt: skip
    _reranker(
        "Compare with", OTHER_KEY, [NO_OTHER, *(r for r in known if r != st.session_state[RERANKER_KEY])], state,
        "A second reranker that orders the same passages: the page then shows the first look, A and B.",
    )  # fmt: skip
    st.number_input(
        "Time for the second look (ms)", min_value=1.0, value=settings.budget_ms, step=100.0, format="%.0f",
        placeholder="as long as it needs", key=BUDGET_KEY,
        help="When it is spent, the best order so far is shown, of the passages that were scored until then. "
        "Changing it runs the search again.",
    )  # fmt: skip


def _reranker(label: str, key: str, options: Sequence[str], state: State, words: str) -> None:
    """A choice of a reranker that is in the address too; the first option is the usual one."""
    address.follow_choice(state, key, options)
    st.selectbox(
        label, options, key=key, format_func=_reranker_words, help=words,
        on_change=address.write_choice, args=(state, key, options[0]),
    )  # fmt: skip


def rerankers(settings: Settings) -> list[str]:
    """The rerankers that the page offers, the usual one first."""
    bundled = [BUNDLED_RERANKER] if (BUNDLED_FOLDER / "secondlook.json").is_file() else []
    return [settings.reranker or AUTOMATIC, *bundled, LATE_INTERACTION, *named_rerankers()]


def _reranker_words(name: str) -> str:
    ours = {
        NO_OTHER: "No other reranker",
        AUTOMATIC: "Automatic",
        BUNDLED_RERANKER: "Bundled cross-encoder",
        LATE_INTERACTION: "Late interaction",
    }
    return ours.get(name, name.rstrip("/").rsplit("/", 1)[-1])
