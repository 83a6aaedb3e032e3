"""The order of the screen: header, question, side bar, and the answer or what to do to get one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ingest.encoders.base import Encoder
from ingest.errors import (
    ConsentNeededError,
    SecondLookError,
    StorageError,
    TooLargeError,
    TrustNeededError,
)
from ingest.library.files.originals import ORIGINALS, Original
from ingest.library.library import Library, Manifest
from ingest.records import FileReport
from ingest.sources import Source
from rerank.records import Models
from rerank.request import MAX_QUERY_CHARACTERS, SearchRequest, SecondLookPlan
from rerank.search import Searcher
from ui.files.uploads import Upload, keep
from ui.jobs.ingest import IngestJob
from ui.jobs.search import SearchJob
from ui.jobs.second_reranker import kept_or_started
from ui.page import address, components, consent, resources, samples, visitors
from ui.page.screen import empty_states
from ui.page.search import answer
from ui.page.sidebar import library as sidebar
from ui.page.sidebar.mixing import chosen_ensemble, chosen_fusion, chosen_source, mixing_panel
from ui.page.sidebar.settings import AUTOMATIC, settings_panel
from ui.page.state import (
    BUDGET_KEY,
    CANDIDATES_KEY,
    NO_OTHER,
    OTHER_KEY,
    QUESTION_KEY,
    RERANKER_KEY,
    RESULTS_KEY,
    VIEW_KEY,
    Ask,
    State,
    View,
    current,
)
from ui.presentation.formatting import reranker_title
from ui.presentation.remedies import Face, told
from ui.settings import MAX_RESULTS, Settings

LOADING = "Loading the models. The first time takes some ten seconds."


def render() -> None:
    """Draw the page once. Every error that Second Look knows becomes its sentence."""
    components.style()
    try:
        if visitors.may_enter():
            _page(consent.settings_here(current()), current())
    except ConsentNeededError as error:
        consent.ask_leave(error, current())
    except TrustNeededError as error:
        consent.ask_trust(error)
    except SecondLookError as error:
        components.problem("Second Look cannot go on like this.", told(error, Face.PAGE))


def _page(settings: Settings, state: State) -> None:
    address.follow(state)
    models, view = _header(state)
    broken: SecondLookError | None = None
    library: Library | None = None
    try:
        library = resources.open_library(settings)
    except SecondLookError as error:
        broken = error
    if view is View.SEARCH:
        _question(state, _has_samples(library))
    with st.sidebar:
        uploads = _sidebar(settings, state, library, usable=broken is None)
    if broken is not None:
        raise broken
    with st.spinner(LOADING, show_time=True):
        encoder = resources.encoder(settings, library)
    if state.put_back is not None and library is not None:
        _put_back(settings, state, library, encoder, state.put_back)
        st.rerun()
    if uploads or state.make_sample:
        _start_ingest(settings, state, encoder, uploads)
        st.rerun()
    if view is View.EVALUATE:
        from ui.page.evaluate.view import evaluate_view  # what evaluates is loaded when it is asked for

        evaluate_view(settings, state, library, encoder, partial(_ask, state))
        return
    if library is None or not library.documents():
        empty_states.nothing_there(settings, state, library)
        return
    with st.spinner(LOADING, show_time=True):
        searcher = resources.searcher(settings, library, _reranker(settings))
    with models:
        components.models_line(searcher.models, *_second(state))
    _answer(settings, state, library, searcher)
    jobs = [state.search, state.other.job] if state.other is not None else [state.search]
    if all(job is not None and job.finished for job in jobs):
        resources.choose_engine(settings, searcher)


def _has_samples(library: Library | None) -> bool:
    return library is not None and any(samples.is_sample(document) for document in library.documents())


def _header(state: State) -> tuple[DeltaGenerator, View]:
    """The name, the choice of a view, and a place for the models, which are known later."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="header"
    ):
        with st.container(horizontal=True, vertical_alignment="center", gap="medium", width="content"):
            st.title("Second Look", anchor=False, width="content")
            view = st.segmented_control(
                "View", list(View), required=True, key=VIEW_KEY, label_visibility="collapsed",
                on_change=address.write_view, args=(state,),
            )  # fmt: skip
        return st.container(width="content"), View(view or View.SEARCH)


def _question(state: State, examples: bool) -> None:
    with (
        st.form("ask", border=False),
        st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="question-row"),
    ):
        st.text_input(
            "Your question", key=QUESTION_KEY, max_chars=MAX_QUERY_CHARACTERS, label_visibility="collapsed",
            placeholder="Ask your documents a question", type="search",
            persist_state="session",
        )  # fmt: skip
        st.form_submit_button("Search", type="primary", on_click=_ask, args=(state, None))
    if examples and (questions := samples.example_questions(samples.QUERIES)):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="examples"):
            st.text("Try:")
            for number, question in enumerate(questions):
                st.button(
                    components.literal(question),
                    key=f"example-{number}",
                    on_click=_ask,
                    args=(state, question),
                )


