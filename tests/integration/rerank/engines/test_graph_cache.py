"""The cache of graphs: what nobody uses goes, what somebody may use stays, whoever else is at work there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from ingest.runtime.graph_cache import UNUSED_FOR, USE_FILE, note_use
from rerank.engines.graph_cache import PREFIX, sweep
from rerank.engines.record import FAILED, FAILED_FOR

NOW = 2_000_000_000.0
SWEEPING = """
import sys
from pathlib import Path
from rerank.engines.graph_cache import sweep
print(flush=True)
sys.stdin.readline()
sweep(Path(sys.argv[1]), 7, float(sys.argv[2]))
"""


def graph(parent: Path, name: str, version: int | None, unused_for: float = 0.0) -> Path:
    """A folder as a graph's is, last used so many seconds before `NOW`; without a note where ``version`` is none."""
    folder = parent / f"{PREFIX}{name}"
    folder.mkdir()
    (folder / "model_int8.onnx").write_bytes(b"graph" * 1000)
    if version is not None:
        note_use(folder, version)
        os.utime(folder / USE_FILE, times=(NOW - unused_for,) * 2)
    return folder


def names(parent: Path) -> set[str]:
    return {path.name.removeprefix(PREFIX) for path in parent.iterdir()}


def test_only_what_this_version_cannot_use_and_no_other_has_used_for_long_goes(tmp_path: Path) -> None:
    graph(tmp_path, "older, unused", 6, UNUSED_FOR + 60)
    graph(tmp_path, "newer, unused", 8, UNUSED_FOR + 60)
    graph(tmp_path, "older, in use", 6, UNUSED_FOR - 60)
    graph(tmp_path, "this, unused", 7, 10 * UNUSED_FOR)
    (tmp_path / "all-MiniLM-L6-v2").mkdir()  # an encoder's, which is not ours to judge
    damaged = graph(tmp_path, "a damaged note", 7, UNUSED_FOR - 60)
    (damaged / USE_FILE).write_bytes(b"\xff\xfe")
    os.utime(damaged / USE_FILE, times=(NOW - UNUSED_FOR + 60,) * 2)
    kept = {"older, in use", "this, unused", "all-MiniLM-L6-v2", "a damaged note"}
    sweep(tmp_path, 7, NOW)
    assert names(tmp_path) == kept
    sweep(tmp_path, 7, NOW + 120)
    assert names(tmp_path) == kept - {"older, in use", "a damaged note"}


def test_a_graph_from_before_there_were_notes_gets_as_much_time_again(tmp_path: Path) -> None:
    folder = graph(tmp_path, "old", None)
    os.utime(folder, times=(NOW - 10 * UNUSED_FOR,) * 2)
    sweep(tmp_path, 7, time.time())
    assert names(tmp_path) == {"old"}
    sweep(tmp_path, 7, time.time() + UNUSED_FOR - 60)
    assert names(tmp_path) == {"old"}
    sweep(tmp_path, 7, time.time() + UNUSED_FOR + 60)
    assert names(tmp_path) == set()


def test_notes_of_failures_go_when_they_do_not_hold_any_more(tmp_path: Path) -> None:
    for name, age in (("a", FAILED_FOR - 60), ("b", FAILED_FOR + 60)):
        note = tmp_path / f"{PREFIX}{name}{FAILED}"
        note.write_text("{}")
        os.utime(note, times=(NOW - age,) * 2)
    sweep(tmp_path, 7, NOW)
    assert names(tmp_path) == {f"a{FAILED}"}


def test_processes_that_sweep_at_once_do_not_hinder_each_other(tmp_path: Path) -> None:
    for number in range(300):
        graph(tmp_path, str(number), 6, UNUSED_FOR + 60)
    kept = graph(tmp_path, "kept", 7)
    command = [sys.executable, "-c", SWEEPING, str(tmp_path), str(NOW)]
    sweepers = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for sweeper in sweepers:
        assert sweeper.stdout is not None
        sweeper.stdout.readline()  # it is ready
    ended = []
    for sweeper in sweepers:
        assert sweeper.stdin is not None
        sweeper.stdin.write("\n")
        sweeper.stdin.flush()
    for sweeper in sweepers:
        _, said = sweeper.communicate(timeout=120)
        ended.append((sweeper.returncode, said))
    assert ended == [(0, "")] * 3
    assert names(tmp_path) == {"kept"}
    assert sorted(path.name for path in kept.iterdir()) == [USE_FILE, "model_int8.onnx"]
