"""What the comparison shows, as plain data: records of a search → a JSON-able payload.

Pure: no Streamlit, no models, no clock. The page hands the payload to `ui.comparison`, whose JavaScript
only places these words and numbers; whatever is decided about them is decided, and tested, here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rerank.calibration.reading import Reading
from rerank.records import SearchResult
from retrieval.records import Candidate
from ui.presentation.cards import key, passage
from ui.presentation.columns import Drawn, Look, first_column, other_column, tell_apart
from ui.presentation.judgements import Shown
from ui.presentation.payload import Payload, State


def comparison_payload(  # noqa: PLR0913 (what a drawing depends on, each by its name)
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
    name: str = "",
    other: Look | None = None,
) -> Payload:
    """Both columns, the flow between them and the passages' texts, for the first ``top_k`` places.

    While a search is ``scoring``, ``result`` may hold the order so far; passages that wait for their score stand
    under it. ``progress`` is (passages scored, passages in all). ``marks`` gives, by chunk id, the characters
    ``[start, end)`` of ``chunk.text`` to highlight; a span outside the text is dropped. ``reading`` says how scores
    are read. Of a search that is done, ``cut`` hides what is read lower from the second column, and ``withheld``
    is a sentence to show in place of all of it. A ``done`` search whose result was not reranked is shown as
    ``failed``. ``other`` is the second look of a second reranker, B, in a column of its own; A is then called by its
    ``name``. Raises ValueError for ``done`` without a result and for a ``top_k`` below 1.
    """
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1; it is {top_k}.")
    if state == "done" and result is None:
        raise ValueError("A search that is done needs its result.")
    one = Drawn(Look(result, state, progress, reading, cut, withheld), before, top_k)
    left, judgements_shown = before[:top_k], judged or Shown()
    if other is None:
        heading, short, second = f"Second look — {_kind(result)}", "Second look", None
    else:
        heading, short, second = f"A — {name}", "Second look A", Drawn(other, before, top_k)
    after = one.column(heading, short)
    beside = None
    if second is not None and other is not None:
        beside = other_column(one, second, other.name)
        tell_apart(after, one.shown, second, "B")
        tell_apart(beside, second.shown, one, "A")
    candidates = [*left, *(hit.candidate for hit in (*one.shown, *(second.shown if second else ())))]
    chunks = {candidate.chunk.id: candidate.chunk for candidate in candidates}
    return Payload(
        state=one.state,
        query=query,
        top_k=top_k,
        progress=one.progress,
        summary=one.summary,
        before=first_column(left, len(before), one, second),
        after=after,
        other=beside,
        passages={
            key(chunk): passage(chunk, marks.get(chunk.id), judgements_shown) for chunk in chunks.values()
        },
        flow=one.flow(),
        confirmed=judgements_shown.confirmed,
    )


def _kind(result: SearchResult | None) -> str:
    """What kind of model the second look is; a cross-encoder, as long as nobody says otherwise. Or what is fused."""
    if result is not None and result.parts:
        return f"{' and '.join(part.name for part in result.parts if not part.why_not) or 'nothing'}, fused"
    reranker = result.models.reranker if result else None
    kind = reranker.spec.architecture if reranker else "cross-encoder"
    return "cross-encoder" if kind.endswith("cross-encoder") else kind.replace("-", " ")
