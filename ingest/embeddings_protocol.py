"""OpenAI's embeddings protocol: what one request may hold, and what its answer has to be."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.errors import ServiceError
from ingest.served_encoders import OPENAI_TOKENS
from ingest.services import by_index


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may hold: ``inputs`` texts, ``tokens`` in all, ``input_tokens`` each (``None``: any number).

    Tokens are counted as UTF-8 bytes, of which each token of a byte-level vocabulary holds at least one: that is never
    too few, and needs no vocabulary that would have to be downloaded.
    """

    inputs: int
    tokens: int
    input_tokens: int | None


# OpenAI's own (https://platform.openai.com/docs/api-reference/embeddings/create). Servers cut what is too long for
# their model, and Text Embeddings Inference takes 32 texts unless it was started otherwise.
OPENAI_LIMITS = RequestLimits(inputs=2048, tokens=300_000, input_tokens=OPENAI_TOKENS)
SERVER_LIMITS = RequestLimits(inputs=32, tokens=300_000, input_tokens=None)


def pieces_of(text: str, limit: int | None) -> Iterator[str]:
    """The text in pieces of at most ``limit`` bytes, none within a character.

    OpenAI refuses empty inputs; a space stands for nothing.
    """
    raw = text.encode("utf-8", "replace") or b" "
    start = 0
    while start < len(raw):
        end = min(start + (limit or len(raw)), len(raw))
        while end < len(raw) and raw[end] & 0xC0 == 0x80:  # a byte in the middle of a character
            end -= 1
        yield raw[start:end].decode()
        start = end


def batches_of(sizes: Sequence[int], limits: RequestLimits) -> Iterator[slice]:
    """Neighbours in batches of as many as a request may hold, one at least."""
    start, held = 0, 0
    for at, size in enumerate(sizes):
        if at > start and (at - start == limits.inputs or held + size > limits.tokens):
            yield slice(start, at)
            start, held = at, 0
        held += size
    if start < len(sizes):
        yield slice(start, len(sizes))


def vectors_of(who: str, answer: object, count: int, dim: int | None) -> NDArray[np.float32]:
    """Unit vectors (count, dim) of an answer, in the order of what was asked, whatever order its rows have.

    Each is a list of numbers, or base64 of little-endian float32. Raises `ServiceError` where a row is missing,
    doubled, of another width than ``dim`` (or than the others, where that is ``None``), not finite, or all zeros.
    """
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ServiceError(
            f"{who} gave an answer without vectors; check that its address is that of an embeddings route"
        )
    found = by_index(who, ((row.get("index"), row.get("embedding")) for row in rows), count, "vector")
    vectors = [_vector(who, value) for value in found]
    width = dim or len(vectors[0])
    for vector in vectors:
        if len(vector) != width:
            raise ServiceError(f"{who} gave a vector of {len(vector)} numbers; {width} were expected")
        if not np.isfinite(vector).all() or not vector.any():
            raise ServiceError(
                f"{who} gave a vector that points nowhere: its numbers are all zero, or are none"
            )
    stacked = np.stack(vectors).astype(np.float64)  # whose squares do not overflow
    unit: NDArray[np.float32] = (stacked / np.linalg.norm(stacked, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _vector(who: str, value: object) -> NDArray[np.float32]:
    """One vector, however it is written."""
    try:
        if isinstance(value, str):
            return np.frombuffer(base64.b64decode(value, validate=True), dtype="<f4").astype(np.float32)
        if isinstance(value, list) and value:
            with np.errstate(over="ignore"):  # too large for float32 is infinite, and refused as such
                return np.array([float(number) for number in value], dtype=np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise ServiceError(f"{who} gave a vector that cannot be read ({error})") from error
    raise ServiceError(f"{who} gave a vector that is neither numbers nor base64")
