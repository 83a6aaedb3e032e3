"""The side bar's choice of what the first look goes by, and of what its order adds to the second."""

from __future__ import annotations

import streamlit as st

from rerank.fusion import Fusion
from retrieval.records import CandidateSource
from ui.settings import Settings
from ui.state import FUSION_KEY, SOURCE_KEY

SOURCES = {source: source.in_words[0].upper() + source.in_words[1:] for source in CandidateSource}
ALONE = "alone"
FUSIONS = {
    ALONE: "Reranker alone",
    "rrf": "Both looks, by reciprocal rank",
    "weighted:0.5": "Both looks, even weights",
}


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
        format_func=lambda name: FUSIONS.get(name) or Fusion.of(name).title,
        help="Who makes it: the reranker alone, or a mix of both looks. A mixed score is not read as relevance.",
    )  # fmt: skip


def chosen_source() -> CandidateSource:
    """What the first look goes by."""
    return CandidateSource(st.session_state[SOURCE_KEY])


def chosen_fusion() -> Fusion | None:
    """How both looks make the second order; ``None`` leaves it to the reranker."""
    chosen: str = st.session_state[FUSION_KEY]
    return None if chosen == ALONE else Fusion.of(chosen)
