"""How far a reader walks who follows a question from `main` to the answer: stops, and turns back up.

    python -m tests.benchmarks.turns [--list] [--root CHECKOUT]

A real `secondlook search` is run on a small library, with the bundled models, every call being listened to. Counted is
who calls whom, per file, in the order in which it is first met:

- a *stop* is a file that calls a function in another one of ours, whatever of other people's lies between; each such
  pair of files once. To go on, the reader opens that other file.
- a *turn back up* is a stop that begins neither in the file where the one before it ended nor in the one where it
  began: both are closed, and the reader goes back to a file that was left before.

Not counted are what modules do while they are imported, and what a function does with others of its own file.
``--root`` counts in another checkout, whose packages are then the ones that run: an earlier state, say.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
QUESTION = "which snake kills without venom?"
DOCUMENTS = {
    "constrictors.md": "# Constrictors\n\nA boa is a snake that kills without venom: it coils around its prey.\n",
    "cobras.txt": "Cobras\n\nThe bite of a cobra stops the nerves from working within an hour.\n",
    "deposits.txt": "Deposits\n\nMoney in a bank is guaranteed up to 100,000 euros for each customer.\n",
}
OURS = ("ingest", "retrieval", "rerank", "ui")


@dataclass
class Walk:
    """The calls between our files that a run makes, as ``sys.setprofile`` hears of them."""

    root: Path
    stops: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)  # by files, the functions
    _stack: list[tuple[FrameType, str]] = field(default_factory=list)
    _importing: int = 0

    def hear(self, frame: FrameType, event: str, _: object) -> None:
        """A call or a return; calls while a module is imported are left out."""
        if event not in ("call", "return"):
            return
        if frame.f_code.co_name == "<module>":
            self._importing += 1 if event == "call" else -1
            return
        if self._importing or (place := self._place(frame)) is None:
            return
        if event == "return":
            if self._stack and self._stack[-1][0] is frame:
                self._stack.pop()
            return
        if self._stack and file_of(self._stack[-1][1]) != file_of(place):
            caller = self._stack[-1][1]
            self.stops.setdefault((file_of(caller), file_of(place)), (caller, place))
        self._stack.append((frame, place))

    def _place(self, frame: FrameType) -> str | None:
        """File and function of a frame, ``rerank/search.py:search``; ``None`` of what is not ours."""
        path = Path(frame.f_code.co_filename)
        if not path.is_relative_to(self.root):
            return None
        inside = path.relative_to(self.root)
        return f"{inside.as_posix()}:{frame.f_code.co_name}" if inside.parts[0] in OURS else None


def file_of(place: str) -> str:
    """The file of a place."""
    return place.partition(":")[0]


def turns(stops: Sequence[tuple[str, str]]) -> list[int]:
    """The numbers of those stops, each a pair of files, that begin in neither file of the one before."""
    pairs = enumerate(pairwise(stops), start=1)
    return [number for number, (before, after) in pairs if after[0] not in before]


def walk(root: Path, folder: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """The stops of a search in ``folder``, in which a library is made first; what is printed is thrown away."""
    os.environ |= {
        "SECONDLOOK_DOWNLOADS": "0", "SECONDLOOK_LIBRARY": "library", "XDG_CACHE_HOME": str(folder),
        "PYTHONPATH": str(root),
    }  # fmt: skip
    (folder / "files").mkdir()
    for name, text in DOCUMENTS.items():
        (folder / "files" / name).write_text(text, encoding="utf-8")
    scripts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module = scripts["secondlook"].partition(":")[0]
    code = f"import sys; from {module} import main; sys.exit(main(sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", code, "ingest", "files"], check=True, capture_output=True)
    main: Callable[[Sequence[str]], int] = importlib.import_module(module).main
    heard = Walk(root)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as messages:
        sys.setprofile(heard.hear)
        try:
            status = main(["search", QUESTION])
        finally:
            sys.setprofile(None)
    if status:
        raise SystemExit(messages.getvalue())
    return heard.stops


def main() -> int:
    """Print both figures, and each file with how often it is opened."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.turns")
    parser.add_argument("--list", action="store_true", help="print every stop, with its functions")
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="the checkout to count in (default: this one)"
    )
    options = parser.parse_args()
    root = options.root.resolve()
    sys.path[:] = [str(root), *(place for place in sys.path if place and Path(place).resolve() != ROOT)]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        found = walk(root, Path(folder).resolve())
    stops = list(found)
    back = turns(stops)
    if options.list:
        for number, stop in enumerate(stops):
            caller, callee = found[stop]
            print(f"{'↑' if number in back else ' '} {caller}  →  {callee}")
    files = Counter(callee for _, callee in stops)
    print(f"{len(stops)} stops, {len(back)} turns back up, {len(files)} files")
    for name, count in files.most_common():
        print(f"{count:>5}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
