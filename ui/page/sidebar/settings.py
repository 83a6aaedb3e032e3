"""The settings in the side bar: how many candidates and results, which rerankers, and how long they may take."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from ingest.models.hub import Hub
from rerank.registry import BUNDLED_RERANKER, LATE_INTERACTION, RERANKER_ALIASES, full_name, usable_rerankers
from ui.page import address
from ui.page.sidebar.mixing import ensemble_choice
from ui.page.state import BUDGET_KEY, CANDIDATES_KEY, NO_OTHER, OTHER_KEY, RERANKER_KEY, RESULTS_KEY, State
from ui.settings import MAX_CANDIDATES, MAX_RESULTS, MIN_CANDIDATES, MIN_RESULTS, Settings

AUTOMATIC = "automatic"
LONGEST_NAME = 80


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
        "Reranker", RERANKER_KEY, known, known, state,
        "Automatic takes the configured cross-encoder where this machine has it, else the bundled one.",
    )  # fmt: skip
    others = [NO_OTHER, *(name for name in known if name != st.session_state[RERANKER_KEY])]
    _reranker(
        "Compare with", OTHER_KEY, others, known, state,
        "A second reranker that orders the same passages: the page then shows the first look, A and B.",
    )  # fmt: skip
    if st.session_state[OTHER_KEY] != NO_OTHER:
        ensemble_choice(settings, state)
    st.number_input(
        "Time for the second look (ms)", min_value=1.0, value=settings.budget_ms, step=100.0, format="%.0f",
        placeholder="as long as it needs", key=BUDGET_KEY,
        help="When it is spent, the best order so far is shown, of the passages that were scored until then. "
        "Changing it runs the search again.",
    )  # fmt: skip


def _reranker(
    label: str, key: str, options: Sequence[str], known: Sequence[str], state: State, words: str
) -> None:
    """A choice of a reranker that is in the address too; the first option is the usual one.

    A name in the address that is none of those ``known`` here is said: a link may come from another machine.
    """
    address.follow_choice(state, key, options, RERANKER_ALIASES)
    st.selectbox(
        label, options, key=key, format_func=_reranker_words, help=words,
        on_change=address.write_choice, args=(state, key, options[0]),
    )  # fmt: skip
    asked = state.not_found.get(key)
    if asked is not None and asked not in known:
        name = asked if len(asked) <= LONGEST_NAME else f"{asked[:LONGEST_NAME]}…"
        st.text(
            f"The link asks for the reranker “{name}”, which is not on this machine "
            "and no service that is set up. secondlook models lists what is known, and how to get it."
        )


def rerankers(settings: Settings) -> list[str]:
    """The rerankers that the page offers, the usual one first: all that can be used here as things are."""
    usual = settings.reranker or AUTOMATIC
    same = full_name(usual, settings.services)
    usable = usable_rerankers(Hub(allow_downloads=False), settings.services)
    return [usual, *(name for name in usable if name != same)]


def _reranker_words(name: str) -> str:
    ours = {
        NO_OTHER: "No other reranker",
        AUTOMATIC: "Automatic",
        BUNDLED_RERANKER: "Bundled cross-encoder",
        LATE_INTERACTION: "Late interaction",
    }
    return ours.get(name, name.rstrip("/").rsplit("/", 1)[-1])
