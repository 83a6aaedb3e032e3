"""The shape of what the comparison shows: the contract between `ui.view_model` and the component.

Every value is JSON-able, and every number that people read is already text.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from ui.excerpt import Part

State = Literal["waiting", "scoring", "done", "failed"]
Direction = Literal["riser", "faller", "same"]
Weight = Literal["thin", "medium", "thick"]


class Score(TypedDict):
    """One labelled number, as text of at most three significant digits, and a sentence that explains it."""

    label: str
    value: str
    help: str


class Passage(TypedDict):
    """What a passage says and where: the same on both sides. ``rest`` tells whether ``full`` says more."""

    title: str
    location: str
    excerpt: list[Part]
    full: list[Part]
    rest: bool


class Card(TypedDict):
    """A passage at its place in one of the two orders.

    ``movement`` counts places gained (positive) or lost, ``None`` before there is a second order;
    ``origin`` is where the passage came from or went to (empty where the badge says it all).
    """

    key: str
    rank: int
    movement: int | None
    direction: Direction
    badge: str
    spoken: str
    origin: str
    scores: list[Score]
    notice: str


class Line(TypedDict):
    """One line of the rank flow, from place ``before`` to place ``after``.

    ``enters`` marks a passage from below the shown first list, ``leaves`` one that went below the second.
    """

    key: str
    before: int
    after: int
    direction: Direction
    weight: Weight
    enters: bool
    leaves: bool


class Column(TypedDict):
    """One of the two lists: its names, a note under the heading, and its cards in order."""

    heading: str
    short: str
    note: str
    cards: list[Card]


class Payload(TypedDict):
    """All that the comparison component needs; ``passages`` holds each text once, by card key."""

    state: State
    query: str
    top_k: int
    progress: dict[str, int] | None
    summary: str
    before: Column
    after: Column
    passages: dict[str, Passage]
    flow: list[Line]


class StageTime(TypedDict):
    """A stage of a search: milliseconds, their share of the whole (0 to 1), and both as words."""

    stage: str
    ms: float
    share: float
    text: str
    detail: NotRequired[str]


class Cost(TypedDict):
    """What reranking ``candidates`` passages takes here; ``estimated`` unless this search did just that."""

    candidates: int
    ms: float
    text: str
    estimated: bool
