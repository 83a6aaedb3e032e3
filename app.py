"""The page: `streamlit run app.py`, or `secondlook serve`, which sees to the library and the port."""

import streamlit as st

from ui import page

st.set_page_config(page_title="Second Look", layout="wide", initial_sidebar_state="auto")
page.render()
