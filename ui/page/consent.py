"""Services on the page: keys from Streamlit's secrets, and the leave to send text to another machine.

Nothing is sent before somebody pressed the button: until then, the models behind those services are not even opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from ingest.errors import ConsentNeededError, TrustNeededError
from ingest.library.trust import allow
from ingest.models.consent import require_consent
from ingest.services.access import ServiceAccess
from rerank.registry import RERANKER_ALIASES
from rerank.scorers.services import served_model
from ui.page.state import State
from ui.presentation.remedies import Face, told
from ui.server.access import Way
from ui.server.gate import standing
from ui.settings import Settings, from_environment


def settings_here(state: State) -> Settings:
    """The settings of the environment, with keys from Streamlit's secrets and the leave that this session gave."""
    secrets: Mapping[str, object] = st.secrets if st.secrets.load_if_toml_exists() else {}
    settings = from_environment(secrets=secrets)
    allowed = settings.services.allowed | state.allowed
    return replace(settings, services=replace(settings.services, allowed=allowed))


def check_leave(reranker: str | None, access: ServiceAccess) -> None:
    """Raise `ConsentNeededError` for a reranker elsewhere to which nobody allowed to send passages."""
    model = served_model(RERANKER_ALIASES.get(reranker, reranker), access) if reranker else None
    if model is not None:
        require_consent(model, access)


def ask_trust(error: TrustNeededError) -> None:
    """Which model the library names, and the button that allows it, where the visitor is at this machine."""
    with st.container(border=True, key="trust"):
        st.subheader("May this model be loaded?", anchor=False)
        st.text(told(error, Face.PAGE))
        gate = standing()
        if gate is None or gate.protection.way is Way.LOCAL:
            st.button(
                "Trust it and load it", key="trust-model", type="primary", on_click=allow, args=(error.model,)
            )
            st.text("That is remembered for you on this machine, for every library that names this model.")
        else:
            st.text("Whoever serves this page allows it, by starting it with --trust-encoder.")


def ask_leave(error: ConsentNeededError, state: State) -> None:
    """What would be sent where, and the button that allows it for this session."""
    with st.container(border=True, key="leave"):
        st.subheader("May text leave this machine?", anchor=False)
        st.text(error.notice)
        st.button(
            "Allow it for this session", key="allow-service", type="primary",
            on_click=state.allowed.add, args=(error.host,),
        )  # fmt: skip
        st.text(
            f"Nothing is sent before you allow it. To allow it for good, set SECONDLOOK_ALLOW_SERVICES={error.host} "
            "in the environment."
        )
