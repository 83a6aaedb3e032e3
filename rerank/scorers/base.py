"""What every reranker is to its callers: it scores passages against a query, and says what scores depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ingest.library.token_vectors import TokenStore
from ingest.models.spec import ResolvedModel
from ingest.services.access import ServiceAccess

OnBatch = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of n passages, in the order in which the passages were given.

    ``logits`` has shape (n,) and is float32, higher is better. ``tokens`` has shape (n,) and counts what
    the model read for each pair, special tokens included; ``truncated`` has shape (n,) and is true where
    the end of a passage did not fit. ``windows`` says of each passage between which characters the reranker read
    it, ``None`` for one that was not cut to a window (empty: none was); what leads it, its title, was read too.
    ``cached`` of the n scores were known from before, and no model was run for them.
    """

    logits: NDArray[np.float32]
    tokens: NDArray[np.int64]
    truncated: NDArray[np.bool_]
    windows: tuple[tuple[int, int] | None, ...] = ()
    cached: int = 0

    def __post_init__(self) -> None:
        if not len(self.logits) == len(self.tokens) == len(self.truncated):
            raise ValueError(
                f"{len(self.logits)} logits, {len(self.tokens)} token counts, {len(self.truncated)} truncation flags"
            )
        if self.windows and len(self.windows) != len(self.logits):
            raise ValueError(f"{len(self.logits)} logits, {len(self.windows)} windows")


@dataclass(frozen=True, slots=True)
class Options:
    """What a person chose about running rerankers; each kind takes of it what it has a use for.

    ``engine`` is one of `rerank.engines.choose.ENGINES`, and without ``wait`` nothing is measured before the first
    answer. ``access`` holds the addresses of services and the keys to them. ``token_store`` is that of the library
    whose passages will be scored, where that is known.
    """

    engine: str = "auto"
    wait: bool = True
    access: ServiceAccess = field(default_factory=ServiceAccess)
    token_store: TokenStore | None = None


@dataclass(frozen=True, slots=True)
class PassageTokens:
    """What a model made of a passage: unit vectors (tokens, dim) of those tokens that are compared, at least one.

    ``read`` counts the tokens that the model read, special ones included; ``truncated``: the end did not fit.
    """

    vectors: NDArray[np.float32]
    read: int
    truncated: bool = False


class TokenVectors(Protocol):
    """A reranker's token vectors of passages, which depend on the passages alone, so that they may be stored."""

    def fits(self, passages: Sequence[str]) -> NDArray[np.bool_]:
        """Of which passages (n,) the model reads the end. Others are read by a window that the query chooses."""

    def encode(self, passages: Sequence[str]) -> Iterator[tuple[list[int], list[PassageTokens]]]:
        """Batches of passages of like length: their places in ``passages``, and what the model made of them."""


class Scorer(Protocol):
    """A reranker. One instance serves every thread: implementations lock where their model must not be shared.

    Implementations inherit from it what they do not say themselves.
    """

    @property
    def model(self) -> ResolvedModel:
        """Which model this is, with the spec that says how to read its scores."""

    @property
    def engine(self) -> str:
        """What runs it, and how: other names for whatever gives other scores, int8 and fp32 for one."""
        return type(self).__qualname__

    @property
    def window(self) -> int | None:
        """How many tokens of a passage are read at most; ``None`` for as many as there is room for."""
        return None

    @property
    def token_vectors(self) -> TokenVectors | None:
        """What makes the vectors that passages are compared by; ``None`` where query and passage are read together."""
        return None

    def room(self, query: str) -> int | None:
        """Tokens of a passage that are read beside ``query``; ``None`` where they cannot be counted here."""
        return None

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        """Score every passage; ``on_batch`` hears how many more are done. An empty list gives empty scores."""


def pair_room(tokenizer: Tokenizer, query: str, max_length: int) -> int:
    """Tokens of a passage that fit beside ``query`` where both make one text of ``max_length`` tokens.

    A query that leaves less than half is cut, so that the passage is read too.
    """
    room = max_length - tokenizer.num_special_tokens_to_add(True)
    asked = len(tokenizer.encode(query, add_special_tokens=False).ids)
    return max(room - asked, room // 2)


def empty_scores() -> Scores:
    """Scores of no passages."""
    return Scores(np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))


def joined(one: Scores, other: Scores) -> Scores:
    """The scores of two lists of passages as those of both, one after the other."""
    return Scores(
        np.concatenate([one.logits, other.logits]),
        np.concatenate([one.tokens, other.tokens]),
        np.concatenate([one.truncated, other.truncated]),
        (*_windows(one), *_windows(other)) if one.windows or other.windows else (),
        one.cached + other.cached,
    )


def _windows(scores: Scores) -> tuple[tuple[int, int] | None, ...]:
    return scores.windows or (None,) * len(scores.logits)
