"""How scores are read: the choice of a reading, and fitting a calibration to the page's own labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from ingest.library.library import Library
from rerank.calibration.methods import FITTED, Method
from rerank.calibration.quality import Quality
from rerank.calibration.reading import Choice, Reading, read_result
from rerank.calibration.records import Calibration
from rerank.calibration.store import Loaded, load_for
from rerank.calibration.thresholds import Threshold
from rerank.records import Models, SearchResult
from rerank.search import Searcher
from ui.jobs.calibration import FitJob, offered, why_not_offered
from ui.page.components import problem, quiet
from ui.page.sidebar.mixing import chosen_source
from ui.page.state import CANDIDATES_KEY, HIDE_KEY, READING_KEY, TEMPERATURE_KEY, Judging
from ui.presentation.bands import answers_words, threshold_text
from ui.presentation.charts import reliability_chart, scores_charts
from ui.presentation.formatting import count_of, three_digits
from ui.presentation.judgements import counts
from ui.presentation.remedies import Face, notice_text
from ui.presentation.running_verdict import Weighed

CHOICES = {
    Choice.SIGMOID: "as the model gives them (sigmoid)",
    Choice.SOFTMAX: "as shares of this list (softmax)",
    Choice.MIN_MAX: "relative to this list (min–max)",
}
BEST = "best"
METHODS = {BEST: "the best of them"} | {method: method.capitalize() for method in FITTED}
LEAST_PRECISION = 0.05  # one step: less than that is no wish
PICTURE_WIDTH = 560  # pixels: a diagram whose diagonal is one
DIAGRAM = (
    "Of the passages given a probability, how many are relevant: on the dashed diagonal the two agree. Numbers are "
    "counts of labels, thin lines 95 % intervals."
)
NO_BANDS = "No bands are drawn: the numbers compare the passages of this list only."
UNREADABLE = (
    "This model was not trained to give relevance, so that its scores have no bands; judged passages can give them "
    "a meaning (Calibration, below)."
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """How scores are read now: the choice with softmax's temperature, the fitted calibration, and hiding."""

    choice: Choice
    temperature: float
    loaded: Loaded
    hide: bool

    def read(self, result: SearchResult) -> Reading:
        """The scores of a result, as chosen."""
        return read_result(result, self.choice, self.loaded.calibration, self.temperature)


def reading_controls(library: Library, models: Models, judging: Judging) -> Chosen:
    """Draw the choice of a reading and the switch that hides what is low; what is chosen now."""
    # Asked first: a fit that ends after this is news the next time, and what it saved is there by then.
    fitted_now = judging.fit is not None and judging.fit.take_news()
    loaded = load_for(library, models)
    options = [*([Choice.FITTED] if loaded.calibration else []), *CHOICES]
    if fitted_now:
        judging.fits += 1
    # A new widget after each fit: a browser that polls may still send the old one's value, which would undo this.
    key = f"{READING_KEY}-{judging.fits}" if judging.fits else READING_KEY
    if st.session_state.get(key) not in options:
        st.session_state[key] = options[0]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="reading-row"):
        choice = st.selectbox(
            "Scores are read", options, key=key, width=320, persist_state="session",
            format_func=lambda option: _choice_words(option, loaded.calibration),
            help="What the reranker’s scores are shown as. The order never changes by it.",
        )  # fmt: skip
        temperature = _temperature() if choice is Choice.SOFTMAX else 1.0
        hide = st.toggle(
            "Hide what is below the line", key=HIDE_KEY, persist_state="session",
            help="The line is the threshold learnt from labels where there is one, else 0.4.",
            disabled=not _has_bands(Choice(choice), models),
        )  # fmt: skip
    if loaded.notice is not None:
        quiet([notice_text(loaded.notice, Face.PAGE)], "void")
    return Chosen(Choice(choice), temperature, loaded, hide)


def _has_bands(choice: Choice, models: Models) -> bool:
    """Whether there is a line to hide passages by."""
    own = models.reranker is not None and models.reranker.spec.relevance_scale is not None
    return choice is Choice.FITTED or (choice is Choice.SIGMOID and own)


def _choice_words(choice: Choice, calibration: Calibration | None) -> str:
    if choice is Choice.FITTED and calibration is not None:
        return f"fitted to your labels ({METHODS[calibration.method]})"
    return CHOICES[choice]


def _temperature() -> float:
    st.session_state.setdefault(TEMPERATURE_KEY, 1.0)
    return st.number_input(
        "Temperature", 0.05, 100.0, step=0.5, key=TEMPERATURE_KEY, width=140, persist_state="session",
        help="A high one evens the shares out, a low one gives the first passage nearly all.",
    )  # fmt: skip


def explain(reading: Reading) -> None:
    """What the numbers on the cards say, in a quiet line or two."""
    if not reading.values:
        quiet([UNREADABLE], "reading")
        return
    words = [reading.method.reading, NO_BANDS if reading.bands is None else ""]
    if reading.threshold is not None:
        words.append(f"Learnt threshold: {threshold_text(reading.threshold)}.")
    if reading.notice is not None:
        words.append(notice_text(reading.notice, Face.PAGE))
    quiet([" ".join(filter(None, words))], "reading")


