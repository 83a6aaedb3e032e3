"""The scripts that made the bundled reranker, which lie beside it and belong to no package."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "data" / "models" / "second-look-reranker" / "make"
if str(FOLDER) not in sys.path:
    sys.path.append(str(FOLDER))  # as when one of them is run

import blend  # noqa: E402
import derive  # noqa: E402
import recipe  # noqa: E402

__all__ = ["blend", "derive", "recipe"]
