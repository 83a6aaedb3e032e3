"""A long fuzz, led by coverage: `make fuzz`, or

    python -m tests.fuzz [--minutes 60] [--corpus FOLDER] [TARGET…]

Each target (a suffix such as .pdf; cut, ask, hear) gets its share of the time in a process of its own. What atheris
finds worth keeping grows in the corpus folder, from one run to the next; a crash is left there as a file, whose bytes
become a case of `tests/ingest/readers/awkward.py`. Needs atheris (Linux, Python 3.11 to 3.13): requirements-fuzz.lock
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

SLOWEST = 30  # seconds for one input, after which it counts as a hang
MEGABYTES = 2_000
# Led by the coverage of our readers and of the parser behind them, where that is Python; to instrument one takes a
# quarter of a minute, so each target has its own.
PARSERS = {
    ".pdf": "pypdf",
    ".docx": "docx",
    ".html": "bs4",
    ".md": "markdown_it",
    ".txt": "charset_normalizer",
}


def main() -> int:
    """Fuzz each target for its share; 1 if any of them crashed."""
    if sys.argv[1:2] == ["--child"]:
        _fuzz(sys.argv[2], sys.argv[3:])
    targets = _targets()
    names = list(targets.TARGETS)
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Fuzz readers, chunker and questions."
    )
    parser.add_argument("targets", nargs="*", default=names, metavar="TARGET", help=", ".join(names))
    parser.add_argument("--minutes", type=float, default=60.0, help="for all targets together (default 60)")
    parser.add_argument(
        "--corpus", type=Path, default=Path("build/fuzz"), help="kept from run to run (build/fuzz)"
    )
    arguments = parser.parse_args()
    seconds = max(1, int(60 * arguments.minutes / len(arguments.targets)))
    crashed = [name for name in arguments.targets if _run(name, targets, arguments.corpus, seconds)]
    print(f"crashed: {', '.join(crashed) or 'none'}")
    return 1 if crashed else 0


def _targets() -> ModuleType:
    """Imported late: in the process that fuzzes, what is instrumented must not have been imported before."""
    return importlib.import_module("tests.fuzz.targets")


def _run(name: str, targets: ModuleType, corpus: Path, seconds: int) -> bool:
    """Fuzz one target in its own process; whether it crashed."""
    folder = corpus / name.lstrip(".")
    folder.mkdir(parents=True, exist_ok=True)
    for seed in targets.seeds(name):
        (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    print(f"{name}: {seconds} s, {len(list(folder.iterdir()))} files to begin with", flush=True)
    command = [sys.executable, "-m", "tests.fuzz", "--child", name, str(folder)]
    command += [f"-max_total_time={seconds}", f"-timeout={SLOWEST}", f"-rss_limit_mb={MEGABYTES}"]
    command += [
        f"-artifact_prefix={corpus}/crash-{name.lstrip('.')}-",
        "-max_len=20000",
        "-print_final_stats=1",
    ]
    return subprocess.run(command, check=False).returncode != 0


def _fuzz(name: str, options: list[str]) -> None:
    """Hand the process to libFuzzer, which ends it."""
    import atheris

    with atheris.instrument_imports(include=["ingest", *filter(None, [PARSERS.get(name)])]):
        targets = _targets()
    atheris.Setup([sys.argv[0], *options], targets.TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
