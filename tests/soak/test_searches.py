"""Thousands of searches in one process: its memory stays where it was when it was warm."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ingest.library.library import Library
from tests.conftest import Desk
from tests.soak.conftest import Load

ROOT = Path(__file__).resolve().parents[2]
MOST_GROWTH = 0.05

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")


def searched(library: Library, *options: str, timeout: float | None = None) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.searches", str(library.folder), *options],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    print(figures)
    return figures


def test_first_looks_leave_nothing_in_memory(desk: Desk) -> None:
    desk.add(*(desk.write(f"{n}.txt", f"The crane number {n} stands by the river.") for n in range(200)))
    assert searched(desk.library, "--searches", "2000", timeout=280)["growth"] < MOST_GROWTH


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_both_looks_leave_nothing_in_memory(sample_library: Library, load: Load) -> None:
    figures = searched(sample_library, "--searches", str(load.searches))
    assert figures["scored"] == -(-load.searches // 20)
    assert figures["growth"] < MOST_GROWTH
