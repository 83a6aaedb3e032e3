"""What to evaluate on and with: the form at the top of the Evaluate view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import streamlit as st

from ingest.encoders.base import Encoder
from ingest.errors import SecondLookError
from ingest.library.labels import Labels
from ingest.library.library import Library
from rerank.labels.files import TABLE
from rerank.labels.verdict import running_verdicts
from rerank.search import Searcher
from ui.files.datasets import Dataset, labels_dataset, sample_dataset, uploaded_dataset
from ui.jobs.evaluation import Task
from ui.page import resources, samples
from ui.page.components import problem, quiet
from ui.page.consent import check_leave
from ui.page.evaluate.choices import choices
from ui.page.state import State
from ui.page.visitors import let_go
from ui.presentation.evaluation.words import documents_words
from ui.presentation.formatting import count_of
from ui.presentation.remedies import Face, told
from ui.settings import Settings


class Origin(StrEnum):
    """Where the judged questions come from."""

    SAMPLE = "The sample"
    LABELS = "Your labels"
    UPLOAD = "A dataset"


@dataclass(frozen=True, slots=True)
class _Offer:
    """Judged questions, counted by split, and what makes the dataset of them once it is asked for."""

    questions: Mapping[str, int]
    make: Callable[[], Dataset]


def form(settings: Settings, state: State, library: Library | None, encoder: Encoder) -> Task | None:
    """Draw the form; the task, where the person has just asked for it and nothing is being evaluated."""
    with st.container(border=True, gap="small", key="evaluate-form"):
        offer = _offer(state, library)
        chosen = choices(settings, offer.questions if offer else {})
        if offer is None or chosen.lacking:
            _pressed(chosen.lacking if offer else "", possible=False)
            return None
        if not _pressed(chosen.cost(offer.questions), possible=not state.evaluating):
            return None
        try:
            dataset = offer.make()
        except SecondLookError as error:
            problem("This cannot be evaluated.", told(error, Face.PAGE))
            return None
        for name in chosen.rerankers.values():
            check_leave(name, settings.services)
        openers = {label: _opener(settings, encoder, name) for label, name in chosen.rerankers.items()}
        return Task(dataset, chosen.split, openers, chosen.plan)


def _offer(state: State, library: Library | None) -> _Offer | None:
    """What the person chose to evaluate on; ``None`` where that has no judged questions yet."""
    sample = sample_dataset(samples.QUERIES.parent)
    origins = [origin for origin in Origin if origin is not Origin.SAMPLE or sample is not None]
    origin = st.segmented_control(
        "Judged questions from", origins, key="evaluate-origin", default=origins[0], required=True,
        persist_state="session",
    )  # fmt: skip
    if origin is Origin.SAMPLE and sample is not None:
        return _sample(sample)
    return _labels(library) if origin is Origin.LABELS else _upload(state)


def _sample(sample: Dataset) -> _Offer:
    quiet(
        ["The sample’s own questions, asked of the sample documents, in a library apart from yours."],
        "origin",
    )
    return _Offer(sample.questions, lambda: sample)


def _labels(library: Library | None) -> _Offer | None:
    labels = Labels(library) if library is not None else None
    judged = len(labels.judgements()) if labels else 0
    if labels is None or not judged:
        st.text("Nothing is judged yet. Search, judge some passages of the answer, and come back.")
        return None
    quiet(
        [
            f"{count_of(judged, 'question')} that you judged, asked of the judged passages alone. A passage that "
            "you never judged takes no part; one that you judged for another question does, and counts as not relevant "
            "to this one.",
            *(f"So far, without asking again: {verdict.sentence}" for verdict in running_verdicts(labels)),
        ],
        "origin",
    )
    return _Offer({TABLE.stem: judged}, partial(labels_dataset, labels))


def _upload(state: State) -> _Offer | None:
    """The place for a zip; once it is read, what it holds, which stays until another is chosen."""
    if (dataset := state.dataset) is not None:
        counts = ", ".join(
            f"{count} judged questions in {split}" for split, count in dataset.questions.items()
        )
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.text(f"{dataset.name}: {counts}; {documents_words(dataset.documents)}", width="content")
            st.button("Choose another file", on_click=_forget_dataset, args=(state,), type="tertiary")
        return _Offer(dataset.questions, lambda: dataset)
    upload = st.file_uploader(
        "A zip of a folder in BEIR’s layout: corpus.jsonl, queries.jsonl and qrels/test.tsv", type="zip",
        key=f"dataset-{state.dataset_uploader}",
        help="It is unpacked on this machine, and removed when you choose another or the server ends.",
    )  # fmt: skip
    if upload is not None:
        with st.spinner("Reading the dataset."):
            state.dataset_problem = _take(state, upload)
        let_go([upload])
        state.dataset_uploader += 1
        st.rerun()
    if state.dataset_problem:
        problem("This dataset cannot be used.", state.dataset_problem)
    return None


def _take(state: State, upload: st.runtime.uploaded_file_manager.UploadedFile) -> str:
    """Keep the dataset; or the sentence that says what is wrong with it."""
    try:
        state.dataset = uploaded_dataset(upload, upload.name)
    except SecondLookError as error:
        return told(error, Face.PAGE)
    return ""


def _forget_dataset(state: State) -> None:
    state.dataset, state.dataset_problem = None, ""


def _pressed(label: str, *, possible: bool) -> bool:
    """The button with what it will cost or what it waits for, and whether it was pressed."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button("Evaluate", type="primary", disabled=not possible, key="evaluate-begin")
        quiet([label] if label else [], "cost")
    return pressed


def _opener(settings: Settings, encoder: Encoder, reranker: str) -> Callable[[Library], Searcher]:
    return lambda library: resources.searcher_apart(settings, library, encoder, reranker)
