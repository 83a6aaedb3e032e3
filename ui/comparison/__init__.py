"""The comparison: both orders side by side, with the rank flow between them.

A Streamlit component (version 2) of plain HTML, CSS and JavaScript, without a build step. Everything
that happens under the pointer or the keys happens in the browser. Only a judgement is sent to Python, and is shown
before that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from ui.presentation.payload import Payload

_FOLDER = Path(__file__).parent

# One style sheet and one module in the browser: the parts of the module share a scope, in the order in
# which they build on each other.
_STYLES = ("cards.css", "flow.css", "comparison.css", "judging.css")
_SCRIPTS = ("judging.js", "cards.js", "flow.js", "pointing.js", "comparison.js")


def _read(*names: str) -> str:
    return "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in names)


_mount = st.components.v2.component(
    "second_look_comparison",
    html=_read("comparison.html"),
    css=_read(*_STYLES),
    js=_read(*_SCRIPTS),
    isolate_styles=True,
)


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

    _mount(key=key, data=payload, on_judged_change=judged)
