"""What one search teaches, in words: its insight, what the reranker did, and what it cost.

Pure: everything is computed from the result of that very search.
"""

from __future__ import annotations

from collections.abc import Sequence

from rerank.agreement import Agreement
from rerank.records import FirstLook, RankedHit, SearchResult
from ui.presentation.formatting import count_of, direction, duration, three_digits
from ui.presentation.payload import Cost, StageTime

FEWEST_TIMED = (
    20  # passages that the model has to have read in a search for it to tell what others would take
)


def _counts(hits: Sequence[RankedHit], top_k: int) -> tuple[int, int, int]:
    """Risers, fallers and newcomers (passages from below place ``top_k``) among the shown."""
    ways = [direction(hit.movement) for hit in hits]
    return ways.count("riser"), ways.count("faller"), sum(hit.candidate.rank > top_k for hit in hits)


def flow_summary(result: SearchResult | None, top_k: int, visible: int | None = None) -> str:
    """The rank flow in words, for those who do not see it; ``visible`` of the first ``top_k`` places are shown."""
    if result is None or visible == 0:
        return ""
    hits = result.after[: top_k if visible is None else visible]
    rose, fell, newcomers = _counts(hits, top_k)
    steady = len(hits) - rose - fell
    below = f"; {newcomers} came from below place {top_k}" if newcomers else ""
    return f"Of the {len(hits)} shown, {rose} rose, {fell} fell and {steady} kept their place{below}."


def insight(result: SearchResult, top_k: int) -> str:
    """The insight of this very search, in a sentence or two."""
    if len(result.before) < 2 or not result.reranked:
        return _nothing_to_compare(result)
    hits = result.after[:top_k]
    rose, fell, newcomers = _counts(hits, top_k)
    best = hits[0].candidate.rank
    stood = f"The best passage stood at place {best} before reranking."
    if best > top_k:
        return f"{stood} Retrieving only {top_k} would have missed it."
    if best > 1:
        return f"{stood} {_others(len(result.before), len(hits), newcomers, top_k)}"
    if not rose + fell:
        return f"Both looks agree: the {len(hits)} shown stand in the same order."
    below = f", {newcomers} of them from below place {top_k}" if newcomers else ""
    return (
        f"Both looks agree on the best passage; {rose + fell} of the {len(hits)} shown changed place{below}."
    )


def agreement_sentence(agreement: Agreement) -> str:
    """How two rerankers, A and B, agree, in a sentence."""
    best = "the same best passage" if agreement.same_best else "another best passage each"
    first = (
        f"A and B share {agreement.shared} of their first {count_of(agreement.top_k, 'passage')}, with {best}"
    )
    if agreement.tau is None:
        return f"{first}."
    return (
        f"{first}; over the {agreement.compared} that both scored, Kendall’s τ is {three_digits(agreement.tau)} "
        "(1 is the same order, 0 no relation)."
    )


def _nothing_to_compare(result: SearchResult) -> str:
    if not result.before:
        return "No passage was found."
    if not result.reranked:
        return "This is the first look’s order alone: the passages were not reranked."
    return "Only one passage was found, so there was nothing to reorder."


def _others(total: int, count: int, newcomers: int, top_k: int) -> str:
    """What else happened, where the best passage came from within the shown list."""
    if total <= count:
        return f"All {total} passages found are shown."
    if newcomers:
        return f"{newcomers} of the {count} shown came from below place {top_k}."
    return f"The {count} shown are the same passages in another order."


def timing_bar(result: SearchResult | FirstLook, other: SearchResult | None = None) -> list[StageTime]:
    """The stages of a search in order; the shares add up to 1 (all are 0 where nothing took time).

    ``other`` is the answer of a second reranker, B, that worked at the same time.
    """
    timings = result.timings
    rows: list[tuple[str, float, SearchResult | None]] = [
        ("encode", timings.encode, None), ("retrieve", timings.retrieve, None),
    ]  # fmt: skip
    if isinstance(result, SearchResult) and result.parts:
        there = [(part.name, part.result) for part in result.parts if part.result is not None]
        rows += [(f"rerank by {name}", answer.timings.rerank, answer) for name, answer in there]
    elif isinstance(result, SearchResult):
        rows.append(("rerank" if other is None else "rerank A", timings.rerank, result))
    if other is not None:
        rows.append(("rerank B", other.timings.rerank, other))
    total = sum(ms for _, ms, _ in rows)
    return [_stage(name, ms, total, reranked) for name, ms, reranked in rows]


def _stage(name: str, ms: float, total: float, reranked: SearchResult | None) -> StageTime:
    stage = StageTime(stage=name, ms=ms, share=ms / total if total else 0.0, text=duration(ms))
    if reranked is not None and reranked.reranked:
        earlier = f", {reranked.cached} of them scored earlier" if reranked.cached else ""
        stage["detail"] = count_of(len(reranked.after), "passage") + earlier
    return stage


def costs(result: SearchResult, counts: Sequence[int]) -> list[Cost]:
    """What reranking each of ``counts`` passages takes here; empty where this search does not tell.

    It does not where it ran the model for fewer than `FEWEST_TIMED` passages, or for the first time: three passages
    of a cold model would make two hundred look like half a minute.
    """
    if (
        not result.reranked
        or result.cold
        or result.scored - result.cached < FEWEST_TIMED
        or not result.cost_of(1)
    ):
        return []
    rows = []
    for count in counts:
        estimated = count != result.scored or result.cached > 0
        ms = result.cost_of(count)
        text = f"about {duration(ms)}" if estimated else duration(ms)
        rows.append(Cost(candidates=count, ms=ms, text=text, estimated=estimated))
    return rows