def _ask(state: State, example: str | None) -> None:
    """Ask what is in the box, or an example; the address says so too."""
    if example is not None:
        st.session_state[QUESTION_KEY] = example
    state.question = st.session_state[QUESTION_KEY]
    state.forget_answer()
    address.write_question(state)


def _sidebar(settings: Settings, state: State, library: Library | None, usable: bool) -> Sequence[Upload]:
    keeps = settings.originals and (library is None or library.keeps_originals)
    uploads = sidebar.add_files(state, usable, keeps)
    if library is not None:
        sidebar.documents(library, state)
    settings_panel(settings, state)
    mixing_panel(settings)
    visitors.way_out()
    return uploads


def _start_ingest(settings: Settings, state: State, encoder: Encoder, uploads: Sequence[Upload]) -> None:
    """Begin to add files, in a library that is made if need be; the place to drop files is emptied."""
    state.message, state.upload_problem = "", visitors.refused_upload()
    if state.ingest is not None:
        state.ingest.discard()
    state.make_sample = False
    replaces = visitors.is_alone() and bool(st.session_state.get(sidebar.replace_key(state)))
    state.uploader += 1
    try:
        sources, clean_up = (
            keep(uploads, replaces=replaces) if uploads else (samples.sources(), lambda needed: None)
        )
    except (TooLargeError, StorageError) as error:
        state.upload_problem = told(error, Face.PAGE)
        return
    finally:
        visitors.let_go(uploads)

    make = Library.create if uploads else samples.library_for

    def open_library() -> Library:
        return make(settings.library, Manifest.of(encoder.model.spec))

    def cross_off(report: FileReport) -> None:
        if not uploads:
            samples.added(Library(settings.library), report.path)

    state.ingest = IngestJob(
        sources, open_library, encoder, clean_up, on_report=cross_off, originals=settings.originals
    ).start()


def _put_back(
    settings: Settings, state: State, library: Library, encoder: Encoder, previous: Original
) -> None:
    """Begin to read an earlier file again that another one of its name replaced, which takes its place in turn."""
    state.put_back = None
    if state.ingest is not None:
        state.ingest.discard()
    path = library.folder / ORIGINALS / previous.sha256
    source = Source(path, previous.name, previous.source)
    state.ingest = IngestJob([source], lambda: library, encoder, originals=settings.originals).start()


def _reranker(settings: Settings, key: str = RERANKER_KEY) -> str | None:
    """The reranker that is chosen. Raises `ConsentNeededError` where passages may not be sent to it yet."""
    chosen: str = st.session_state[key]
    name = settings.reranker if chosen in (AUTOMATIC, settings.reranker) else chosen
    consent.check_leave(name, settings.services)
    return name


def _answer(settings: Settings, state: State, library: Library, searcher: Searcher) -> None:
    """The answer to the question that was asked; models run only where what was asked for has changed."""
    if not state.question.strip():
        empty_states.nothing_asked(library, partial(_ask, state))
        return
    generation = library.generation()
    if state.ask is not None and state.ingesting:
        generation = state.ask.generation  # files are still being added: one new search when they are done
    budget: float | None = st.session_state[BUDGET_KEY]
    ask = Ask(
        SearchRequest(
            state.question, st.session_state[CANDIDATES_KEY], chosen_source(),
            SecondLookPlan(budget, fusion=chosen_fusion()),
        ),
        st.session_state[RERANKER_KEY], generation,
    )  # fmt: skip
    plan = ask.request.plan
    if state.search is None or state.search.cancelled or state.ask != ask:
        state.forget_answer()
        first = searcher.first_look(ask.request)
        job = SearchJob(searcher, first, MAX_RESULTS, plan, visitors.still_here())
        state.ask, state.search = ask, job.start()
    _compare(settings, state, library, plan)
    answer.answer(
        answer.Answer(
            state.search,
            library,
            searcher,
            state.judging,
            top_k=st.session_state[RESULTS_KEY],
            ask=partial(_ask, state),
            other=state.other,
            ensemble=chosen_ensemble(),
        )
    )


def _second(state: State) -> tuple[str, Models | None]:
    """The name of the second reranker, empty where none is chosen, and its models once they are loaded."""
    chosen: str = st.session_state[OTHER_KEY]
    models = state.other.models if state.other is not None else None
    return ("" if chosen == NO_OTHER else reranker_title(chosen)), models


def _compare(settings: Settings, state: State, library: Library, plan: SecondLookPlan) -> None:
    """Have the second reranker order the same candidates, where one is chosen; the first does not wait for it."""
    if state.search is None:
        return
    first = state.search.first

    def start() -> SearchJob:
        opening = resources.searcher_beside(settings, library, _reranker(settings, OTHER_KEY))
        return SearchJob(opening, first, MAX_RESULTS, plan, visitors.still_here()).start()

    chosen: str = st.session_state[OTHER_KEY]
    try:
        state.other = kept_or_started(state.other, None if chosen == NO_OTHER else chosen, first, start)
    except ConsentNeededError as error:  # the first reranker's answer stands, below the question
        state.other = None
        consent.ask_leave(error, state)
