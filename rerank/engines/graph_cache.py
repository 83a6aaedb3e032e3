"""The folders of rerankers' graphs in the user's cache: published whole, and swept (see
`ingest.runtime.graph_cache`)."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ingest.runtime import graph_cache
from rerank.engines.record import FAILED, FAILED_FOR, Engine
from rerank.scorers.onnx_cross_encoder import MODEL_FILE

PREFIX = "reranker-"


def sweep(parent: Path, version: int, now: float) -> None:
    """Remove from ``parent`` what nobody uses any more. ``now`` is Unix time in seconds.

    Beside what `graph_cache.sweep` removes of any graphs, that is notes of failures that do not hold any more, and
    graphs that ``version`` cannot use and no other version has used for long. Those that it can use stay: to choose an
    engine takes half a minute.
    """
    for note in parent.glob(f"{PREFIX}*{FAILED}"):
        graph_cache.remove_older(note, now - FAILED_FOR)
    graph_cache.sweep(parent, f"{PREFIX}*/", lambda _, noted: noted == str(version), now)


def publish(made: Path, engine: Engine, folder: Path, former: Path) -> None:
    """Rename ``made`` to ``folder``, unless another process was faster: its graph is as good.

    A provisional one that is there already is moved out of the way, to ``former``; where the machine was even busier
    this time, it stays, to be measured again later.
    """
    there = Engine.read(folder)
    if there is not None and there.provisional and engine.threads.share < there.threads.share:
        replace(there, measured=engine.measured).write(folder)
        return
    try:
        if there is not None and there.provisional:
            os.replace(folder, former)
        os.replace(made, folder)
    except OSError:
        if not (folder / MODEL_FILE).is_file():
            raise
