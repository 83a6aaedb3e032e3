"""The questions that have labels, each to be asked again with one click or key."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from ingest.library.label_records import Grade
from ui.page.components import literal, quiet
from ui.presentation.formatting import count_of, shortened

# More buttons at once would be a wall; the rest are found by their words.
MOST_SHOWN = 20
LONGEST_LABEL = 160  # characters of a question that its button shows

Ask = Callable[[str], None]


def judged_questions(judged: Mapping[str, Mapping[str, Grade]], ask: Ask) -> None:
    """Draw the list, folded, where there is one: ``judged`` is ``{question: {passage hash: grade}}``.

    ``ask`` asks a question; it is called before the script runs again.
    """
    if not judged:
        return
    with st.expander(f"Judged questions: {len(judged)}", on_change="rerun", key="judged-questions") as box:
        if not box.open:
            return
        words = ""
        if len(judged) > MOST_SHOWN:
            words = st.text_input("Find a judged question", key="judged-filter", persist_state="session")
        matches = having(judged, words)
        with st.container(gap=None, key="judged-list"):
            for number, question in enumerate(matches[:MOST_SHOWN]):
                _question(number, question, len(judged[question]), ask)
        if len(matches) > MOST_SHOWN:
            quiet([f"{MOST_SHOWN} of {len(matches)} are listed; more words find the others."], "judged-more")
        if not matches:
            quiet(["No judged question has these words."], "judged-more")


def having(judged: Mapping[str, object], words: str) -> list[str]:
    """The questions in which every one of ``words`` occurs, in whatever case, in the order given."""
    wanted = words.casefold().split()
    return [question for question in judged if all(word in question.casefold() for word in wanted)]


def _question(number: int, question: str, labels: int, ask: Ask) -> None:
    short = shortened(question, LONGEST_LABEL)
    clicked = st.button(
        literal(f"{short} ({count_of(labels, 'label')})"), type="tertiary", key=f"judged-{number}",
        on_click=ask, args=(question,),
    )  # fmt: skip
    if clicked:
        st.rerun()  # the whole page: where this is drawn in a fragment, only that would follow
