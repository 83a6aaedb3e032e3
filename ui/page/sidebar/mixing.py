"""The side bar's choice of what the first look goes by, and of what makes the second order."""

from __future__ import annotations

import streamlit as st

from retrieval.fusion import Fusion
from retrieval.records import CandidateSource
from ui.page import address
from ui.page.state import ENSEMBLE_KEY, FUSION_KEY, NO_OTHER, OTHER_KEY, SOURCE_KEY, State
from ui.settings import Settings

SOURCES = {source: source.in_words[0].upper() + source.in_words[1:] for source in CandidateSource}
ALONE = "alone"
FUSIONS = {
    ALONE: "Reranker alone",
    "rrf": "Both looks, by reciprocal rank",
    "weighted:0.5": "Both looks, even weights",
}
SIDE_BY_SIDE = "side-by-side"
ENSEMBLES = {
    SIDE_BY_SIDE: "Side by side, A and B",
    "rrf": "Fused, by reciprocal rank",
    "weighted": "Fused, even weights",
}


def ensemble_choice(settings: Settings, state: State) -> None:
    """Whether two rerankers stand side by side or are fused to one order; neither way runs a model again."""
    configured = str(settings.ensemble or SIDE_BY_SIDE)
    options = list(dict.fromkeys([configured, *ENSEMBLES]))
    address.follow_choice(state, ENSEMBLE_KEY, options)
    st.selectbox(
        "Two rerankers", options, key=ENSEMBLE_KEY,
        format_func=lambda name: ENSEMBLES.get(name) or f"Fused, {name}",
        help="Side by side, each has a column of its own. Fused, the first look and both make one second order: of "
        "their places, or of their standardised scores. Changing it runs no model.",
        on_change=address.write_choice, args=(state, ENSEMBLE_KEY, configured),
    )  # fmt: skip


def mixing_panel(settings: Settings) -> None:
    """Two choices; each runs the search again, though scores that are known are not made anew."""
    st.selectbox(
        "Candidates from", list(SOURCES), list(SOURCES).index(settings.candidates_from), key=SOURCE_KEY,
        format_func=SOURCES.__getitem__,
        help="What the first look finds passages by: their meaning (vectors), the question’s own words (BM25), or "
        "both, fused by reciprocal rank. Words find names, numbers and codes that vectors miss.",
    )  # fmt: skip
    configured = str(settings.fusion or ALONE)
    options = list(dict.fromkeys([*FUSIONS, configured]))
    st.selectbox(
        "Second order", options, options.index(configured), key=FUSION_KEY,
        format_func=lambda name: FUSIONS.get(name) or Fusion.of(name).title, disabled=chosen_ensemble() is not None,
        help="Who makes it: the reranker alone, or a mix of both looks. A mixed score is not read as relevance.",
    )  # fmt: skip


def chosen_source() -> CandidateSource:
    """What the first look goes by."""
    return CandidateSource(st.session_state[SOURCE_KEY])


def chosen_fusion() -> Fusion | None:
    """How both looks make the second order; ``None`` leaves it to the reranker, or to all that are fused."""
    if chosen_ensemble() is not None:
        return None
    chosen: str = st.session_state[FUSION_KEY]
    return None if chosen == ALONE else Fusion.of(chosen)


def chosen_ensemble() -> Fusion | None:
    """How two rerankers and the first look make one second order; ``None`` where they stand side by side, or one is.

    Raises `UsageError` where the settings have shares for another number of rerankers.
    """
    chosen: str = st.session_state.get(ENSEMBLE_KEY, SIDE_BY_SIDE)
    if chosen == SIDE_BY_SIDE or st.session_state[OTHER_KEY] == NO_OTHER:
        return None
    fusion = Fusion.of_ensemble(chosen)
    fusion.fits(2)
    return fusion
