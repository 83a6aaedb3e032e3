"""What every call of the command line prints, made anew: `python -m tests.golden --write`.

Only files in which more than the last places of numbers is another are written. Without ``--write`` they are named, and
with ``--into FOLDER`` everything is written there instead.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.golden.calls import CALLS
from tests.golden.printing import PRINTED, differs, printed, world


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.golden")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--into", type=Path)
    asked, other = parser.parse_args(), []
    with tempfile.TemporaryDirectory() as place, world(Path(place).resolve()):
        now = {name: printed(name, Path(place).resolve()) for name in CALLS}
    for name, text in now.items():
        path = (asked.into or PRINTED) / f"{name}.txt"
        if asked.into or not path.is_file() or differs(path.read_text(encoding="utf-8"), text):
            other.append(path)
            if asked.write or asked.into:
                path.write_text(text, encoding="utf-8")
    if asked.write:
        for path in PRINTED.glob("*.txt"):
            if path.stem not in CALLS:
                path.unlink()
    print(*other, sep="\n")
    return 1 if other and not asked.write and not asked.into else 0


if __name__ == "__main__":
    sys.exit(main())
