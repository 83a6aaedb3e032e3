"""What an evaluation compares: first looks, rerankers, depths and fusions, chosen in the Evaluate view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ingest.models.hub import Hub
from rerank.evaluation.plan import Plan
from rerank.judged.dataset import TUNING_QUERIES, TUNING_SPLIT
from rerank.registry import DEFAULT_RERANKER, full_name, usable_rerankers
from rerank.request import DEFAULT_CANDIDATES
from retrieval.records import CandidateSource
from ui.page.sidebar.mixing import SOURCES
from ui.presentation.formatting import count_of
from ui.settings import Settings

DEPTHS = (10, 20, 50, 100, 200)
PREFERRED_SPLIT = "test"


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen, which need not be enough yet.

    ``rerankers`` is ``{label: name or folder}``; without any, the first looks (``sources``) are compared alone.
    ``depths`` are numbers of passages, rising.
    """

    split: str
    sources: tuple[CandidateSource, ...]
    rerankers: Mapping[str, str]
    depths: tuple[int, ...]
    fusion: bool

    @property
    def lacking(self) -> str:
        """What is missing before anything can be compared, as a sentence; empty where nothing is."""
        if not self.sources:
            return "Choose a first look."
        if not self.rerankers:
            return "" if len(self.sources) > 1 else "Choose a reranker, or two first looks to compare."
        return "" if self.depths else "Choose how deep to rerank."

    @property
    def plan(self) -> Plan:
        """The choices as a plan, where nothing is lacking."""
        if not self.rerankers:
            return Plan(sources=self.sources)
        return Plan(self.depths, self.fusion, sources=self.sources)

    def cost(self, questions: Mapping[str, int]) -> str:
        """What is asked and read, in words; ``questions`` counts the judged ones by split.

        At most: those that choose a weight may be in both splits, and first looks share passages.
        """
        asked = f"{count_of(questions[self.split], 'question')}{self._tuning(questions)}"
        looks = f", from each of {len(self.sources)} first looks" if len(self.sources) > 1 else ""
        if not self.rerankers:
            return f"{asked}{looks}. Nothing is reranked, so this is quick."
        each = f", by each of {len(self.rerankers)} rerankers" if len(self.rerankers) > 1 else ""
        return (
            f"{asked}, up to {max(self.depths)} passages read for each{looks}{each}. Scores are kept: the same again "
            "is quick."
        )

    def _tuning(self, questions: Mapping[str, int]) -> str:
        """The questions that choose a fusion's weight, where another split than the one reported can."""
        count = min(questions.get(TUNING_SPLIT, 0), TUNING_QUERIES)
        if not count or not self.plan.fusion or self.split == TUNING_SPLIT:
            return ""
        return f" and {count} of {TUNING_SPLIT} to choose a weight"


def choices(settings: Settings, questions: Mapping[str, int]) -> Choices:
    """Draw the widgets and say what is chosen in them; ``questions`` counts the judged ones by split."""
    splits = list(questions)
    several = len(splits) > 1
    *first, from_, left, right = [*st.columns(2), *st.columns(2)] if several else st.columns(3)
    split = _split(first[0], questions) if first else "".join(splits)
    sources = _sources(from_)
    rerankers = _rerankers(left, settings)
    depths = _depths(right, possible=bool(rerankers))
    fusion = st.toggle(
        "Compare fusions of both looks too", key="evaluate-fusion", persist_state="session", disabled=not rerankers,
        help="Weighted (the weight is chosen on the train split where it is not the one reported, else even) and "
        "reciprocal rank.",
    )  # fmt: skip
    return Choices(split, sources, rerankers, depths, fusion)


def _split(column: DeltaGenerator, questions: Mapping[str, int]) -> str:
    splits = list(questions)
    chosen: str = column.selectbox(
        "Split", splits, index=splits.index(PREFERRED_SPLIT) if PREFERRED_SPLIT in splits else 0,
        format_func=lambda split: f"{split}: {count_of(questions[split], 'question')}",
        key=f"evaluate-split-{'-'.join(splits)}", persist_state="session",
        help="Choose settings on one split and report on another.",
    )  # fmt: skip
    return chosen


def _sources(column: DeltaGenerator) -> tuple[CandidateSource, ...]:
    chosen = column.multiselect(
        "First looks", list(SOURCES), default=[CandidateSource.VECTORS], key="evaluate-sources",
        format_func=SOURCES.__getitem__, persist_state="session", placeholder="Choose one or more",
        help="What candidates come from: vectors, words (BM25), or both, fused by reciprocal rank. The others are held "
        "against the one chosen first; without rerankers, they are compared alone.",
    )  # fmt: skip
    return tuple(map(CandidateSource, chosen))


def _rerankers(column: DeltaGenerator, settings: Settings) -> dict[str, str]:
    here = rerankers_here(settings)
    chosen = column.multiselect(
        "Rerankers", list(here), default=list(here)[:1], key="evaluate-rerankers", persist_state="session",
        placeholder="None: first looks alone",
        help="Those that are on this machine, and services that are set up. maxsim is late interaction over the "
        "bundled encoder’s token vectors. The verdict is on the first one.",
    )  # fmt: skip
    return {label: here[label] for label in chosen}


def _depths(column: DeltaGenerator, *, possible: bool) -> tuple[int, ...]:
    chosen = column.multiselect(
        "Depths", DEPTHS, default=[DEFAULT_CANDIDATES], key="evaluate-depths", persist_state="session",
        placeholder="Choose one or more", disabled=not possible,
        help="How many passages are reranked. Several cost no more time than the deepest, since each passage is "
        "scored once; but the more systems are compared, the surer each difference must be.",
    )  # fmt: skip
    return tuple(sorted(chosen))


def rerankers_here(settings: Settings) -> dict[str, str]:
    """The rerankers that can be used as things are, ``{label: name or folder}``: the configured one first, else the
    default, where it is on this machine.
    """
    usable = usable_rerankers(Hub(allow_downloads=False), settings.services)
    first = [full_name(settings.reranker, settings.services)] if settings.reranker else []
    standard = [DEFAULT_RERANKER] if DEFAULT_RERANKER in usable else []
    labels: dict[str, str] = {}
    for name in (*first, *standard, *usable):
        labels.setdefault(Path(name).name, name)
    return labels
