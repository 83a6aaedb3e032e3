"""`make` in a folder of an awkward name, and in one that was copied or moved with its environment."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
# In place of the environment's Python: it says what it was called with.
PYTHON = """#!/usr/bin/env python3
import json, os, sys
print(json.dumps([os.getcwd(), *sys.argv[1:]]))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What make reads, in a folder with blanks and quotes in its name, with an environment that was set up there."""
    folder = tmp_path / "a 'b' \"c\" d"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for path in (ROOT / "Makefile", ROOT / "pyproject.toml", *ROOT.glob("*.lock")):
        shutil.copy(path, folder)
    (folder / ".venv" / "bin" / "python").write_text(PYTHON)
    (folder / ".venv" / "bin" / "python").chmod(0o755)
    (folder / ".venv" / ".installed").write_text(f"{folder.resolve()}\n")
    return folder


def make(folder: Path, *arguments: str) -> str:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=True).stdout


def test_it_runs_the_code_of_its_own_folder(checkout: Path) -> None:
    said = json.loads(make(checkout, "run", "LIBRARY=my 'own' \"library\""))
    assert said == [
        str(checkout.resolve()), "-m", "ui.command_line.main", "serve",
        "--port", "8501", "--library", "my 'own' \"library\"",
    ]  # fmt: skip


def test_an_environment_that_was_set_up_elsewhere_is_set_up_anew(checkout: Path) -> None:
    assert "-m venv" not in make(checkout, "--dry-run", "install")
    copied, moved = checkout.parent / "copied", checkout.parent / "moved"
    shutil.copytree(checkout, copied, symlinks=True)
    checkout.rename(moved)
    for folder in (copied, moved):
        said = make(folder, "--dry-run", "install")
        assert "-m venv .venv" in said
        assert "--editable ." in said
        (folder / ".venv" / ".installed").write_text(f"{folder.resolve()}\n")  # as the last line of that does
        assert "pwd -P >.venv/.installed" in said
        assert "-m venv" not in make(folder, "--dry-run", "install")
