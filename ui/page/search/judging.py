"""Judging on the page: taking judgements in, the verdict line, and labels in and out as files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from ingest.errors import SecondLookError
from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from rerank.labels.judging import judge, note_ranks, pair_of
from rerank.records import SearchResult
from rerank.search import Searcher
from ui.files.labels import as_qrels, as_zip, take_in
from ui.jobs.search import SearchJob
from ui.page.components import problem, quiet
from ui.page.state import Judging
from ui.page.visitors import let_go
from ui.presentation.formatting import count_of
from ui.presentation.judgements import Judgement, read_events
from ui.presentation.remedies import Face, told
from ui.presentation.running_verdict import Weighed, verdict_line, weighed_anew


def take_judgements(
    sent: Any,
    labels: Labels,
    result: SearchResult | None,
    judging: Judging,
    other: SearchResult | None = None,
) -> None:
    """Write what the browser sent into the library; one that cannot be kept is said, and shown as not judged.

    Its places in ``other``, a second reranker's order, are noted too.
    """
    judging.problem = ""
    for judgement in read_events(sent, judging.confirmed):
        judging.confirmed = judgement.number
        try:
            _keep(labels, judgement, result)
            if other is not None and other.query == judgement.query:
                note_ranks(labels, other)
        except SecondLookError as error:
            judging.problem = told(error, Face.PAGE)


def _keep(labels: Labels, judgement: Judgement, result: SearchResult | None) -> None:
    """Write one judgement into the library, with both places where ``result`` is of the question that was judged.

    Raises `LibraryError` where the library stays locked, `UsageError` for an empty question.
    """
    if judgement.grade is None:
        labels.remove(judgement.query, judgement.passage_hash)
    elif result is not None and result.query == judgement.query:
        judge(labels, result, judgement.passage_hash, judgement.grade)
    else:
        labels.set(judgement.query, judgement.passage_hash, judgement.grade)


def note_places(jobs: Sequence[SearchJob], labels: Labels, judging: Judging) -> None:
    """Note once for each finished search where its judged passages stand, so that the verdict counts it."""
    judging.seen = tuple(job for job in judging.seen if job in jobs)
    for job in jobs:
        if job.result is not None and job not in judging.seen:
            judging.seen += (job,)
            try:
                note_ranks(labels, job.result)
            except SecondLookError as error:
                judging.problem = told(error, Face.PAGE)


def verdict(labels: Labels, searcher: Searcher, query: str, judging: Judging) -> Weighed | None:
    """Draw the running verdict as a quiet line; ``None`` without a second look, of which there is none."""
    if judging.problem:
        problem("Not everything that was judged could be kept.", judging.problem)
    pair = pair_of(searcher.models)
    if pair is None:
        return None
    judging.weighed = weighed_anew(pair, labels.judgements(), labels.places(pair), judging.weighed)
    quiet([verdict_line(judging.weighed, len(labels.grades(query)))], "verdict")
    return judging.weighed


def labels_panel(labels: Labels, weighed: Weighed, judging: Judging) -> None:
    """The labels in numbers, to take along, and to bring in; computed only while it is open."""
    total = sum(map(len, weighed.judged.values()))
    with st.expander(f"Your judgements: {total}", on_change="rerun", key="labels-panel") as box:
        if not box.open:
            return
        if total:
            _counts(labels, weighed)
            _export(labels)
        _import(labels, judging)


def _counts(labels: Labels, weighed: Weighed) -> None:
    counts = labels.counts()
    shares = ", ".join(f"{counts.by_grade[grade]} {grade.in_words}" for grade in sorted(Grade, reverse=True))
    lines = [f"{count_of(counts.labels, 'label')} of {count_of(counts.queries, 'question')}: {shares}."]
    if counts.not_indexed:
        lines.append(f"{count_of(counts.not_indexed, 'label')} of passages that are not in the index now.")
    verdict = weighed.verdict
    if verdict.alike:
        lines.append(
            f"{count_of(verdict.alike, 'question')} with all passages judged alike, which tells nothing of an order."
        )
    if verdict.unseen:
        lines.append(
            f"{count_of(verdict.unseen, 'judged question')} not asked of these models yet: ask it here, or all of them "
            "with secondlook labels verdict --ask."
        )
    quiet(lines, "counts")


def _export(labels: Labels) -> None:
    every = labels.all()
    with st.container(horizontal=True, gap="small", key="labels-out"):
        st.download_button(
            "Export (BEIR, zip)",
            lambda: as_zip(every),
            "labels.zip",
            "application/zip",
            on_click="ignore",
            key="labels-zip",
        )
        st.download_button(
            "Export (TREC qrels)", lambda: as_qrels(every), "labels.qrels", "text/plain", on_click="ignore",
            key="labels-qrels",
        )  # fmt: skip


def _import(labels: Labels, judging: Judging) -> None:
    uploads = st.file_uploader(
        "Import labels", key=f"labels-in-{judging.uploader}", type=["zip", "tsv", "qrels", "txt"],
        help="A zip with qrels/*.tsv, queries.jsonl and corpus.jsonl (BEIR’s layout, as exported here), or one table "
        "of qrels. Of two judgements of a passage the later one stands.",
    )  # fmt: skip
    if uploads is not None:
        _take_in(uploads.name, uploads.getvalue(), labels, judging)
        let_go([uploads])
        judging.uploader += 1  # an empty place to drop the next one
        st.rerun()
    if judging.import_problem:
        problem("No label was imported.", judging.import_problem)
    if judging.message:
        quiet([judging.message], "labels-said")


def _take_in(name: str, data: bytes, labels: Labels, judging: Judging) -> None:
    judging.message = judging.import_problem = ""
    try:
        done = take_in(name, data, labels)
    except SecondLookError as error:
        judging.import_problem = told(error, Face.PAGE)
        return
    judging.seen = ()  # the question on the screen may be among them
    judging.message = (
        f"New: {count_of(done.added, 'label')}. Changed: {done.changed}. As they were, because the library’s own are "
        f"as late or later: {done.kept}."
    )
