"""Passages for training: short windows of one to three sentences, and chunks as the product cuts them."""

from __future__ import annotations

import re

from rerank.scorers.windowed import WORD, words
from retrieval.sparse import STOP_WORDS

SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])")


def sentences(text: str) -> list[str]:
    """``text`` cut at sentence ends; a piece without any is one sentence."""
    return [piece.strip() for piece in SENTENCE_END.split(text) if piece.strip()]


def keyword_query(query: str) -> str:
    """``query`` as people type it into a search box: stop words and punctuation dropped, order kept.

    Queries of which fewer than two words would stay are returned as they are.
    """
    keywords = [word for word in WORD.findall(query) if word.lower() not in STOP_WORDS]
    return " ".join(keywords) if len(keywords) >= 2 else query


def first_words(text: str, limit: int) -> str:
    """The first ``limit`` words of ``text``, spacing collapsed."""
    return " ".join(text.split()[:limit])


def best_window(query: str, text: str, size: int, limit: int, rarity: dict[str, float]) -> str:
    """The ``size`` neighbouring sentences that share most with ``query``, at most ``limit`` words.

    Shared words count by their ``rarity`` (inverse document frequency); the earliest window wins ties,
    so that positives and negatives are cut by one rule and the cut itself gives nothing away.
    """
    parts = sentences(text)
    query_words = set(words(query)) - STOP_WORDS
    shared = [sum(rarity.get(word, 1.0) for word in query_words & set(words(part))) for part in parts]
    starts = range(max(1, len(parts) - size + 1))
    best = max(starts, key=lambda start: (sum(shared[start : start + size]), -start))
    return first_words(" ".join(parts[best : best + size]), limit)


def best_chunk(query: str, text: str, limit: int, rarity: dict[str, float]) -> str:
    """Like ``best_window`` for a chunk: whole sentences of up to ``limit`` words, cut at every half limit."""
    parts = text.split()
    if len(parts) <= limit:
        return " ".join(parts)
    query_words = set(words(query)) - STOP_WORDS
    starts = range(0, len(parts) - limit // 2, max(1, limit // 2))
    pieces = [" ".join(parts[start : start + limit]) for start in starts]
    return max(
        pieces, key=lambda piece: sum(rarity.get(word, 1.0) for word in query_words & set(words(piece)))
    )
