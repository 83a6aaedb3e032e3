"""Who stands before the page: OIDC's log-in where it is asked for, and the way out again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import streamlit as st
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ingest.errors import UsageError
from ui.page.components import literal, problem
from ui.server.access import Way, is_loopback, providers
from ui.server.gate import standing
from ui.server.log_in import LOG_OUT


def may_enter() -> bool:
    """Whether the visitor may see the library; where not, the page is drawn that says how to.

    Raises `UsageError` where the page is served beyond this machine by a server that our gate does not guard.
    """
    gate = standing()
    if gate is None:
        if not is_loopback(st.get_option("server.address")):
            raise UsageError(
                "This page is served to a network without its gate, so it shows nothing. Start it with "
                "secondlook serve, or with streamlit run app.py."
            )
        return True
    if gate.protection.way is not Way.OIDC:
        return True
    if not st.user.is_logged_in:
        _ask()
        return False
    if not gate.protection.admits(st.user.get("email"), st.user.get("email_verified")):
        problem(
            "This library is not for this account.",
            f"You are logged in as {st.user.get('email') or 'nobody'}.",
        )
        st.button("Log out", on_click=st.logout)
        return False
    if (context := get_script_run_ctx()) is not None:
        gate.admit(context.session_id)
    return True


def is_alone() -> bool:
    """Whether the page is served to this machine alone; where not, others add files to the library too."""
    gate = standing()
    return gate is None or gate.protection.way is Way.LOCAL


def still_here() -> Callable[[], bool]:
    """A function for any thread that says whether this visitor's tab is still open.

    A tab that lost its connection counts as closed until it is connected again. Where no server runs, as in a test of
    the page alone, nobody leaves.
    """
    context = get_script_run_ctx()
    if context is None or not runtime.exists():
        return lambda: True
    return partial(runtime.get_instance().is_active_session, context.session_id)


def refused_upload() -> str:
    """Why the gate did not take this visitor's last upload; "" where it did, or where that was said before."""
    gate, context = standing(), get_script_run_ctx()
    return gate.uploads.refusal(context.session_id) if gate is not None and context is not None else ""


def let_go(uploads: Iterable[object]) -> None:
    """Free uploaded files that were taken; Streamlit would hold them for as long as the tab is open."""
    context = get_script_run_ctx()
    if context is None or not isinstance(store := context.uploaded_file_mgr, MemoryUploadedFileManager):
        return
    for upload in uploads:
        if isinstance(upload, UploadedFile):
            store.remove_file(context.session_id, upload.file_id)


def _ask() -> None:
    st.title("Second Look", anchor=False)
    for name in providers(st.secrets["auth"]):
        label = literal(f"Log in with {name}") if name else "Log in"
        st.button(
            label, on_click=st.login, args=(name,) if name else (), type="primary", key=f"log-in-{name}"
        )


def way_out() -> None:
    """The way to log out, where somebody is logged in."""
    gate = standing()
    if gate is None or gate.protection.way is Way.LOCAL:
        return
    if gate.protection.way is Way.OIDC:
        st.button(
            "Log out", on_click=st.logout, type="tertiary", help=literal(f"You are {st.user.get('email')}.")
        )
    else:
        st.html(f'<a href=".{LOG_OUT}" target="_self">Log out</a>')
