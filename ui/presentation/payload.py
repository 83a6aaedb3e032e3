"""The shape of what the comparison shows: the contract between `ui.presentation.view_model` and the component.

Every value is JSON-able, and every number that people read is already text.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from ui.presentation.excerpt import Part

State = Literal["waiting", "scoring", "done", "failed"]
Direction = Literal["riser", "faller", "same"]
Weight = Literal["thin", "medium", "thick"]


class Score(TypedDict):
    """One labelled number, as text of at most three significant digits, and a sentence that explains it."""

    label: str
    value: str
    help: str


class Divider(TypedDict):
    """A line above a card: a band that begins there (``highly``, ``possibly``, ``unlikely``) or a ``threshold``."""

    kind: str
    text: str
    detail: str


class Passage(TypedDict):
    """What a passage says and where: the same on both sides. ``rest`` tells whether ``full`` says more.

    ``hash`` is what a judgement of it is kept by; ``grade`` is that judgement (0 not relevant, 1 partly, 2 relevant),
    and ``worth`` the reason why judging it would tell most, empty where there is none.
    """

    title: str
    location: str
    excerpt: list[Part]
    full: list[Part]
    rest: bool
    hash: str
    grade: int | None
    worth: str


class Card(TypedDict):
    """A passage at its place in one of the two orders.

    ``movement`` counts places gained (positive) or lost, ``None`` before there is a second order;
    ``origin`` is where the passage came from or went to (empty where the badge says it all). ``pending`` marks a
    passage of the second column that waits for its score, at the place that the first look gave it. ``above`` are
    the lines over the card, where a band begins. ``elsewhere`` is where the other one of two rerankers puts the
    passage.
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
    pending: bool
    above: list[Divider]
    elsewhere: NotRequired[str]


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
    """One of the lists: its names, a note under the heading, and its cards in order."""

    heading: str
    short: str
    note: str
    cards: list[Card]


class OtherColumn(Column):
    """The list of a second reranker, B, whose movements are against the first look like A's.

    It has a state of its own, for neither waits for the other. Its ``flow`` leads from A's places to B's.
    """

    state: State
    progress: dict[str, int] | None
    summary: str
    flow: list[Line]


class Payload(TypedDict):
    """All that the comparison component needs; ``passages`` holds each text once, by card key.

    ``other`` is there where two rerankers are compared: ``after`` is then A's column. ``confirmed`` is the number of
    the last judgement that the library has.
    """

    state: State
    query: str
    top_k: int
    progress: dict[str, int] | None
    summary: str
    before: Column
    after: Column
    other: OtherColumn | None
    passages: dict[str, Passage]
    flow: list[Line]
    confirmed: int


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
