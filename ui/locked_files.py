"""The passwords of files that need one: asked for under the list of files, used once, and not kept."""

from __future__ import annotations

import streamlit as st

from ui.files.uploads import short_name
from ui.jobs.ingest import IngestJob
from ui.page.components import literal, quiet
from ui.page.state import State

LONGEST = 127  # characters: PDF's own limit is 127 bytes (ISO 32000-2, 7.6.4.3.3)
NOT_KEPT = (
    "A password is used once and is not kept. What it opens is kept in the library, as readable as the rest."
)


def ask_for_passwords(job: IngestJob, state: State) -> None:
    """A form for each file of a finished job that would be read with its password."""
    locked = [
        (number, line.name)
        for number, line in enumerate(job.lines(), start=1)
        if line.report is not None and line.report.needs_password
    ]
    for number, name in locked:
        with st.form(f"locked-{number}", clear_on_submit=True, border=False):
            st.text_input(
                literal(f"Password of {short_name(name)}"), type="password", key=_key(number), autocomplete="off",
                max_chars=LONGEST,
            )  # fmt: skip
            st.form_submit_button("Read this file", on_click=_read_again, args=(state, number))
    if locked:
        quiet([NOT_KEPT], "not-kept")


def _key(number: int) -> str:
    return f"password-of-{number}"


def _read_again(state: State, number: int) -> None:
    """Read the one file with what was typed; the session forgets that at once."""
    password: str = st.session_state[_key(number)]
    st.session_state[_key(number)] = ""
    if password and state.ingest is not None and state.ingest.finished:
        state.ingest = state.ingest.with_password(number, password)
