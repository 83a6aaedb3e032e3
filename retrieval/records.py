"""The record that retrieval makes."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.records import Chunk


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage as the bi-encoder ranks it: ``rank`` from 1, ``score`` the cosine in [-1, 1]."""

    chunk: Chunk
    rank: int
    score: float
