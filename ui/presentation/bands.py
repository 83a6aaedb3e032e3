"""Lines between the cards of the second list: where a band begins, and where the learnt threshold lies.

Pure. The order is by score, so that bands lie one below the other and each begins at one card.
"""

from __future__ import annotations

from collections.abc import Sequence

from rerank.calibration.reading import Reading
from rerank.calibration.records import Calibration
from rerank.calibration.thresholds import Threshold
from rerank.records import Band, Bands
from ui.presentation.formatting import three_digits
from ui.presentation.payload import Divider

KINDS = {Band.HIGHLY: "highly", Band.POSSIBLY: "possibly", Band.UNLIKELY: "unlikely"}


def dividers(reading: Reading | None, numbers: Sequence[float]) -> dict[int, list[Divider]]:
    """What stands above which place (from 0) of a list with these falling ``numbers``; empty without bands.

    A threshold that all or none of the shown passages reach has no line: there is nothing to part.
    """
    if reading is None or reading.bands is None or not numbers:
        return {}
    bands = [reading.bands.of(number) for number in numbers]
    by_place: dict[int, list[Divider]] = {}
    for place, band in enumerate(bands):
        if place == 0 or band is not bands[place - 1]:
            by_place[place] = [_band(band, reading.bands, claimed=reading.calibration is not None)]
    threshold = reading.threshold
    if threshold is not None:
        at = sum(number >= threshold.value for number in numbers)
        if 0 < at < len(numbers):
            by_place.setdefault(at, []).append(_learnt(threshold))
    return by_place


def _band(band: Band, bands: Bands, *, claimed: bool) -> Divider:
    """A band's line; without a calibration that was fitted here it names the range, and claims nothing by it."""
    ranges = {
        Band.HIGHLY: f"{bands.highly:.2g} or more",
        Band.POSSIBLY: f"{bands.possibly:.2g} to {bands.highly:.2g}",
        Band.UNLIKELY: f"below {bands.possibly:.2g}",
    }
    if not claimed:
        return Divider(kind=KINDS[band], text=f"Relevance {ranges[band]}", detail="not checked here")
    name = band.value[0].upper() + band.value[1:]
    return Divider(kind=KINDS[band], text=name, detail=ranges[band])


def _learnt(threshold: Threshold) -> Divider:
    interval = (
        "" if threshold.low is None or threshold.high is None
        else f" [{three_digits(threshold.low)}, {three_digits(threshold.high)}]"
    )  # fmt: skip
    return Divider(
        kind="threshold", text="Below the learnt threshold", detail=three_digits(threshold.value) + interval
    )


def answers_words(calibration: Calibration) -> str:
    """When “nothing here answers this” is said, and how often that was wrong; or why it is not said."""
    evidence, threshold = calibration.evidence, calibration.answers_from
    if threshold is None or evidence is None or evidence.false_alarms is None:
        return (
            "“Nothing here answers this” is never said: the labels do not show from where on, or how often it would be "
            "wrong."
        )
    caught = "" if evidence.caught is None else (
        f", and rightly of {evidence.caught:.0%} once their relevant passages were taken away"
    )  # fmt: skip
    return (
        f"“Nothing here answers this” is said where the best passage is below {three_digits(threshold)}. By "
        f"{evidence.source} it was said wrongly of {evidence.false_alarms:.0%} of the questions that have a relevant "
        f"passage{caught}, among judged passages alone."
    )


def threshold_text(threshold: Threshold) -> str:
    """The threshold with its interval: "0.52, 95 % interval 0.41 to 0.63"."""
    value = three_digits(threshold.value)
    if threshold.low is None or threshold.high is None:
        return value
    return f"{value}, 95 % interval {three_digits(threshold.low)} to {three_digits(threshold.high)}"
