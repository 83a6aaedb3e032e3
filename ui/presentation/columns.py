"""The lists of the comparison as plain data: what each look shows at one moment, and the lines between them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from rerank.calibration.reading import Reading
from rerank.records import RankedHit, SearchResult, by_chunk_id
from retrieval.records import Candidate, CandidateSource
from ui.presentation.cards import BY, first_card, key, pending_cards, second_cards, source_of
from ui.presentation.formatting import count_of, direction, three_digits
from ui.presentation.insights import flow_summary
from ui.presentation.payload import Card, Column, Line, OtherColumn, State

# A line's thickness: from 3 places on a move is no longer a swap of neighbours, and from 10 on it
# crosses a whole default list of results.
MEDIUM_MOVE, THICK_MOVE = 3, 10


@dataclass(frozen=True, slots=True)
class Look:
    """A second look as far as it is there, and how it is read.

    ``progress`` is (passages scored, passages in all), ``cut`` hides what is read lower, ``withheld`` is a sentence in
    place of the whole list, and ``failure`` one that says why there is none. ``name`` is the reranker's, where two are
    told apart.
    """

    result: SearchResult | None
    state: State
    progress: tuple[int, int] | None = None
    reading: Reading | None = None
    cut: float | None = None
    withheld: str = ""
    name: str = ""
    failure: str = ""


class Drawn:
    """What of a second look is shown beside the first ``top_k`` of ``before``."""

    def __init__(self, look: Look, before: Sequence[Candidate], top_k: int) -> None:
        result, state = look.result, look.state
        reranked = result if state in ("done", "scoring") and result is not None and result.reranked else None
        if state == "done" and reranked is None:
            state = "failed"
        self.state: State = state
        self._look, self._before, self._top_k = look, before, top_k
        self._reranked = reranked
        self.finished = reranked if state == "done" else None
        self.hits: Sequence[RankedHit] = reranked.after if reranked else ()
        # Fewer may have been ordered than there is room for: what is hidden is taken off those.
        places = top_k if self.finished is None else min(top_k, len(self.hits))
        self.hidden = self._count_hidden(places)
        self.last = places - self.hidden
        self.shown = self.hits[: self.last]

    def _count_hidden(self, places: int) -> int:
        """How many of the first ``places`` are not shown."""
        look, finished = self._look, self.finished
        if finished is None:
            return 0
        if look.withheld:
            return places
        if look.reading is None or look.cut is None or not look.reading.values:
            return 0
        return max(places - look.reading.above(finished, look.cut), 0)

    @cached_property
    def places(self) -> Mapping[int, RankedHit]:
        """Hits by chunk id."""
        return by_chunk_id(self.hits)

    @property
    def source(self) -> CandidateSource:
        """What the first look went by."""
        return source_of(self._before)

    @property
    def progress(self) -> dict[str, int] | None:
        """Passages scored and in all, while they are being scored."""
        counts = self._look.progress
        return {"done": counts[0], "total": counts[1]} if counts and self.state == "scoring" else None

    @property
    def summary(self) -> str:
        """The rank flow in words."""
        return flow_summary(self.finished, self._top_k, len(self.shown))

    def column(self, heading: str, short: str) -> Column:
        """The list itself; passages that wait for their score stand under those that have one."""
        look = self._look
        waiting = self._before[len(self.hits) : self._top_k] if self.state in ("waiting", "scoring") else ()
        cards = second_cards(self.shown, self._top_k, self._reranked, look.reading, self.finished is not None)
        note = look.withheld if look.withheld and self.finished else self._note() + self._below()
        return Column(heading=heading, short=short, note=note, cards=cards + pending_cards(waiting))

    def _below(self) -> str:
        """What the note adds where passages are hidden."""
        cut = self._look.cut
        return f"; {self.hidden} below {three_digits(cut)} hidden" if self.hidden and cut is not None else ""

    def _note(self) -> str:
        """The line under the heading: what is in the column, or why it is not there."""
        state, scored, total = self.state, len(self.hits), len(self._before)
        progress = self._look.progress
        if state == "failed":
            return self._look.failure or (
                "The order was not reranked, so there is no second look. The first look’s order stands."
            )
        if state == "done":
            part = f"{scored} of " if scored < total else ""
            return f"{part}{count_of(total, 'passage')} reranked, {len(self.shown)} shown"
        if state == "scoring" and scored:
            return f"{scored} of {count_of(total, 'passage')} scored; the order may still change"
        if state == "scoring" and progress:
            return f"{progress[0]} of {count_of(progress[1], 'passage')} scored; until then, the first look’s order"
        return "Waiting for the reranker; until then, the first look’s order"

    def flow(self) -> list[Line]:
        """Lines from the first look's places to these."""
        top_k, last = self._top_k, self.last
        return [
            line(hit, hit.candidate.rank, top_k, last)
            for hit in self.hits
            if hit.rank <= last or hit.candidate.rank <= top_k
        ]


