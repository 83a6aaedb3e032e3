"""A page that makes the mistake: it takes one of the hostile names (`?n=`) for Markdown."""

import streamlit as st

from tests.browser.page import hostile

number = int(st.query_params.get("n", len(hostile.DIRECTIVES)))
if number < len(hostile.DIRECTIVES):
    st.markdown(hostile.DIRECTIVES[number], unsafe_allow_html=True)
st.text(f"directive {number}.")
