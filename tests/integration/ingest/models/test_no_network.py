"""With the network cut for real: the default command, no environment set, empty caches."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]


def cut(command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a network namespace that holds nothing, with a home folder that holds nothing."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HF_", "SECONDLOOK_", "XDG_"))
    }
    environment = kept | {"HOME": str(home), "HF_HOME": str(home / "hf")}
    return subprocess.run(
        ["unshare", "-rn", *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rn", "true"], check=False).returncode:
        pytest.skip("this machine does not let a test make a network namespace (unshare -rn)")
    return tmp_path


def test_ingest_and_search_with_the_network_cut(home: Path) -> None:
    (home / "boa.md").write_text("# Boas\n\nA boa coils around its prey until the blood no longer flows.\n")
    (home / "cobra.md").write_text("# Cobras\n\nThe venom of a cobra stops the nerves.\n")
    secondlook = [sys.executable, "-m", "ui.command_line.main"]
    library = ["--library", str(home / "library")]
    done = cut(
        [*secondlook, "ingest", str(home / "boa.md"), str(home / "cobra.md"), *library, "--json"], home
    )
    assert done.returncode == 0, done.stderr
    started = time.monotonic()
    done = cut([*secondlook, "search", "which snake has no venom?", *library, "--json"], home)
    took = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["models"]["encoder"].endswith("all-MiniLM-L6-v2")
    assert len(found["after"]) == len(found["before"]) == 2
    assert took < 120, "the hub was waited for"
    done = cut([*secondlook, "models", "--json"], home)
    tried = [attempt for model in json.loads(done.stdout)["models"] for attempt in model["tried"]]
    assert any("cannot be reached" in attempt or "did not answer" in attempt for attempt in tried)


def test_prefetch_without_a_network_fails_in_a_sentence(home: Path) -> None:
    done = cut([sys.executable, "-m", "ui.command_line.main", "models", "prefetch"], home)
    assert done.returncode == 1
    assert "cannot be had" in done.stderr
    assert "Traceback" not in done.stderr
