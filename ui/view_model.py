"""What the comparison shows, as plain data: records of a search → a JSON-able payload.

Pure: no Streamlit, no models, no clock. The page hands the payload to `ui.comparison`, whose JavaScript
only places these words and numbers; whatever is decided about them is decided, and tested, here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ingest.records import Chunk
from rerank.records import RankedHit, SearchResult, scored
from retrieval.records import Candidate
from ui.excerpt import excerpt, whole
from ui.lesson import costs, flow_summary, insight, timing_bar
from ui.payload import Card, Column, Line, Passage, Payload, Score, State
from ui.words import (
    count_of,
    direction,
    location,
    movement_badge,
    movement_spoken,
    relevance_text,
    three_digits,
)

__all__ = ["comparison_payload", "costs", "insight", "timing_bar"]

# A line's thickness: from 3 places on a move is no longer a swap of neighbours, and from 10 on it
# crosses a whole default list of results.
MEDIUM_MOVE, THICK_MOVE = 3, 10

COSINE_HELP = (
    "How alike the vectors of the question and the passage are, from −1 to 1: what the first look orders by."
)
RELEVANCE_HELP = (
    "How well the reranker finds the question answered, from 0 to 1; it is not a measured probability."
)
LOGIT_HELP = (
    "The reranker's raw score, without bounds: higher is better, and it compares passages of one search only."
)
MIX_HELP = "The reranker's score combined with the cosine: what the second look orders by with this model."
UNSEEN_END = "The passage is too long for the reranker, which did not see its end."


def comparison_payload(
    *,
    query: str,
    before: Sequence[Candidate],
    result: SearchResult | None,
    top_k: int,
    state: State,
    progress: tuple[int, int] | None,
    marks: Mapping[int, tuple[int, int]],
) -> Payload:
    """Both columns, the flow between them and the passages' texts, for the first ``top_k`` places.

    ``progress`` is (passages scored, passages in all). ``marks`` gives, by chunk id, the characters
    ``[start, end)`` of ``chunk.text`` to highlight; a span outside the text is dropped. A ``done``
    search whose result was not reranked is shown as ``failed``. Raises ValueError for ``done``
    without a result and for a ``top_k`` below 1.
    """
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1; it is {top_k}.")
    if state == "done" and result is None:
        raise ValueError("A search that is done needs its result.")
    finished = result if state == "done" and result is not None and result.reranked else None
    if state == "done" and finished is None:
        state = "failed"
    hits = finished.after if finished else ()
    left, right = before[:top_k], hits[:top_k]
    shown = {c.chunk.id: c.chunk for c in [*left, *(hit.candidate for hit in right)]}
    pending = state in ("waiting", "scoring")
    return Payload(
        state=state,
        query=query,
        top_k=top_k,
        progress={"done": progress[0], "total": progress[1]} if progress and state == "scoring" else None,
        summary=flow_summary(finished, top_k),
        before=_first_column(left, len(before), scored(hits)),
        after=Column(
            heading=f"Second look — {_kind(result)}",
            short="Second look",
            note=_note(state, len(hits), len(right), progress),
            cards=_pending_cards(left) if pending else [_second_card(hit, top_k, finished) for hit in right],
        ),
        passages={_key(chunk): _passage(chunk, marks.get(chunk.id)) for chunk in shown.values()},
        flow=[_line(hit, top_k) for hit in hits if min(hit.rank, hit.candidate.rank) <= top_k],
    )


def _key(chunk: Chunk) -> str:
    return f"c{chunk.id}"


def _passage(chunk: Chunk, mark: tuple[int, int] | None) -> Passage:
    parts = excerpt(chunk.text, mark)
    return Passage(
        title=chunk.title or chunk.path,
        location=location(chunk),
        excerpt=parts,
        full=whole(chunk.text, mark),
        rest=any(part["ellipsis"] for part in parts),
    )


def _first_column(left: Sequence[Candidate], total: int, after: Mapping[int, RankedHit]) -> Column:
    cards = [_first_card(candidate, after.get(candidate.chunk.id)) for candidate in left]
    note = f"{count_of(total, 'passage')} found, {len(left)} shown" if total else "No passage was found."
    return Column(heading="First look — bi-encoder", short="First look", note=note, cards=cards)


def _kind(result: SearchResult | None) -> str:
    """What kind of model the second look is; a cross-encoder, as long as nobody says otherwise."""
    reranker = result.models.reranker if result else None
    kind = reranker.spec.architecture if reranker else "cross-encoder"
    return "cross-encoder" if kind.endswith("cross-encoder") else kind.replace("-", " ")


def _note(state: State, reranked: int, shown: int, progress: tuple[int, int] | None) -> str:
    """The line under the second heading: what is in the column, or why it is not there."""
    if state == "failed":
        return "The order was not reranked, so there is no second look. The first look’s order stands."
    if state == "done":
        return f"{count_of(reranked, 'passage')} reranked, {shown} shown"
    if state == "scoring" and progress:
        return (
            f"{progress[0]} of {count_of(progress[1], 'passage')} scored; until then, the first look’s order"
        )
    return "Waiting for the reranker; until then, the first look’s order"


def _pending_cards(left: Sequence[Candidate]) -> list[Card]:
    """The first look's order as a stand-in for the second: no score and no movement, for there is none yet."""
    cards = [_first_card(candidate, None) for candidate in left]
    for card in cards:
        card["scores"] = []
    return cards


