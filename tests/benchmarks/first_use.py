"""Memory of the first search on a machine, when the graphs of both models have to be made.

    python -m tests.benchmarks.first_use [--torch-here]

The bundled pair on the sample, with an empty cache. ``--torch-here`` has torch imported first, so that the encoder's
graph is made in this process, as it was before a process of its own made it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from time import perf_counter

from rerank.request import SearchRequest
from tests.soak.memory import resident

QUESTIONS = ("which snake kills without venom?", "when do banks flood?", "when do cranes fly south?")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--torch-here", action="store_true", help="make the encoder's graph in this process")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        if given.torch_here:
            import torch  # noqa: F401 - that it is loaded is what counts
        run(Path(cache))


def run(folder: Path) -> None:
    from ingest.library.library import Library
    from rerank.factory import ModelChoice, open_searcher, resolve_models
    from tests.benchmarks.machine import machine
    from ui.command_line.serve import make_sample_library
    from ui.settings import from_environment

    print(machine())
    settings = from_environment({"SECONDLOOK_LIBRARY": str(folder / "library"), "SECONDLOOK_DOWNLOADS": "0"})
    started = perf_counter()
    make_sample_library(settings)
    print(f"sample ingested    {resident():5.0f} MB  {perf_counter() - started:5.1f} s")
    choice = ModelChoice(allow_downloads=False)
    started = perf_counter()
    searcher = open_searcher(
        Library(settings.library), resolve_models(choice, Library(settings.library)), keep_scores=False
    )
    print(f"reranker opened    {resident():5.0f} MB  {perf_counter() - started:5.1f} s")
    for question in QUESTIONS:
        started = perf_counter()
        searcher.search(SearchRequest(question))
        print(f"100 reranked       {resident():5.0f} MB  {perf_counter() - started:5.1f} s")


if __name__ == "__main__":
    main()
