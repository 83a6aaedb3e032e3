"""Rows of BEIR's JSONL files, each checked; what cannot be parsed is refused with its line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.errors import DamagedFileError


def read_rows(path: Path, *fields: str) -> Iterator[dict[str, Any]]:
    """Objects of a JSONL file, each with ``_id`` and ``fields``. Raises ``DamagedFileError`` with the line."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                json.dumps(row, ensure_ascii=False).encode()  # half a surrogate is no text that can be kept
            except (ValueError, RecursionError) as error:
                raise DamagedFileError(f"Line {number} of {path} is not JSON: {error}.") from error
            if not isinstance(row, dict) or any(name not in row for name in ("_id", *fields)):
                raise DamagedFileError(f"Line {number} of {path} needs the fields _id, {', '.join(fields)}.")
            yield row
