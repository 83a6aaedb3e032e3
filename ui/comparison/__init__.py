"""The comparison: both orders side by side, with the rank flow between them.

A Streamlit component (version 2) of plain HTML, CSS and JavaScript, without a build step. Everything
that happens under the pointer or the keys happens in the browser. Only a judgement is sent to Python, and is shown
before that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import streamlit as st

from ui.presentation.payload import Payload

_FOLDER = Path(__file__).parent

# One style sheet and one module in the browser: the parts of the module share a scope, in the order in
# which they build on each other.
STYLES = ("cards.css", "flow.css", "comparison.css", "judging.css")
SCRIPTS = ("judging.js", "cards.js", "flow.js", "pointing.js", "comparison.js")


def read(*names: str) -> str:
    """These files of the component, one after the other."""
    return "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in names)


_mount = st.components.v2.component(
    "second_look_comparison",
    html=read("comparison.html"),
    css=read(*STYLES),
    js=read(*SCRIPTS),
    isolate_styles=True,
)


@dataclass
class Drawing:
    """What a session has drawn last, and how many different ones came before it; ``page`` marks the session."""

    page: str = field(default_factory=lambda: uuid4().hex)
    number: int = 0
    payload: Payload | None = None

    def numbered(self, payload: Payload) -> dict[str, Any]:
        """The payload with its place among those of the session; the same one drawn again keeps it."""
        if payload != self.payload:
            self.number, self.payload = self.number + 1, payload
        return {**payload, "page": self.page, "number": self.number}


def comparison(payload: Payload, key: str, on_judged: Callable[[Any], None] | None = None) -> None:
    """Show the comparison of `ui.presentation.view_model.comparison_payload`.

    Call it again with the same ``key`` and new data to update it in place: open passages, the chosen
    card and the side shown on a phone stay as they are. ``on_judged`` gets the judgements that the payload does not
    confirm yet (see `ui.presentation.judgements.read_events`), before the script or the fragment that holds this runs
    again.
    """

    def judged() -> None:
        if on_judged is not None:
            on_judged(st.session_state[key].get("judged"))

    # While the browser is still fetching the module, Streamlit may hand it two payloads in the wrong order, and the
    # older one would stay: it is known by its number.
    drawing = st.session_state.setdefault(f"{key}-drawing", Drawing())
    _mount(key=key, data=drawing.numbered(payload), on_judged_change=judged)
