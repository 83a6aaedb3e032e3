"""What was freed goes back to the system, also from between pieces that are in use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ingest.memory import give_back

HELD = """
from ingest.memory import give_back
from tests.soak.memory import resident

pieces = [bytes(3_000) for _ in range(60_000)]
del pieces[:-1]  # the last one holds on to all that lies below it
before = resident()
give_back()
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is Linux's")
def test_memory_between_pieces_in_use_is_given_back() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", HELD], cwd=root, capture_output=True, text=True, check=True)
    assert float(done.stdout) > 100, "megabytes of 180"


def test_a_c_library_that_cannot_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.memory._trim", lambda: None)
    give_back()