def _first_card(candidate: Candidate, hit: RankedHit | None) -> Card:
    score = Score(label="cosine", value=three_digits(candidate.score), help=COSINE_HELP)
    card = Card(
        key=_key(candidate.chunk), rank=candidate.rank, movement=None, direction="same",
        badge="", spoken="", origin="", scores=[score], notice="",
    )  # fmt: skip
    if hit is not None:
        card["movement"] = hit.movement
        card["direction"] = direction(hit.movement)
        card["origin"] = f"now {hit.rank}" if hit.movement else "stays"
        place = f"place {hit.rank}" if hit.movement else "the same place"
        card["spoken"] = f"{place} in the second look"
    return card


def _second_card(hit: RankedHit, top_k: int, result: SearchResult | None) -> Card:
    truncated = result.truncated if result else frozenset()
    came_from = hit.candidate.rank
    return Card(
        key=_key(hit.candidate.chunk),
        rank=hit.rank,
        movement=hit.movement,
        direction=direction(hit.movement),
        badge=movement_badge(hit.movement),
        spoken=movement_spoken(hit.movement, came_from),
        origin=f"from place {came_from}" if came_from > top_k else "",
        scores=_second_scores(hit),
        notice=UNSEEN_END if hit.candidate.chunk.id in truncated else "",
    )


def _second_scores(hit: RankedHit) -> list[Score]:
    label = "score" if hit.relevance is None else "logit"  # a late-interaction score is no logit
    scores = [Score(label=label, value=three_digits(hit.cross_logit), help=LOGIT_HELP)]
    if hit.relevance is not None:
        scores.insert(0, Score(label="relevance", value=relevance_text(hit.relevance), help=RELEVANCE_HELP))
    if hit.cross_logit != hit.logit:
        scores.append(Score(label="mixed score", value=three_digits(hit.logit), help=MIX_HELP))
    return scores


def _line(hit: RankedHit, top_k: int) -> Line:
    size = abs(hit.movement)
    return Line(
        key=_key(hit.candidate.chunk),
        before=hit.candidate.rank,
        after=hit.rank,
        direction=direction(hit.movement),
        weight="thick" if size >= THICK_MOVE else "medium" if size >= MEDIUM_MOVE else "thin",
        enters=hit.candidate.rank > top_k,
        leaves=hit.rank > top_k,
    )
