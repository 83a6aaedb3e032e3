"""The scripts that made the bundled reranker, which lie beside it and belong to no package."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.parts.later import later

FOLDER = Path(__file__).resolve().parents[2] / "data" / "models" / "second-look-reranker" / "make"
if str(FOLDER) not in sys.path:
    sys.path.append(str(FOLDER))  # as when one of them is run

blend, derive, recipe = later("blend"), later("derive"), later("recipe")
