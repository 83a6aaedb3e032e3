"""`make bench`: every measurement that needs nothing but this repository, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

PARTS = ("ingest_rate", "search_stages", "startup", "rerank_speed")


def main() -> int:
    """Run each part; 1 if any of them failed."""
    failed = 0
    for part in PARTS:
        print(f"\n== {part}", flush=True)
        failed |= subprocess.run([sys.executable, "-m", f"tests.benchmarks.{part}"], check=False).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
