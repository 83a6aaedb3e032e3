"""The address in the browser: the question, the view and the rerankers, taken from it and written to it.

What is written here becomes a step of the browser's history, so that Back and Forward lead from answer to answer and
from view to view. A widget that is bound to the address would only replace the step that is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from ui.page.state import QUESTION_KEY, VIEW_KEY, State, View

_QUESTION, _VIEW = "q", "view"


def follow(state: State) -> None:
    """Take question and view from the address where they changed there: a link that was opened, or the Back button.

    To be called before their widgets are drawn.
    """
    view = _view(st.query_params.get(_VIEW, ""))
    if VIEW_KEY not in st.session_state or view is not state.view:
        state.view = st.session_state[VIEW_KEY] = view
    asked = st.query_params.get(_QUESTION, "")
    if asked != state.url:
        state.url = state.question = asked
        st.session_state[QUESTION_KEY] = asked
        state.forget_answer()


def write_view(state: State) -> None:
    """Write the view that was chosen just now."""
    state.view = View(st.session_state[VIEW_KEY])
    if state.view is View.SEARCH:
        st.query_params.pop(_VIEW, None)
    else:
        st.query_params[_VIEW] = state.view.value


def write_question(state: State) -> None:
    """Write the question that is being asked, and that it is asked in the search view, as one step."""
    state.url = state.question
    step = {_QUESTION: state.question} if state.question else {}
    if state.view is not View.SEARCH:
        state.view = st.session_state[VIEW_KEY] = View.SEARCH
        step[_VIEW] = View.SEARCH.value
    if not state.question:
        st.query_params.pop(_QUESTION, None)
    st.query_params.update(step)


def follow_choice(state: State, key: str, options: Sequence[str], aliases: Mapping[str, str] = {}) -> None:
    """Take a choice from the address where it changed there; the first of ``options`` stands for none, or a wrong one.

    ``aliases`` are other names of options. One that is wrong leaves the address and is kept in the state, to be said.
    To be called before its widget is drawn, whose ``key`` is its name in the address.
    """
    asked = st.query_params.get(key, options[0])
    if asked not in options:
        asked = aliases.get(asked, asked)
    if asked not in options:
        state.not_found[key] = asked
        asked = options[0]
        st.query_params.pop(key, None)
    if key not in st.session_state or asked != state.choices.get(key, options[0]):
        st.session_state[key] = state.choices[key] = asked


def write_choice(state: State, key: str, usual: str) -> None:
    """Write a choice that was made just now; the usual one leaves the address short."""
    chosen: str = st.session_state[key]
    state.choices[key] = chosen
    state.not_found.pop(key, None)
    if chosen == usual:
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = chosen


def _view(text: str) -> View:
    """The view of that name, in whatever case; the search for anything else."""
    return next((view for view in View if view.value.casefold() == text.casefold()), View.SEARCH)
