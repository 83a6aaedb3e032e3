"""Many tabs at once on one server: no error, memory that is flat once it is warm, and models that are loaded once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.library.health.doctor import examine
from ingest.library.library import Library
from tests.browser.conftest import CHROMIUM_NAMES, ROOT
from tests.soak.conftest import Load
from tests.soak.memory import Growth, resident

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

# Of the time after the first answers: caches and arenas fill up while the first questions of all tabs meet.
WARM_UP = 0.25
MOST_GROWTH = 0.10
SAMPLE_SECONDS = 1.0
TREND_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """The page on the sample library; ``loads`` is where it writes down what it loads."""

    address: str
    library: Library
    loads: Path
    logs: Path

    def process(self) -> int:
        """The server's own, once it has loaded something."""
        while not self.loads.exists() or not self.loads.read_text():
            time.sleep(0.1)
        return int(self.loads.read_text().split()[0])

    def loaded(self) -> Counter[str]:
        return Counter(line.split()[1] for line in self.loads.read_text().splitlines())


@pytest.fixture
def served(
    serve: Callable[..., str],
    sample_library: Library,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Served:
    pytest.importorskip("playwright", reason="Playwright is not installed")
    if not any(map(shutil.which, CHROMIUM_NAMES)):
        pytest.skip(f"no Chromium found (looked for {', '.join(CHROMIUM_NAMES)})")
    settings = {
        "LIBRARY": str(sample_library.folder), "ENCODER": "", "RERANKER": "", "DOWNLOADS": "0", "BUDGET_MS": "",
        "ENGINE": "onnx-fp32",  # else one is chosen on the way, and the model is loaded again for it
    }  # fmt: skip
    environment = {f"SECONDLOOK_{name}": value for name, value in settings.items()}
    loads = tmp_path / "loads"
    address = serve(ROOT / "tests" / "soak" / "page.py", env=environment | {"SOAK_LOADS": str(loads)})
    return Served(address, sample_library, loads, tmp_path_factory.getbasetemp())


def test_many_tabs_at_once(served: Served, load: Load) -> None:
    command = [sys.executable, "-m", "tests.soak.tabs", served.address]
    command += ["--tabs", str(load.tabs), "--seconds", str(load.seconds)]
    people = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    memory: list[tuple[float, float]] = []
    while people.poll() is None:
        if served.loads.exists():
            memory.append((time.monotonic(), resident(served.process())))
        time.sleep(SAMPLE_SECONDS)
    out, err = people.communicate()
    assert people.returncode == 0, err
    seen = json.loads(out)
    growth = Growth.of([held for when, held in memory if when > seen["warm"]], WARM_UP)
    print(f"\n{load.tabs} tabs, {load.seconds:.0f} s: {summary(seen)}")
    print(f"server: {growth}; loaded: {dict(served.loaded())}")
    trend = [f"{held:.0f}" for _, held in memory[:: int(TREND_SECONDS / SAMPLE_SECONDS)]]
    print(f"MB every {TREND_SECONDS:.0f} seconds, from its start: {' '.join(trend)}")
    assert seen["errors"] == []
    assert seen["left"]
    assert [log for log in served.logs.glob("server*/output.txt") if "Traceback" in log.read_text()] == []
    assert served.loaded() == {"encoder": 1, "reranker": 1}
    assert growth.share < MOST_GROWTH
    assert len(seen["uploads"]) == sum("soak-" in document.path for document in served.library.documents())
    assert examine(served.library.folder) == []


def summary(seen: dict[str, Any]) -> str:
    """Numbers and percentiles in a line."""
    parts = [f"{len(seen['left'])} searches"]
    for name in ("left", "right", "uploads"):
        if seen[name]:
            p50, p95 = np.percentile(seen[name], [50, 95])
            parts.append(f"{name} p50 {p50:.2f} s, p95 {p95:.2f} s")
    return f"{'; '.join(parts)}; {len(seen['uploads'])} files added, {seen['busy']} refused as another was writing"
