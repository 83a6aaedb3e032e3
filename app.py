"""The page: `streamlit run app.py`, or `secondlook serve`. Imported, it is the server; run by it, the page."""

import streamlit as st

from ui.server import start

if __name__ == "__main__":
    from ui.page.screen import page

    st.set_page_config(page_title="Second Look", layout="wide", initial_sidebar_state="auto")
    page.render()
else:
    app = st.App(__file__, middleware=start.guard(), lifespan=start.announce)
