"""What a call prints, in a form that is the same on every machine and day, and comparing it with what was kept."""

from __future__ import annotations

import argparse
import importlib
import io
import json
import math
import os
import re
import shlex
import site
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.golden.calls import CALLS, write_models, write_world

ROOT = Path(__file__).resolve().parents[2]
PRINTED = Path(__file__).with_name("printed")
TORCH_FROM = "train"  # whose model is made with torch, which no call before it loads in this process
DIGITS = 3  # of fractions in JSON
UNITS = 2  # of a number's last place may it differ by, from one processor to another

MEASURED = re.compile(
    r"second(?!_score)|_ms$|^ms$|^p95$|bytes$|^machine$|^threads$|^front$|frontier"
)  # keys of JSON, for all that is below them
UNSTEADY = [
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?)?"), "DATE"),
    (
        re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{40}\b|\b[0-9a-f]{32}\b|\b[0-9a-f]{12}\b|\b[0-9a-f]{16}\b"),
        "HASH",
    ),
    (re.compile(r"\b\d[\d,]*(?:\.\d+)? (ms|s|seconds|min|MB|kB|KB|bytes)\b"), r"N \1"),
    (re.compile(r"second-look \d+\.\d+\.\d+|Second Look \d+\.\d+\.\d+"), "Second Look VERSION"),
    (re.compile(r"with \d+ threads?, order agreement[^\n\"]*"), "as it was measured"),
    (re.compile(r"(?m)verdict +ms +p95$"), "verdict ms p95"),
    (re.compile(r"(?m)(undecided|helps|hurts|better|worse|–)(?: +[\d,]+){2}(?: +\*)?$"), r"\1 N N"),
    (re.compile(r"\r[^\n]*"), ""),  # bars of progress
]
NUMBER = re.compile(r"(?<![\w.])[-+−]?\d*\.\d+(?![\w.])")


def entry_point() -> Callable[[Sequence[str]], int]:
    """What `secondlook` calls, as pyproject.toml says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, name = project["scripts"]["secondlook"].split(":")
    main: Callable[[Sequence[str]], int] = getattr(importlib.import_module(module), name)
    return main


def parser() -> argparse.ArgumentParser:
    """The parser behind the entry point, caught when it is given its arguments."""
    caught: list[argparse.ArgumentParser] = []

    def catch(self: argparse.ArgumentParser, *_: object) -> None:
        caught.append(self)
        raise KeyboardInterrupt

    with patch.object(argparse.ArgumentParser, "parse_args", catch), redirect_stderr(io.StringIO()):
        entry_point()(["documents"])
    return caught[0]


@contextmanager
def world(folder: Path, write: Callable[[Path], None] = write_world) -> Iterator[None]:
    """Work in a folder that holds what the calls name, under settings that are the same everywhere.

    For a process of its own: what reads these variables when it is imported must not have been imported.
    """
    write(folder)
    foreign = ("SECONDLOOK_", "COHERE_", "CO_API", "OPENAI_", "HF_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment |= {
        "SECONDLOOK_DOWNLOADS": "0", "SECONDLOOK_ENGINE": "onnx-fp32", "HF_HUB_OFFLINE": "1", "COLUMNS": "100",
        "HF_HOME": str(folder / "hub"), "XDG_CACHE_HOME": str(folder / "cache"), "XDG_DATA_HOME": str(folder / "data"),
    }  # fmt: skip
    with chdir(folder), patch.dict(os.environ, environment, clear=True):
        yield


def printed(name: str, folder: Path) -> str:
    """The command, its exit status and what it printed, made steady."""
    if name == TORCH_FROM:
        write_models(folder)
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    asked = io.StringIO("four random words say\n")
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "stdin", asked):
        try:
            status: object = entry_point()(shlex.split(CALLS[name]))
        except SystemExit as exit_:
            status = exit_.code or 0
    data, messages = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
    if data.startswith("{"):
        data = json.dumps(_rounded(json.loads(data)), ensure_ascii=False, indent=1)
    parts = [f"$ secondlook {CALLS[name]}", f"status {status}", "--- stdout", data, "--- stderr", messages]
    text = steady("\n".join(part.rstrip("\n") for part in parts), folder)
    if name.startswith("train"):
        text = NUMBER.sub("N", text)  # of a model with random weights
    return text + "\n"


def _rounded(value: Any, key: str = "") -> Any:
    """JSON with what was measured taken out, and fractions rounded."""
    if isinstance(value, dict):
        return {name: _rounded(each, key if MEASURED.search(key) else name) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each, key) for each in value]
    if value is not None and MEASURED.search(key):
        return "N"
    return round(value, DIGITS) if isinstance(value, float) and math.isfinite(value) else value


def steady(text: str, folder: Path) -> str:
    """Without what differs from machine to machine and from run to run."""
    places = {str(folder): "FOLDER", str(ROOT): "CHECKOUT"}
    places |= {
        path: "PACKAGES"
        for path in [*site.getsitepackages(), *sys.path]
        if Path(path).name == "site-packages"
    }
    for path in sorted(places, key=len, reverse=True):
        text = text.replace(path, places[path])
    for pattern, instead in UNSTEADY:
        text = pattern.sub(instead, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def differs(kept: str, now: str) -> bool:
    """Whether more than a number's last places is another."""
    if NUMBER.split(kept) != NUMBER.split(now):
        return True
    return any(_apart(*pair) for pair in zip(NUMBER.findall(kept), NUMBER.findall(now), strict=True))


def _apart(one: str, other: str) -> bool:
    places = [len(number.partition(".")[2]) for number in (one, other)]
    numbers = [float(number.replace("−", "-")) for number in (one, other)]
    return abs(numbers[0] - numbers[1]) > (UNITS + 0.01) * 10 ** -min(*places, DIGITS)
