"""What takes long to import is imported where it is used: neither a search nor the page waits for it to start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "transformers", "sentence_transformers", "sklearn", "scipy", "pandas", "matplotlib"}
REPORT = "print('heavy:', *(sorted(set(sys.argv[1].split(',')) & sys.modules.keys())))"


def heavy_after(code: str) -> list[str]:
    """Which heavy packages a new process has loaded after ``code``."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\n{REPORT}", ",".join(sorted(HEAVY))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize("module", ["ui.command_line.main", "ui.page.screen.page", "rerank.search"])
def test_starting_loads_nothing_heavy(module: str) -> None:
    assert heavy_after(f"import {module}") == []


def test_a_search_of_the_bundled_pair_loads_neither_torch_nor_what_fits_curves(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A crane is a bird.")
    library = ["--library", str(tmp_path / "library"), "--offline"]
    start = "from ui.command_line.main import main\n"
    file = str(tmp_path / "a.txt")
    heavy_after(
        f"{start}assert main(['ingest', {file!r}, *{library!r}]) == 0"
    )  # the first use exports the encoder
    found = heavy_after(f"{start}assert main(['search', 'which bird?', '--no-cache', *{library!r}]) == 0")
    assert not {"torch", "transformers", "sklearn"} & set(found)
