"""What stands where there is nothing to show yet, and how to get something."""

from __future__ import annotations

import streamlit as st

from ingest.library.labels import Labels
from ingest.library.library import Library
from ui.page import samples
from ui.page.search.judged_questions import Ask, judged_questions
from ui.page.state import State
from ui.settings import Settings


def nothing_there(settings: Settings, state: State, library: Library | None) -> None:
    """Where the library is empty, or there is none: how to fill it."""
    if state.ingesting:
        st.text("The first documents are being added; they can be searched as soon as they are listed.")
        return
    if library is None:
        st.subheader("There is no library yet", anchor=False)
        st.text(f"It will be made in {settings.library} with the first documents.")
    else:
        st.subheader("The library is empty", anchor=False)
    st.text(
        "Drop files into the side bar (on a phone, the arrows at the top left open it), or begin with the "
        "sample documents and see what reranking does."
    )
    if samples.sources():
        st.button("Add the sample documents", type="primary", on_click=_want_samples, args=(state,))


def _want_samples(state: State) -> None:
    state.make_sample = True


def nothing_asked(library: Library, ask: Ask) -> None:
    """Where nothing is asked: what the two looks are, and the questions that were judged before."""
    st.text(
        "Ask a question in your own words. The first look finds passages by meaning, quickly; the second look "
        "reads each of them beside your question and puts them in order. Both orders are shown side by side."
    )
    judged_questions(Labels(library).judgements(), ask)
