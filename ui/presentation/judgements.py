"""Judgements between the comparison and the library: events as the browser sends them, and what cards show.

The browser keeps a list of what it has not seen confirmed and sends
all of it each time, numbered, so that nothing is lost where several clicks become one rerun, and nothing counts twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.library.label_records import Grade
from rerank.calibration.reading import Reading
from rerank.labels.suggest import DEFAULT_THRESHOLD, suggest
from rerank.records import SearchResult

PASSAGE_HASH = re.compile(r"[0-9a-f]{64}")
# More marks at once would be a list of chores; the next ones come as these are judged.
MOST_SUGGESTED = 3


@dataclass(frozen=True, slots=True)
class Judgement:
    """One click or key: ``number`` counts them within a session; a ``grade`` of ``None`` takes a judgement back."""

    number: int
    query: str
    passage_hash: str
    grade: Grade | None


@dataclass(frozen=True, slots=True)
class Shown:
    """What cards show of judging: grades by passage hash, chunk ids worth judging with the reason, and the number
    of the last judgement that the library has.
    """

    grades: Mapping[str, Grade] = field(default_factory=dict)
    worth: Mapping[int, str] = field(default_factory=dict)
    confirmed: int = 0


def read_events(sent: Any, confirmed: int) -> list[Judgement]:
    """The judgements in what the browser sent that come after number ``confirmed``, in their order.

    What has not the form of a judgement is left out: anything may come from a browser.
    """
    rows = sent if isinstance(sent, list) else []
    judgements = [
        judgement for row in rows if (judgement := _judgement(row)) and judgement.number > confirmed
    ]
    return sorted(judgements, key=lambda judgement: judgement.number)


def _judgement(row: Any) -> Judgement | None:
    if not isinstance(row, dict):
        return None
    number, query, name, grade = (row.get(key) for key in ("n", "query", "passage", "grade"))
    proper = type(number) is int and isinstance(query, str) and isinstance(name, str)
    if not proper or not PASSAGE_HASH.fullmatch(str(name)) or grade not in (None, 0, 1, 2):
        return None
    return Judgement(int(str(number)), str(query), str(name), None if grade is None else Grade(grade))


def shown(
    grades: Mapping[str, Grade],
    result: SearchResult | None,
    reading: Reading | None,
    top_k: int,
    confirmed: int,
) -> Shown:
    """What the cards of a question show: its ``grades``, and what is worth judging among the first ``top_k``."""
    return Shown(grades, _worth(result, reading, grades, top_k), confirmed)


def _worth(
    result: SearchResult | None, reading: Reading | None, grades: Mapping[str, Grade], top_k: int
) -> dict[int, str]:
    if result is None or reading is None:
        return {}
    # What the list is cut by on the screen; where the numbers have no cut, none is in doubt.
    threshold = DEFAULT_THRESHOLD if reading.cut is None else reading.cut
    suggestions = suggest(reading.applied(result), grades, len(result.after), threshold)
    visible = [s for s in suggestions if min(s.hit.rank, s.hit.candidate.rank) <= top_k]
    return {s.hit.candidate.chunk.id: s.reason.value for s in visible[:MOST_SUGGESTED]}


def counts(judged: Mapping[str, Mapping[str, Grade]]) -> tuple[int, int]:
    """How many labels say relevant or partly, and how many say not."""
    grades: Sequence[Grade] = [
        grade for grades_of_query in judged.values() for grade in grades_of_query.values()
    ]
    relevant = sum(grade is not Grade.NOT for grade in grades)
    return relevant, len(grades) - relevant
