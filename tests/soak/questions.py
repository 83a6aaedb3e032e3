"""Questions without end, no two the same, so that no score is known from before."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

from ui.settings import SAMPLE


def questions(start: int = 0) -> Iterator[str]:
    """The sample's questions over and over, each time with another number."""
    lines = (SAMPLE / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    for number in itertools.count(start):
        yield f"{texts[number % len(texts)].rstrip('?')} {number}?"