def score_picture(result: SearchResult, reading: Reading) -> None:
    """How the candidates' scores lie before and after the reading; drawn only while it is open."""
    with st.expander("Score picture", on_change="rerun", key="score-picture") as box:
        if box.open:
            for name, chart in zip(("before", "after"), scores_charts(result, reading), strict=True):
                st.vega_lite_chart(spec=chart, key=f"scores-{name}")
            quiet(
                [
                    f"All {count_of(len(result.after), 'scored passage')}: above as the model gives the scores, below "
                    "as they are read. Dashed lines: where bands and the learnt threshold begin."
                ],
                "scores",
            )


def calibration_panel(
    library: Library, searcher: Searcher, weighed: Weighed, chosen: Chosen, judging: Judging
) -> None:
    """What is fitted and how well it does, and a way to fit it; computed only while it is open."""
    with st.expander("Calibration", on_change="rerun", key="calibration-panel") as box:
        if box.open or judging.fitting:
            if chosen.loaded.calibration is not None:
                _fitted(chosen.loaded.calibration)
            _fit(library, searcher, weighed, judging)


def _fit(library: Library, searcher: Searcher, weighed: Weighed, judging: Judging) -> None:
    relevant, others = counts(weighed.judged)
    reranker = searcher.models.reranker
    own = reranker is not None and bool(reranker.spec.relevance_scale)
    methods = offered(relevant, others, own)
    if judging.fitting:
        _progress(judging)
        return
    if judging.fit is not None and judging.fit.failure:
        problem("No calibration was fitted.", judging.fit.failure)
    if not methods:
        quiet([why_not_offered(relevant, others)], "fit")
        return
    quiet(
        [
            f"{relevant} labels say relevant or partly, {others} not. Every judged question is asked again, and a "
            "curve from scores to probabilities is fitted to what was judged."
        ],
        "fit",
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="fit-row"):
        method = st.selectbox(
            "Method", [BEST, *methods], key="fit-method", format_func=METHODS.__getitem__, width=220,
            help="Isotonic is offered from twenty labels of either kind on: it follows few labels too closely.",
        )  # fmt: skip
        precision = st.number_input(
            "Wanted precision", LEAST_PRECISION, 1.0, None, 0.05, key="fit-precision", placeholder="none", width=180,
            help="0.8, say: then the threshold is also learnt from which on four of five passages are relevant, and "
            "the list is cut there. Empty, it is cut where F1 is best.",
        )  # fmt: skip
        if st.button("Fit", key="fit"):
            wanted = None if method == BEST else Method(method)
            asked = st.session_state[CANDIDATES_KEY]
            judging.fit = FitJob(library, searcher, asked, wanted, precision, chosen_source()).start()
            st.rerun()


def _progress(judging: Judging) -> None:
    job = judging.fit
    if job is None:
        return
    done, total = job.progress or (0, 1)
    words = f"{done} of {count_of(total, 'question')} asked" if job.progress else "Beginning"
    st.progress(done / max(total, 1), text=words)
    st.button("Cancel", on_click=job.cancel, key="fit-cancel")


def _fitted(calibration: Calibration) -> None:
    """The calibration in words and figures, before → after."""
    lines = [
        f"{METHODS[calibration.method]}, fitted on {calibration.made} to {count_of(calibration.labels, 'label')} of "
        f"{count_of(calibration.queries, 'question')}, {calibration.relevant} of them relevant; candidates from "
        f"{calibration.candidates_from.in_words}."
    ]
    if calibration.best is not None:
        lines.append(_threshold("Threshold with the best F1", calibration.best))
    if calibration.precise is not None and calibration.wanted_precision is not None:
        name = f"Threshold for a precision of {calibration.wanted_precision:g}"
        lines.append(f"{_threshold(name, calibration.precise)} The list is cut at this one.")
    quiet([*lines, answers_words(calibration), *calibration.notices], "fitted")
    if calibration.evidence is None:
        quiet(
            ["One question cannot be held out of itself, so that how well this does is not known."],
            "evidence",
        )
        return
    before, after = calibration.evidence.before, calibration.evidence.after
    source = f"{count_of(after.labels, 'label')}, {after.relevant} relevant: {calibration.evidence.source}"
    quiet([f"Figures on {source}."], "evidence")
    with st.container(width=PICTURE_WIDTH):
        st.table(_figures(before, after))
        st.vega_lite_chart(spec=reliability_chart(before, after), key="reliability-chart")
    quiet([DIAGRAM], "diagram")


def _threshold(name: str, threshold: Threshold) -> str:
    return (
        f"{name}: {threshold_text(threshold)}. On these labels: precision {three_digits(threshold.learnt.precision)}, "
        f"recall {three_digits(threshold.learnt.recall)}."
    )


def _figures(before: Quality | None, after: Quality) -> Mapping[str, Sequence[str]]:
    rows = {
        "Expected calibration error": "ece",
        "The same, bins of equal counts": "ece_equal_mass",
        "Brier score": "brier",
    }
    first = ["none" if before is None else three_digits(getattr(before, name)) for name in rows.values()]
    return {
        "Lower is better": [*rows, "Brier score of saying the share"],
        "Before": [*first, three_digits(after.brier_of_share)],
        "After": [*(three_digits(getattr(after, name)) for name in rows.values()), ""],
    }
