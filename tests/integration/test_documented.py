"""Every command that README and docs show works as it stands there, on files of the names that they use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.documented import ROOT, to_run


def test_every_command_works(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.documented", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["line"] for row in rows] == to_run(), done.stderr
    assert {row["line"]: row["err"] for row in rows if row["status"]} == {}
    assert all(row["out"] or row["err"] for row in rows), "a command said nothing"
