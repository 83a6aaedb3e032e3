"""A server that speaks OpenAI's embeddings protocol, with the word encoder's vectors, three times as long."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from tests.fakes import DIM, WordEncoder, words

WORDS = WordEncoder()


def word_vector(text: str, dim: int = DIM) -> np.ndarray:
    """The unit vector that an encoder should make of this server's answer."""
    vector = _counts(text)[:dim]
    return vector / np.linalg.norm(vector)


def _counts(text: str) -> np.ndarray:
    return WORDS.encode_query(text if words(text) else "other")


def embeddings(path: str, body: dict[str, Any]) -> tuple[int, Any]:
    """Rows last first: only ``index`` says whose they are."""
    if path != "/v1/embeddings" or not body.get("model"):
        return 404, {"error": {"message": "no such route"}}
    texts = body["input"]
    if len(texts) > 2048 or not all(texts) or any(len(text.encode()) > 8192 for text in texts):
        return 400, {"error": {"message": "$.input is invalid"}}
    rows = []
    for index, text in enumerate(texts):
        vector = (3 * _counts(text))[: body.get("dimensions", DIM)].astype("<f4")
        written = base64.b64encode(vector.tobytes()).decode()
        rows.append(
            {
                "object": "embedding",
                "index": index,
                "embedding": written if body.get("encoding_format") == "base64" else vector.tolist(),
            }
        )
    count = sum(len(words(text)) for text in texts)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return 200, {"object": "list", "data": rows[::-1], "model": body["model"], "usage": usage}
