"""Runs of an evaluation as TREC files: written for other tools, read back and compared without any model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ingest.errors import UsageError
from ingest.notices import Notice, NoticeKind
from rerank.evaluation.comparison import Comparison, compare_orders
from rerank.evaluation.systems import System
from rerank.judged.beir import read_qrels
from rerank.judged.trec import Orders, read_run, run_tag, write_run


def write_both(path: Path, before: Orders, after: Orders) -> tuple[Path, Path]:
    """Write two orders beside ``path``, ``run.txt`` → ``run.before.txt`` and ``run.after.txt``, and say where.

    Raises `UsageError` where nothing can be written there, or an id holds white space.
    """
    paths = path.with_suffix(f".before{path.suffix}"), path.with_suffix(f".after{path.suffix}")
    write_run(paths[0], "first-look", before)
    write_run(paths[1], "second-look", after)
    return paths


def write_systems(path: Path, systems: Sequence[System]) -> list[Path]:
    """Write a run a system beside ``path``, ``run.txt`` → ``run.bundled-100.txt`` say, and say where.

    Raises as `write_both`.
    """
    paths = []
    for system in systems:
        tag = run_tag(f"{system.title} {system.depth or ''}")
        paths.append(path.with_suffix(f".{tag}{path.suffix}"))
        write_run(paths[-1], tag, system.orders)
    return paths


def compare_run_files(qrels: Path, runs: Sequence[Path], *, pairs: bool = False) -> Comparison:
    """The first run of ``runs`` measured, and every other one held against it. No model is asked.

    Raises as `read_run`, and `UsageError` where runs share a name or judge none of the queries.
    """
    names = (
        [path.name for path in runs]
        if len({path.name for path in runs}) == len(runs)
        else list(map(str, runs))
    )
    judged = read_qrels(qrels)
    systems = [System(name, read_run(path), {}) for name, path in zip(names, runs, strict=True)]
    for system in systems:
        if not judged.keys() & system.orders.keys():
            raise UsageError(
                f"{system.name} answers none of the {len(judged)} queries that {qrels} judges (“{next(iter(judged))}”, "
                "say). Are they of the same set?"
            )
    comparison = compare_orders(qrels.name, judged, systems[0], systems[1:], pairs=pairs)
    return replace(
        comparison,
        notices=tuple(_gaps(system, judged) for system in systems if judged.keys() - system.orders.keys()),
    )


def _gaps(system: System, judged: Mapping[str, object]) -> Notice:
    silent = len(judged.keys() - system.orders.keys())
    text = f"{system.name} does not answer {silent} of {len(judged)} judged queries; they count as 0."
    return Notice(NoticeKind.DATASET, text)
