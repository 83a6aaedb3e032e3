"""The real product, its gate and its page, where a drop may have two files; `streamlit run` serves it like app.py."""

import streamlit as st

from tests.browser.conftest import ROOT
from ui.server import start, upload_gate

upload_gate.MOST_FILES = 2
app = st.App(ROOT / "app.py", middleware=start.guard())
