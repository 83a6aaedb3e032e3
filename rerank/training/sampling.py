"""Which pairs a step sees: a function of the seed and the step's number, so that a run can be resumed."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rerank.scorers.windowed import words
from rerank.training.data import LabelledSet
from rerank.training.mining import MinedQuery, opening
from rerank.training.windows import best_chunk, best_window, keyword_query, sentences


@dataclass(frozen=True, slots=True)
class Mixture:
    """How training pairs are made.

    Shares are in [0, 1]: of steps on short windows (the others see chunks), of questions reduced to
    keywords, of passages that lose their title, and of questions replaced by a sentence taken out of the
    answer (the inverse cloze task of Lee, Chang and Toutanova 2019), which rewards matter over shared words.
    A group is one positive, ``hard`` mined negatives (half of them of the hardest ``hardest``) and ``easy``
    random ones. ``shares`` names sets that are dealt more or less often than in proportion to their queries:
    {set: share of the groups}; the others divide what is left.
    """

    groups: int = 8
    hard: int = 3
    easy: int = 1
    short_steps: float = 0.7
    keywords: float = 0.25
    untitled: float = 0.3
    cloze: float = 0.0
    short_words: int = 60
    chunk_words: tuple[int, int] = (70, 160)
    hardest: int = 12
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """A labelled set with what was mined from it, and how rare each of its words is (log N/df).

    ``queries`` (mined, dim) and ``openings`` (documents, dim) are the bi-encoder's unit vectors, the rows of
    ``openings`` named by ``rows``.
    """

    labelled: LabelledSet
    mined: tuple[MinedQuery, ...]
    pool: tuple[str, ...]
    rarity: dict[str, float]
    queries: NDArray[np.float32]
    openings: NDArray[np.float32]
    rows: dict[str, int]

    def cosines(self, query: int, names: Sequence[str]) -> tuple[float, ...]:
        """The bi-encoder's cosine of mined query ``query`` with the opening of each document in ``names``."""
        values = self.openings[[self.rows[name] for name in names]] @ self.queries[query]
        return tuple(values.tolist())


@dataclass(frozen=True, slots=True)
class Group:
    """A query with its passages, the positive first, and the bi-encoder's cosine of each."""

    query: str
    passages: tuple[str, ...]
    cosines: tuple[float, ...]


def word_rarity(labelled: LabelledSet, pool: Sequence[str]) -> dict[str, float]:
    """Inverse document frequency over the openings of ``pool``."""
    counts = Counter(word for name in pool for word in set(words(opening(labelled.documents[name]))))
    return {word: math.log((1 + len(pool)) / count) for word, count in counts.items()}