def line(hit: RankedHit, before: int, first_last: int, last: int) -> Line:
    """A line from place ``before`` to the hit's; the lists show places up to ``first_last`` and ``last``."""
    gained = before - hit.rank
    size = abs(gained)
    return Line(
        key=key(hit.candidate.chunk),
        before=before,
        after=hit.rank,
        direction=direction(gained),
        weight="thick" if size >= THICK_MOVE else "medium" if size >= MEDIUM_MOVE else "thin",
        enters=before > first_last,
        leaves=hit.rank > last,
    )


def first_column(left: Sequence[Candidate], total: int, one: Drawn, other: Drawn | None = None) -> Column:
    """The first look's list, with where each passage went in the second look, or in both of them."""
    cards = [first_card(candidate, one.places.get(candidate.chunk.id)) for candidate in left]
    for card, candidate in zip(cards, left, strict=True):
        if one.finished and card["movement"] is None:
            card["origin"], card["spoken"] = "not scored", "not scored, so not in the second look"
        if other is not None and one.finished and other.finished:
            _went(card, one.places.get(candidate.chunk.id), other.places.get(candidate.chunk.id))
    note = f"{count_of(total, 'passage')} found, {len(left)} shown" if total else "No passage was found."
    return Column(heading=f"First look — {BY[one.source]}", short="First look", note=note, cards=cards)


def _went(card: Card, one: RankedHit | None, other: RankedHit | None) -> None:
    """Say where both rerankers put a passage of the first look; coloured only where they move it the same way."""
    hits = {"A": one, "B": other}
    card["origin"] = ", ".join(f"{name} {hit.rank if hit else '–'}" for name, hit in hits.items())
    card["spoken"] = ", ".join(
        f"place {hit.rank} in {name}" if hit else f"not scored by {name}" for name, hit in hits.items()
    )
    ways = {direction(hit.movement) for hit in hits.values() if hit}
    card["direction"] = ways.pop() if len(ways) == 1 else "same"


def other_column(one: Drawn, other: Drawn, name: str) -> OtherColumn:
    """Reranker B's list, with the lines that lead to it from A's; none where A's order is not there or not shown."""
    column = other.column(f"B — {name}", "Second look B")
    linked = one.finished is not None and one.last > 0
    flow = [
        line(hit, one.places[hit.candidate.chunk.id].rank, one.last, other.last)
        for hit in other.hits
        if linked and hit.candidate.chunk.id in one.places
        and (hit.rank <= other.last or one.places[hit.candidate.chunk.id].rank <= one.last)
    ]  # fmt: skip
    return OtherColumn(**column, state=other.state, progress=other.progress, summary=other.summary, flow=flow)


def tell_apart(column: Column, hits: Sequence[RankedHit], there: Drawn, letter: str) -> None:
    """Say on the cards of ``hits`` where reranker ``letter`` puts the same passages, once it has its whole order."""
    if there.finished is None:
        return
    cards: Sequence[Card] = column["cards"]
    for card, hit in zip(cards, hits, strict=False):  # cards that wait for a score come after the shown ones
        place = there.places.get(hit.candidate.chunk.id)
        card["elsewhere"] = f"{letter}: place {place.rank}" if place else f"{letter}: not scored"
