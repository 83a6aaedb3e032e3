"""The real page, which writes down what it loads, and in which process: a line each in ``SOAK_LOADS``."""

import streamlit as st

from tests.soak import loads  # noqa: F401 - counts from its import on, which is once a process
from ui.page.screen import page

st.set_page_config(page_title="Second Look", layout="wide")
page.render()
