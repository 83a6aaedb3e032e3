"""A page with one button per string that Streamlit's Markdown would change, if it were let."""

from __future__ import annotations

import streamlit as st

from ui.page.components import literal

AWKWARD = (
    "$x$ and $$y$$",
    ":red[danger] :smile: :material/delete: :streamlit: 10:30",
    "[a](http://example.com) <b>bold</b> &amp;",
    "_a_ *b* **c** `d` ~~e~~ # f",
    "https://example.com www.example.com me@example.com",
    "a -> b <- c -- d >= e ~= f",
    "1. one \\ two ^[note] | three {four} ![five]",
)

for number, text in enumerate(AWKWARD):
    st.button(literal(text), key=f"awkward-{number}")
