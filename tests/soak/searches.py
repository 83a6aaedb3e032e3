"""Many searches in one process: `python -m tests.soak.searches LIBRARY --searches 10000`. JSON on stdout.

Every search is a first look with the library's encoder; every ``--every``-th has a second one, with the bundled
reranker. A library that the word encoder made is searched by it, and has no second look.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from ingest.library.library import Library
from rerank.request import SearchRequest
from tests.fakes import WORD_ENCODER, WordEncoder
from tests.soak.memory import Growth, resident
from tests.soak.questions import questions

WARM_UP = 0.1
SAMPLES = 200


def searcher(library: Library, every: int, candidates: int) -> Callable[[int, str], bool]:
    """A function that searches for a numbered question, and says whether it had a second look."""
    if library.manifest().identity == WORD_ENCODER.identity:
        from retrieval.retriever import Retriever

        retriever = Retriever(library, WordEncoder())
        return lambda number, question: not retriever.retrieve(question, 100).candidates
    from rerank.factory import ModelChoice, open_searcher, resolve_models

    opened = open_searcher(
        library, resolve_models(ModelChoice(allow_downloads=False, engine="onnx-fp32"), library)
    )

    def search(number: int, question: str) -> bool:
        if not every or number % every:
            return not opened.first_look(SearchRequest(question)).before
        result = opened.search(SearchRequest(question, candidates))
        if not result.reranked:
            raise RuntimeError(f"“{question}” was not reranked: {result.notices}")
        return True

    return search


def run(library: Library, searches: int, every: int, candidates: int) -> dict[str, object]:
    """Search, and sample the memory 200 times on the way."""
    search = searcher(library, every, candidates)
    samples, scored, started = list[float](), 0, time.perf_counter()
    for number, question in enumerate(islice(questions(), searches)):
        scored += search(number, question)
        if number % max(searches // SAMPLES, 1) == 0:
            samples.append(resident())
    growth = Growth.of(samples, WARM_UP)
    seconds = time.perf_counter() - started
    counts = {"searches": searches, "scored": scored, "seconds": seconds}
    return counts | asdict(growth) | {"growth": growth.share}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("--searches", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=20, help="every how many-th is reranked; 0: none")
    parser.add_argument("--candidates", type=int, default=20, help="passages that are reranked")
    given = parser.parse_args()
    done = run(Library(given.library), given.searches, given.every, given.candidates)
    json.dump(done, sys.stdout)


if __name__ == "__main__":
    main()