class Sampler:
    """Deals groups in an order that the seed decides: an epoch deals as many as there are mined queries.

    Each set has its share of an epoch and deals its queries in turn, each once before one comes again.
    """

    def __init__(self, sources: Sequence[Source], mixture: Mixture, seed: int) -> None:
        """Prepare dealing over all ``sources``; raises ``ValueError`` where nothing was mined."""
        self._sources = tuple(source for source in sources if source.mined)
        self._mixture, self._seed = mixture, seed
        if not self._sources:
            raise ValueError("no training query has both a positive and a negative")
        self._length = sum(len(source.mined) for source in self._sources)
        self._counts = _counts(self._sources, mixture.shares, self._length)
        self._epoch, self._order = -1, list[tuple[int, int]]()

    def __len__(self) -> int:
        """Training queries, so groups an epoch."""
        return self._length

    def step(self, number: int) -> list[Group]:
        """The groups of step ``number`` (from 0)."""
        short = random.Random(f"{self._seed}:{number}").random() < self._mixture.short_steps
        first = number * self._mixture.groups
        return [self._deal(card, short) for card in range(first, first + self._mixture.groups)]

    def _deal(self, number: int, short: bool) -> Group:
        epoch, place = divmod(number, self._length)
        if epoch != self._epoch:
            self._order = [
                (index, self._query(index, turn))
                for index, count in enumerate(self._counts)
                for turn in range(epoch * count, (epoch + 1) * count)
            ]
            random.Random(f"{self._seed}:epoch {epoch}").shuffle(self._order)
            self._epoch = epoch
        index, query = self._order[place]
        dice = random.Random(f"{self._seed}:group {number}")
        return self._group(self._sources[index], query, short, dice)

    def _query(self, index: int, turn: int) -> int:
        """The query that set ``index`` deals in its turn ``turn`` (from 0), in a new order each time round."""
        size = len(self._sources[index].mined)
        lap, place = divmod(turn, size)
        return _permutation(f"{self._seed}:{self._sources[index].labelled.name}:{lap}", size)[place]

    def _group(self, source: Source, query: int, short: bool, dice: random.Random) -> Group:
        mixture, mined = self._mixture, source.mined[query]
        names = [dice.choice(mined.positives)]
        # What people judged goes first: it is sure, where a mined negative is a guess.
        judged = dice.sample(mined.judged, min(mixture.hard, len(mined.judged)))
        names += judged
        names += _hard(mined.negatives, mixture.hard - len(judged), mixture.hardest, dice)
        positives = set(mined.positives)
        while len(names) < 1 + mixture.hard + mixture.easy:
            name = dice.choice(source.pool)
            if name not in positives:
                names.append(name)
        untitled = dice.random() < (0.85 if mined.is_title else mixture.untitled)
        limit = mixture.short_words if short else dice.randint(*mixture.chunk_words)
        size = dice.randint(1, 3)
        query_text, texts = mined.text, [source.labelled.documents[name].text for name in names]
        if dice.random() < mixture.cloze:
            query_text, texts[0] = _take_sentence(query_text, texts[0], dice)
        passages = []
        for name, whole in zip(names, texts, strict=True):
            entry = source.labelled.documents[name]
            if short:
                text = best_window(query_text, whole, size, limit, source.rarity)
            else:
                text = best_chunk(query_text, whole, limit, source.rarity)
            passages.append(text if untitled or not entry.title else f"{entry.title}\n{text}")
        if dice.random() < mixture.keywords:
            query_text = keyword_query(query_text)
        return Group(query_text, tuple(passages), source.cosines(query, names))


@lru_cache(maxsize=64)
def _permutation(key: str, size: int) -> Sequence[int]:
    order = list(range(size))
    random.Random(key).shuffle(order)
    return order


def _counts(sources: Sequence[Source], shares: Mapping[str, float], groups: int) -> list[int]:
    """How many of an epoch's ``groups`` each set deals."""
    left = max(0.0, 1.0 - sum(shares.values()))
    others = sum(len(source.mined) for source in sources if source.labelled.name not in shares)
    fractions = [
        groups * shares.get(source.labelled.name, left * len(source.mined) / max(1, others))
        for source in sources
    ]
    scale = groups / sum(fractions)
    ends = [round(scale * sum(fractions[: place + 1])) for place in range(len(fractions))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _hard(negatives: Sequence[str], count: int, hardest: int, dice: random.Random) -> list[str]:
    """``count`` of the negatives (hardest first), half of them of the first ``hardest``; all where there are fewer."""
    first, rest = negatives[:hardest], negatives[hardest:]
    deep = min(count // 2, len(rest))
    near = min(count - deep, len(first))
    deep = min(count - near, len(rest))
    return dice.sample(first, near) + dice.sample(rest, deep)


def _take_sentence(question: str, text: str, dice: random.Random) -> tuple[str, str]:
    """A sentence of ``text`` as the question, and ``text`` without it; unchanged where too little would be left."""
    parts = sentences(text)
    usable = [place for place, part in enumerate(parts) if 6 <= len(part.split()) <= 40]
    if len(parts) < 3 or not usable:
        return question, text
    number = dice.choice(usable)
    return parts[number], " ".join(parts[:number] + parts[number + 1 :])
