"""What to evaluate on and with: the form at the top of the Evaluate view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ingest.encoder import Encoder
from ingest.errors import SecondLookError
from ingest.hub import Hub
from ingest.labels import Labels
from ingest.library import Library
from rerank.evaluation.comparison import Plan
from rerank.evaluation.dataset import TUNING_QUERIES, TUNING_SPLIT
from rerank.labels.exchange import TABLE
from rerank.labels.verdict import running_verdicts
from rerank.models import (
    BUNDLED_FOLDER,
    BUNDLED_RERANKER,
    DEFAULT_RERANKER,
    LATE_INTERACTION,
    RERANKER_ALIASES,
    RERANKERS,
)
from rerank.search import DEFAULT_CANDIDATES, Searcher
from ui import resources, samples
from ui.components import problem, quiet
from ui.evaluation_dataset import Dataset, labels_dataset, sample_dataset, uploaded_dataset
from ui.evaluation_job import Task
from ui.services import check_leave
from ui.settings import Settings
from ui.state import State
from ui.words import count_of

DEPTHS = (10, 20, 50, 100, 200)
PREFERRED_SPLIT = "test"


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
        split, rerankers, plan = _choices(settings, offer.questions if offer else {})
        if offer is None or plan is None or not rerankers:
            _pressed("", possible=False)
            return None
        cost = _cost(offer.questions, split, plan, len(rerankers))
        if not _pressed(cost, possible=not state.evaluating):
            return None
        try:
            dataset = offer.make()
        except SecondLookError as error:
            problem("This cannot be evaluated.", str(error))
            return None
        for name in rerankers.values():
            check_leave(name, settings.services)
        openers = {label: _opener(settings, encoder, name) for label, name in rerankers.items()}
        return Task(dataset, split, openers, plan)


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
            f"{count_of(judged, 'question')} that you judged, asked of the judged passages alone: a passage that "
            "nobody judged takes no part.",
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
            st.text(f"{dataset.name}: {counts}", width="content")
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
        return str(error)
    return ""


def _forget_dataset(state: State) -> None:
    state.dataset, state.dataset_problem = None, ""


def _choices(settings: Settings, questions: Mapping[str, int]) -> tuple[str, Mapping[str, str], Plan | None]:
    """The split to report, the rerankers as ``{label: name}``, and what to compare of them; no plan without a depth."""
    splits = list(questions)
    *first, left, right = st.columns(3 if len(splits) > 1 else 2)
    split = _split(first[0], questions) if first else "".join(splits)
    here = rerankers_here(settings)
    labels = left.multiselect(
        "Rerankers", list(here), default=list(here)[:1], key="evaluate-rerankers", persist_state="session",
        placeholder="Choose one or more",
        help="Those that are on this machine. maxsim is late interaction over the bundled encoder’s token vectors; the "
        "others are cross-encoders. The verdict is on the first one.",
    )  # fmt: skip
    depths = right.multiselect(
        "Depths", DEPTHS, default=[DEFAULT_CANDIDATES], key="evaluate-depths", persist_state="session",
        placeholder="Choose one or more",
        help="How many passages are reranked. Several cost no more time than the deepest, since each passage is "
        "scored once; but the more systems are compared, the surer each difference must be.",
    )  # fmt: skip
    fusion = st.toggle(
        "Compare fusions of both looks too", key="evaluate-fusion", persist_state="session",
        help="Weighted (the weight is chosen on the train split where it is not the one reported, else even) and "
        "reciprocal rank.",
    )  # fmt: skip
    plan = Plan(tuple(sorted(depths)), fusion) if depths else None
    return split, {label: here[label] for label in labels}, plan


def _split(column: DeltaGenerator, questions: Mapping[str, int]) -> str:
    splits = list(questions)
    chosen: str = column.selectbox(
        "Split", splits, index=splits.index(PREFERRED_SPLIT) if PREFERRED_SPLIT in splits else 0,
        format_func=lambda split: f"{split}: {count_of(questions[split], 'question')}",
        key=f"evaluate-split-{'-'.join(splits)}", persist_state="session",
        help="Choose settings on one split and report on another.",
    )  # fmt: skip
    return chosen


def rerankers_here(settings: Settings) -> dict[str, str]:
    """The rerankers that need no download, ``{label: name or folder}``: the configured one first, else the default."""
    standard = RERANKERS[DEFAULT_RERANKER]
    found = [settings.reranker] if settings.reranker else []
    if Hub(allow_downloads=False).cached(standard.name, standard.revision) is not None:
        found.append(DEFAULT_RERANKER)
    if (BUNDLED_FOLDER / "secondlook.json").is_file():
        found.append(BUNDLED_RERANKER)
    names = [RERANKER_ALIASES.get(name, name) for name in (*found, LATE_INTERACTION)]
    labels: dict[str, str] = {}
    for name in names:
        labels.setdefault(Path(name).name, name)
    return labels


def _pressed(cost: str, *, possible: bool) -> bool:
    """The button with what it will cost, and whether it was pressed."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button("Evaluate", type="primary", disabled=not possible, key="evaluate-begin")
        quiet([cost] if cost else [], "cost")
    return pressed


def _cost(questions: Mapping[str, int], split: str, plan: Plan, rerankers: int) -> str:
    """What is asked and read, in words; at most, since those that choose a weight may be in both splits."""
    tuning = (
        min(questions.get(TUNING_SPLIT, 0), TUNING_QUERIES) if plan.fusion and split != TUNING_SPLIT else 0
    )
    more = f" and {tuning} of {TUNING_SPLIT} to choose a weight" if tuning else ""
    each = f", by each of {rerankers} rerankers" if rerankers > 1 else ""
    return (
        f"{count_of(questions[split], 'question')}{more}, up to {plan.deepest} passages read for each{each}. Scores "
        "are kept: the same again is quick."
    )


def _opener(settings: Settings, encoder: Encoder, reranker: str) -> Callable[[Library], Searcher]:
    return lambda library: resources.searcher_apart(settings, library, encoder, reranker)
