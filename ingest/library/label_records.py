"""The records of the store of labels: what was judged, and where it stood in both orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class Grade(IntEnum):
    """How well a passage answers a query."""

    NOT = 0
    PARTLY = 1
    RELEVANT = 2

    @property
    def in_words(self) -> str:
        """The grade for people: “not relevant”, “partly”, “relevant”."""
        return ("not relevant", "partly", "relevant")[self]


@dataclass(frozen=True, slots=True)
class LabelledPassage:
    """A judged passage as it stood: characters ``[start, end)`` of a document; its id is "" where unknown.

    ``context`` is what the models read between the title and the text (see `ingest.records.Chunk`).
    """

    title: str
    text: str
    document_id: str = ""
    path: str = ""
    page: int | None = None
    start: int | None = None
    end: int | None = None
    context: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """One judgement; ``judged`` is aware. ``passage`` is ``None`` where the library no longer has its text.

    ``indexed`` says whether the library holds the passage now, so that a search can find it.
    """

    query: str
    passage_hash: str
    grade: Grade
    judged: datetime
    passage: LabelledPassage | None = None
    indexed: bool = False

    def __post_init__(self) -> None:
        if self.judged.tzinfo is None:
            raise ValueError(f"the label of “{self.query}” has a time without its zone")


@dataclass(frozen=True, slots=True)
class ModelPair:
    """An encoder and a reranker, each with the revision that ranked."""

    encoder: str
    encoder_revision: str
    reranker: str
    reranker_revision: str


@dataclass(frozen=True, slots=True)
class Places:
    """Where a passage stood before and after reranking, from 1."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class JudgedRanks:
    """Both orders of one search, as ``{passage hash: places}`` of all its candidates, and who made them."""

    pair: ModelPair
    places: Mapping[str, Places]


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """How many labels there are: of how many queries, by grade, and not in the index now."""

    queries: int
    labels: int
    by_grade: Mapping[Grade, int]
    not_indexed: int


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What came of labels that were merged in: new ones, changed ones, and ones that stayed as they were."""

    added: int
    changed: int
    kept: int
