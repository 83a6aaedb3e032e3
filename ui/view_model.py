"""What the comparison shows, as plain data: records of a search → a JSON-able payload.

Pure: no Streamlit, no models, no clock. The page hands the payload to `ui.comparison`, whose JavaScript
only places these words and numbers; whatever is decided about them is decided, and tested, here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rerank.calibration.reading import Reading
from rerank.records import RankedHit, SearchResult, by_chunk_id
from retrieval.records import Candidate
from ui.cards import first_card, key, passage, pending_cards, second_cards
from ui.judgements import Shown
from ui.lesson import costs, flow_summary, insight, timing_bar
from ui.payload import Column, Line, Payload, State
from ui.words import (
    count_of,
    direction,
    three_digits,
)

__all__ = ["comparison_payload", "costs", "insight", "timing_bar"]

# A line's thickness: from 3 places on a move is no longer a swap of neighbours, and from 10 on it
# crosses a whole default list of results.
MEDIUM_MOVE, THICK_MOVE = 3, 10


def comparison_payload(
    *,
    query: str,
    before: Sequence[Candidate],
    result: SearchResult | None,
    top_k: int,
    state: State,
    progress: tuple[int, int] | None,
    marks: Mapping[int, tuple[int, int]],
    reading: Reading | None = None,
    cut: float | None = None,
    withheld: str = "",
    judged: Shown | None = None,
) -> Payload:
    """Both columns, the flow between them and the passages' texts, for the first ``top_k`` places.

    While a search is ``scoring``, ``result`` may hold the order so far; passages that wait for their score stand
    under it. ``progress`` is (passages scored, passages in all). ``marks`` gives, by chunk id, the characters
    ``[start, end)`` of ``chunk.text`` to highlight; a span outside the text is dropped. ``reading`` says how scores
    are read. Of a search that is done, ``cut`` hides what is read lower from the second column, and ``withheld``
    is a sentence to show in place of all of it. A ``done`` search whose result was not reranked is shown as
    ``failed``. Raises ValueError for ``done`` without a result and for a ``top_k`` below 1.
    """
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1; it is {top_k}.")
    if state == "done" and result is None:
        raise ValueError("A search that is done needs its result.")
    reranked = result if state in ("done", "scoring") and result is not None and result.reranked else None
    if state == "done" and reranked is None:
        state = "failed"
    finished = reranked if state == "done" else None
    hits = reranked.after if reranked else ()
    hidden = _hidden(finished, top_k, reading, cut, bool(withheld))
    last = top_k - hidden
    left, right = before[:top_k], hits[:last]
    chunks = {c.chunk.id: c.chunk for c in [*left, *(hit.candidate for hit in right)]}
    waiting = before[len(hits) : top_k] if state in ("waiting", "scoring") else ()
    note = _note(state, (len(hits), len(before), len(right)), progress)
    seen = judged or Shown()
    return Payload(
        state=state,
        query=query,
        top_k=top_k,
        progress={"done": progress[0], "total": progress[1]} if progress and state == "scoring" else None,
        summary=flow_summary(finished, top_k, len(right)),
        before=_first_column(left, len(before), by_chunk_id(hits), finished is not None),
        after=Column(
            heading=f"Second look — {_kind(result)}",
            short="Second look",
            note=withheld if withheld and finished else note + _below(hidden, cut),
            cards=second_cards(right, top_k, reranked, reading, finished is not None)
            + pending_cards(waiting),
        ),
        passages={key(chunk): passage(chunk, marks.get(chunk.id), seen) for chunk in chunks.values()},
        flow=[_line(hit, top_k, last) for hit in hits if hit.rank <= last or hit.candidate.rank <= top_k],
        confirmed=seen.confirmed,
    )


def _hidden(
    finished: SearchResult | None, top_k: int, reading: Reading | None, cut: float | None, all_of_it: bool
) -> int:
    """How many of the first ``top_k`` places of the second order are not shown."""
    if finished is None:
        return 0
    places = min(top_k, len(finished.after))
    if all_of_it:
        return places
    if reading is None or cut is None or not reading.values:
        return 0
    return max(places - reading.above(finished, cut), 0)


def _below(hidden: int, cut: float | None) -> str:
    """What the note adds where passages are hidden."""
    return f"; {hidden} below {three_digits(cut)} hidden" if hidden and cut is not None else ""


def _first_column(
    left: Sequence[Candidate], total: int, after: Mapping[int, RankedHit], finished: bool
) -> Column:
    cards = [first_card(candidate, after.get(candidate.chunk.id)) for candidate in left]
    for card in cards:
        if finished and card["movement"] is None:
            card["origin"], card["spoken"] = "not scored", "not scored, so not in the second look"
    note = f"{count_of(total, 'passage')} found, {len(left)} shown" if total else "No passage was found."
    return Column(heading="First look — bi-encoder", short="First look", note=note, cards=cards)


def _kind(result: SearchResult | None) -> str:
    """What kind of model the second look is; a cross-encoder, as long as nobody says otherwise."""
    reranker = result.models.reranker if result else None
    kind = reranker.spec.architecture if reranker else "cross-encoder"
    return "cross-encoder" if kind.endswith("cross-encoder") else kind.replace("-", " ")


def _note(state: State, counts: tuple[int, int, int], progress: tuple[int, int] | None) -> str:
    """The line under the second heading: what is in the column, or why it is not there.

    ``counts`` is (passages in the second order, candidates, passages shown of the second order).
    """
    scored, total, shown = counts
    if state == "failed":
        return "The order was not reranked, so there is no second look. The first look’s order stands."
    if state == "done":
        part = f"{scored} of " if scored < total else ""
        return f"{part}{count_of(total, 'passage')} reranked, {shown} shown"
    if state == "scoring" and scored:
        return f"{scored} of {count_of(total, 'passage')} scored; the order may still change"
    if state == "scoring" and progress:
        return (
            f"{progress[0]} of {count_of(progress[1], 'passage')} scored; until then, the first look’s order"
        )
    return "Waiting for the reranker; until then, the first look’s order"


def _line(hit: RankedHit, top_k: int, last: int) -> Line:
    """``last`` is the last place that the second column shows."""
    size = abs(hit.movement)
    return Line(
        key=key(hit.candidate.chunk),
        before=hit.candidate.rank,
        after=hit.rank,
        direction=direction(hit.movement),
        weight="thick" if size >= THICK_MOVE else "medium" if size >= MEDIUM_MOVE else "thin",
        enters=hit.candidate.rank > top_k,
        leaves=hit.rank > last,
    )
