"""A long fuzz, led by coverage: `make fuzz`, or

    python -m tests.fuzz [--minutes 60] [--work FOLDER] [--keep] [TARGET…]

Each target (a suffix such as .pdf; cut, ask, hear, model) gets its share of the time in a process of its own. It begins
with the corpus that is kept beside this file and the tests' awkward files; what atheris finds worth keeping grows in
the work folder, from one run to the next. A crash is left there as a file, whose bytes become a case of
`tests/integration/ingest/readers/awkward.py`. With ``--keep`` the fewest inputs that cover as much are written back to
the kept corpus. Needs atheris (Linux, Python 3.11 to 3.13): requirements-fuzz.lock
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

SLOWEST = 30  # seconds for one input, after which it counts as a hang
MEGABYTES = 2_000
LONGEST = 60_000  # bytes
# Led by the coverage of our readers and of the parser behind them, where that is Python; to instrument one takes a
# quarter of a minute, so each target has its own.
PARSERS = {
    ".pdf": "pypdf",
    ".docx": "docx",
    ".html": "bs4",
    ".md": "markdown_it",
    ".txt": "charset_normalizer",
    ".xlsx": "openpyxl",
    ".pptx": "pptx",
    ".rtf": "striprtf",
    ".msg": "olefile",
    ".eml": "email",
    "ask": "retrieval",
}
# Archives, of which one part is changed and all are packed again.
PACKAGES = (".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".epub", ".zip")
# Parts of the time. What is read most often, and has the most ways to be wrong, has the largest part.
SHARES = {
    ".pdf": 6,
    ".docx": 4,
    ".html": 3,
    ".md": 2,
    ".csv": 1,
    ".jsonl": 1,
    ".txt": 2,
    ".xlsx": 2,
    ".pptx": 2,
    ".odt": 1,
    ".ods": 1,
    ".odp": 1,
    ".epub": 1,
    ".rtf": 1,
    ".eml": 2,
    ".msg": 1,
    ".mbox": 1,
    ".mhtml": 1,
    ".zip": 1,
    ".json": 1,
    ".xml": 2,
    ".yaml": 1,
    ".ipynb": 1,
    ".srt": 1,
    ".rst": 1,
    ".tex": 1,
    ".py": 1,
    "cut": 2,
    "ask": 2,
    "hear": 1,
    "model": 2,
}


def main() -> int:
    """Fuzz each target for its share; 1 if any of them crashed."""
    if sys.argv[1:2] == ["--child"]:
        _fuzz(sys.argv[2], sys.argv[3:])
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Fuzz readers, chunker and questions."
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(SHARES))
    parser.add_argument("--minutes", type=float, default=60.0, help="for all targets together (default 60)")
    parser.add_argument(
        "--work", type=Path, default=Path("build/fuzz"), help="kept from run to run (build/fuzz)"
    )
    parser.add_argument("--keep", action="store_true", help="write what was found into the kept corpus")
    arguments = parser.parse_args()
    names = arguments.targets or list(SHARES)
    if unknown := sorted(set(names) - set(SHARES)):
        parser.error(f"There is no target {', '.join(unknown)}; there are {', '.join(SHARES)}.")
    targets, crashed = _targets(), []
    for name in names:
        seconds = max(1, int(60 * arguments.minutes * SHARES[name] / sum(SHARES[each] for each in names)))
        if _run(name, targets, arguments.work, seconds):
            crashed.append(name)
        if arguments.keep:
            _keep(name, arguments.work)
    print(f"crashed: {', '.join(crashed) or 'none'}")
    return 1 if crashed else 0


def _targets() -> ModuleType:
    """Imported late: in the process that fuzzes, what is instrumented must not have been imported before."""
    return importlib.import_module("tests.fuzz.targets")


def _run(name: str, targets: ModuleType, work: Path, seconds: int) -> bool:
    """Fuzz one target in its own process; whether it crashed."""
    from tests.fuzz.corpus import kept

    folder = work / name.lstrip(".")
    folder.mkdir(parents=True, exist_ok=True)
    for seed in (*targets.seeds(name), *kept(name)):
        (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    print(f"{name}: {seconds} s, {len(list(folder.iterdir()))} files to begin with", flush=True)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={work}/crash-{name.lstrip('.')}-"]
    return _child(name, [str(folder), *options, "-print_final_stats=1"]) != 0


def _keep(name: str, work: Path) -> None:
    """The fewest inputs that cover what all of them cover (libFuzzer's merge) become the kept corpus."""
    from tests.fuzz.corpus import keep

    fewest = work / f"fewest-{name.lstrip('.')}"
    shutil.rmtree(fewest, ignore_errors=True)
    fewest.mkdir(parents=True)
    if _child(name, ["-merge=1", str(fewest), str(work / name.lstrip("."))]) == 0:
        number = keep(name, (path.read_bytes() for path in fewest.iterdir()))
        print(f"{name}: {number} inputs kept", flush=True)


def _child(name: str, options: list[str]) -> int:
    command = [sys.executable, "-m", "tests.fuzz", "--child", name, *options]
    command += [f"-timeout={SLOWEST}", f"-rss_limit_mb={MEGABYTES}", f"-max_len={LONGEST}"]
    return subprocess.run(command, check=False).returncode


def _fuzz(name: str, options: list[str]) -> None:
    """Hand the process to libFuzzer, which ends it."""
    import atheris

    from tests.fuzz.mutators import change_package

    with atheris.instrument_imports(include=["ingest", "rerank", *filter(None, [PARSERS.get(name)])]):
        targets = _targets()
        targets.load(name)
    mutator = {}
    if name in PACKAGES:
        options = [
            *options,
            "-len_control=0",
        ]  # short at first, an archive would be cut rather than packed again
        mutator["custom_mutator"] = lambda data, size, seed: change_package(data, size, seed, atheris.Mutate)
    # To merge, libFuzzer starts itself again in a shell, by the first of these.
    itself = shlex.join([sys.executable, "-m", "tests.fuzz", "--child", name])
    atheris.Setup([itself, *options], targets.TARGETS[name], **mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
