"""Collecting loads no torch, and every command in the tables of reliability.md and security.md selects tests."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = re.compile(r"`(pytest [^`]+)`")
# Collects once, then asks pytest's own selection by -k and -m for each command in turn.
COUNTING = """
import json, shlex, sys
import pytest

def starts(places):
    return tuple(place + end for place in places for end in ("::", "/"))

class Counting:
    def pytest_collection_modifyitems(self, session, config, items):
        select = config.pluginmanager.get_plugin("mark").pytest_collection_modifyitems
        counts = {}
        for command in json.loads(sys.argv[1]):
            places = [word for word in shlex.split(command)[1:] if word.startswith("tests")]
            options = config._parser.parse_known_args(shlex.split(command)[1:])
            left = [item for item in items if item.nodeid.startswith(starts(places))]
            config.option.keyword, config.option.markexpr = options.keyword, options.markexpr
            select(left, config)
            counts[command] = {one: sum(item.nodeid.startswith(starts([one])) for item in left) for one in places}
        config.option.keyword = config.option.markexpr = ""
        print("COUNTS" + json.dumps(counts))

status = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", "tests"], plugins=[Counting()])
heavy = {"torch", "transformers", "sentence_transformers", "playwright"} & sys.modules.keys()
print("HEAVY" + json.dumps(sorted(heavy)))
sys.exit(status)
"""


def commands() -> list[str]:
    """The commands of both tables, in order."""
    found = []
    for name in ("reliability.md", "security.md"):
        for line in (ROOT / "docs" / name).read_text(encoding="utf-8").splitlines():
            if line.startswith("|"):
                found += COMMAND.findall(line.rpartition(" | ")[2])
    assert len(found) > 50
    return sorted(set(found))


NOTHING = "pytest tests/unit/ui/server/test_gate.py -k there_is_no_such_test"


@pytest.fixture(scope="module")
def output() -> str:
    """What a process prints that collects every test, with the commands and with one that selects nothing."""
    command = [sys.executable, "-c", COUNTING, json.dumps([*commands(), NOTHING])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_every_command_names_places_that_are_there() -> None:
    for command in commands():
        places = [word for word in shlex.split(command) if word.startswith("tests")]
        assert places, command
        assert all((ROOT / place).exists() for place in places), command


def test_every_command_selects_tests_in_every_place_that_it_names(output: str) -> None:
    counts = json.loads(output.partition("COUNTS")[2].splitlines()[0])
    print(json.dumps(counts, indent=1))
    assert counts.pop(NOTHING) == {"tests/unit/ui/server/test_gate.py": 0}
    assert not {command for command, places in counts.items() if not all(places.values())}


def test_collecting_loads_neither_torch_nor_a_browser(output: str) -> None:
    assert json.loads(output.partition("HEAVY")[2].splitlines()[0]) == []
