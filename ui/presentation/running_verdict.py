"""The running verdict beside the answer: weighed anew only when labels, or the places of what they judge, change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ingest.library.label_records import Grade, ModelPair, Places
from rerank.labels.verdict import RunningVerdict, weigh
from ui.presentation.formatting import count_of

HOW = (
    "Judge passages with the buttons on their cards, or with the keys 1, 2 and 3; then this line says whether "
    "reranking helps here."
)


@dataclass(frozen=True, slots=True)
class Weighed:
    """A verdict with what it was made of: labels as ``{question: {passage hash: grade}}``, and places alike."""

    pair: ModelPair
    judged: Mapping[str, Mapping[str, Grade]]
    places: Mapping[str, Mapping[str, Places]]
    verdict: RunningVerdict


def weighed_anew(
    pair: ModelPair,
    judged: Mapping[str, Mapping[str, Grade]],
    places: Mapping[str, Mapping[str, Places]],
    last: Weighed | None,
) -> Weighed:
    """The verdict of a library's labels; ``last`` itself where nothing has changed since."""
    if last is not None and (last.pair, last.judged, last.places) == (pair, judged, places):
        return last
    return Weighed(pair, judged, places, weigh(pair, judged, places))


def verdict_line(weighed: Weighed, here: int) -> str:
    """The verdict in a line; ``here`` counts the labels of the question on the screen."""
    total = sum(map(len, weighed.judged.values()))
    if not total:
        return HOW
    return f"{here} judged here, {count_of(total, 'label')} in all. {weighed.verdict.sentence}"
