"""Held-out queries whose documents, and all documents of the same title, stay out of training."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, replace

from rerank.training.data import LabelledSet, Query


@dataclass(frozen=True, slots=True)
class Split:
    """Queries of both sides, and the ids of the documents that only the held-out side may use."""

    train: tuple[Query, ...]
    held_out: tuple[Query, ...]
    held_out_documents: frozenset[str]


def split_by_document(labelled: LabelledSet, share: float, seed: int) -> Split:
    """About ``share`` of the queries, held out with every document that they, or their titles, touch.

    Queries that share a document, and documents that share a title (of fewer than a tenth of the set),
    fall on the same side together: a group is never cut.
    """
    groups = _groups(labelled)
    by_group: dict[str, list[Query]] = defaultdict(list)
    for query in labelled.queries:
        by_group[groups[next(iter(query.grades))]].append(query)
    names = sorted(by_group)
    random.Random(f"{seed}:{labelled.name}").shuffle(names)
    goal, held_groups, count = share * len(labelled.queries), set[str](), 0
    for name in names[:-1]:
        if count >= goal:
            break
        held_groups.add(name)
        count += len(by_group[name])
    train = tuple(q for q in labelled.queries if groups[next(iter(q.grades))] not in held_groups)
    held_out = tuple(q for q in labelled.queries if groups[next(iter(q.grades))] in held_groups)
    documents = frozenset(name for name in labelled.documents if groups[name] in held_groups)
    return Split(train, held_out, documents)


def _groups(labelled: LabelledSet) -> dict[str, str]:
    """Document id → name of its group: union of "same title" and "answers the same query"."""
    parent = {name: name for name in labelled.documents}

    def find(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for members in _same_title(labelled):
        for other in members[1:]:
            parent[find(other)] = find(members[0])
    for query in labelled.queries:
        first, *others = query.grades
        for other in others:
            parent[find(other)] = find(first)
    return {name: find(name) for name in labelled.documents}


def _same_title(labelled: LabelledSet) -> list[list[str]]:
    """Documents under one title; a title on a tenth of the set or more is a label, not a subject."""
    titles: dict[str, list[str]] = defaultdict(list)
    for name, entry in labelled.documents.items():
        titles[entry.title.strip().lower()].append(name)
    return [names for title, names in titles.items() if title and 10 * len(names) < len(labelled.documents)]


def limited(labelled: LabelledSet, queries: int, seed: int) -> LabelledSet:
    """At most ``queries`` of the set, drawn by ``seed``, with the documents that answer them; 0 for all."""
    if not queries or len(labelled.queries) <= queries:
        return labelled
    numbers = set(
        random.Random(f"{seed}:limit:{labelled.name}").sample(range(len(labelled.queries)), queries)
    )
    chosen_queries = tuple(query for number, query in enumerate(labelled.queries) if number in numbers)
    names = {name for query in chosen_queries for name in query.grades}
    documents = {name: entry for name, entry in labelled.documents.items() if name in names}
    return replace(labelled, documents=documents, queries=chosen_queries)
