"""Small pieces of the page. Words from outside (names, titles, errors) are only ever shown literally."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from ingest.models.consent import is_service
from ingest.models.encoders import BUNDLED_ENCODER, DEFAULT_ENCODER
from ingest.models.spec import ModelSource, ResolvedModel
from rerank.records import Models
from ui.presentation.formatting import model_title
from ui.presentation.payload import Cost, StageTime

_STYLE = Path(__file__).with_name("page.css")

# Streamlit's Markdown knows more than backslashes can undo: emoji and icon codes, arrows and bare addresses
# are found in the text after parsing. A word joiner, which has no width, breaks those up.
_JOINER = "\u2060"
_MARKS = re.compile(r"([!-/:-@\[-`{-~])")
_FOUND_LATER = re.compile(r"([:.@<>=~-])")


def literal(text: str) -> str:
    """``text`` for a place that reads Markdown (a button's label, a tooltip), to be shown as it is."""
    plain = " ".join(text.split())
    apart = _FOUND_LATER.sub(f"{_JOINER}\\1{_JOINER}", plain)
    return _MARKS.sub(r"\\\1", apart)


def style() -> None:
    """The page's own style sheet: spacing, quiet lines, the bar of timings."""
    st.html(f"<style>{_STYLE.read_text(encoding='utf-8')}</style>")


def problem(headline: str, sentence: str) -> None:
    """An error: our headline in a box that screen readers announce, and the sentence, literally."""
    st.error(headline)
    st.text(sentence)


def quiet(lines: Sequence[str], key: str) -> None:
    """Lines in a muted tone, literally."""
    if lines:
        with st.container(key=f"quiet-{key}", gap=None):
            for line in lines:
                st.text(line)


def models_line(models: Models, second: str = "", other: Models | None = None) -> None:
    """Which models answer and from where, with a popover that says why these.

    ``second`` is a second reranker's name, and ``other`` are its models once they are loaded.
    """
    rerankers = [pair.reranker for pair in (models, other) if pair is not None and pair.reranker is not None]
    names = [_short(models.reranker) if models.reranker else "no reranker", *filter(None, [second])]
    with st.container(horizontal=True, vertical_alignment="center", key="models", gap="small"):
        st.text(f"{_short(models.encoder)} → {' and '.join(names)}")
        stand_ins = [m for m in (models.encoder, *rerankers) if m.source is ModelSource.BUNDLED]
        missed = [tried for model in stand_ins for tried in model.tried]
        with st.popover("bundled (why?)" if missed else "about these models", type="tertiary"):
            _about("First look", models.encoder)
            for letter, reranker in zip("AB", rerankers, strict=False):
                _about("Second look" if not second else f"Second look {letter}", reranker)
            if models.encoder.name == BUNDLED_ENCODER and not models.encoder.tried:
                st.text(
                    f"The library was made with {BUNDLED_ENCODER}, and only that finds in it. To change to "
                    f"{DEFAULT_ENCODER}: secondlook models prefetch, then secondlook rebuild."
                )
            if missed:
                st.markdown("**What was tried before**")
                for line in dict.fromkeys(missed):
                    st.text(f"{line}.")


def _short(model: ResolvedModel) -> str:
    """The model in a few words, and where it is from."""
    return f"{model_title(model)} ({model.source.value})"


def _about(role: str, model: ResolvedModel) -> None:
    spec = model.spec
    st.markdown(f"**{role}**")
    if is_service(model):
        st.text(f"{model.name}, a service at {spec.revision}.")
        return
    st.text(
        f"{model.name} ({spec.architecture}), {_whence(model)}. Revision {spec.revision[:12]}, "
        f"licence: {spec.licence}, {model.size_bytes / 1e6:.0f} MB."
    )


def _whence(model: ResolvedModel) -> str:
    return {"folder": "from a folder", "bundled": "bundled with Second Look"}.get(
        model.source.value, f"from the {model.source.value}"
    )


def timings(stages: Sequence[StageTime], costs: Sequence[Cost]) -> None:
    """The stages of the search as one bar with its numbers, and what other counts would cost."""
    st.html(timings_html(stages, costs))


def timings_html(stages: Sequence[StageTime], costs: Sequence[Cost]) -> str:
    """The bar as HTML; every word in it is escaped."""
    parts = "".join(
        f'<span class="stage stage-{n}" style="flex-grow:{max(stage["share"], 0.004):.4f}"></span>'
        for n, stage in enumerate(stages)
    )
    words = "".join(
        f'<li><i class="stage stage-{n}"></i>{html.escape(stage["stage"])} <b>{html.escape(stage["text"])}</b>'
        + (f" ({html.escape(stage['detail'])})" if "detail" in stage else "")
        + "</li>"
        for n, stage in enumerate(stages)
    )
    prices = " · ".join(f"{cost['candidates']}: {html.escape(cost['text'])}" for cost in costs)
    here = f'<p class="prices">Reranking here, by number of candidates: {prices}</p>' if prices else ""
    return (
        f'<div class="timings"><div class="bar" aria-hidden="true">{parts}</div><ul>{words}</ul>{here}</div>'
    )
