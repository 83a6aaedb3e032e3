"""From labelled folders to what training needs: mined queries, cases to choose by, cases to judge by."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ingest.errors import UsageError
from rerank.training.data import LabelledSet, Query
from rerank.training.evaluate import Case, build_cases
from rerank.training.mining import RANKS, Ranks, TextEncoder, mine, opening, title_queries
from rerank.training.sampling import Source, word_rarity
from rerank.training.split import Split, limited, split_by_document


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of each set is used for what. Counts are of queries unless said otherwise.

    ``validation`` and ``gate`` are totals, dealt over the sets in proportion to their queries; ``limits``
    caps sets by name. Of the ``unseen`` sets nothing is trained on: a share of what is chosen by is then of
    matters that the model has never met. ``ranks`` says by set between which ranks negatives are mined (``None``:
    only judged ones are taken).
    """

    seed: int = 0
    held_out_share: float = 0.1
    limits: Mapping[str, int] = field(default_factory=dict)
    negatives: int = 60
    ranks: Mapping[str, Ranks | None] = field(default_factory=dict)
    title_share: float = 0.25
    validation: int = 160
    validation_candidates: int = 20
    gate: int = 400
    gate_candidates: int = 50
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PreparedData:
    """Everything that is decided before the first step. ``gate`` and ``validation`` share no query."""

    sources: tuple[Source, ...]
    validation: tuple[Case, ...]
    gate: tuple[Case, ...]


def prepare_data(
    sets: Sequence[LabelledSet], encoder: TextEncoder, plan: Plan, say: Callable[[str], None]
) -> PreparedData:
    """Splits, mines and builds cases for every set; ``say`` hears a line a set.

    Raises ``UsageError`` where no set leaves both something to learn and something to judge by.
    """
    sources, validation, gate = [], list[Case](), list[Case]()
    used = [limited(labelled_set, plan.limits.get(labelled_set.name, 0), plan.seed) for labelled_set in sets]
    total = sum(len(labelled.queries) for labelled in used)
    for labelled in used:
        split = _split(labelled, plan)
        source = _mine_source(labelled, split, encoder, plan) if split.train else None
        to_choose, judged = _held_out(split.held_out, plan, len(labelled.queries) / total)
        validation += build_cases(labelled, to_choose, encoder, plan.validation_candidates)
        gate += build_cases(labelled, judged, encoder, plan.gate_candidates)
        if source is not None and source.mined:
            sources.append(source)
        say(
            f"{labelled.name}: {len(source.mined) if source else 0} training queries, "
            f"{len(to_choose)} held out to choose by, {len(judged)} to judge by"
        )
    if not sources or not validation or not gate:
        raise UsageError(
            "There is too little to train on: at least one set needs several queries whose documents differ, "
            "so that some can be held out."
        )
    return PreparedData(tuple(sources), tuple(validation), tuple(gate))


def _mine_source(labelled: LabelledSet, split: Split, encoder: TextEncoder, plan: Plan) -> Source:
    """The training side of a set: its questions, and titles as queries beside them."""
    allowed = frozenset(labelled.documents) - split.held_out_documents
    titles = title_queries(labelled, allowed, int(plan.title_share * len(split.train)), plan.seed)
    ranks = plan.ranks.get(labelled.name, RANKS)
    mined = mine(labelled, (*split.train, *titles), allowed, encoder, plan.negatives, ranks)
    pool = tuple(sorted(allowed))
    names = sorted(labelled.documents)
    return Source(
        labelled, tuple(mined), pool, word_rarity(labelled, pool),
        queries=encoder.queries([query.text for query in mined]),
        openings=encoder.passages([opening(labelled.documents[name]) for name in names]),
        rows={name: row for row, name in enumerate(names)},
    )  # fmt: skip


def _split(labelled: LabelledSet, plan: Plan) -> Split:
    if labelled.name in plan.unseen:
        return Split((), tuple(labelled.queries), frozenset(labelled.documents))
    return split_by_document(labelled, plan.held_out_share, plan.seed)


def _held_out(queries: Sequence[Query], plan: Plan, share: float) -> tuple[list[Query], list[Query]]:
    """Queries to choose by (at most half of the held-out ones) and queries to judge by."""
    shuffled = list(queries)
    random.Random(f"{plan.seed}:held out").shuffle(shuffled)
    choose = min(max(1, round(share * plan.validation)), len(shuffled) // 2)
    return shuffled[:choose], shuffled[choose : choose + max(1, round(share * plan.gate))]
