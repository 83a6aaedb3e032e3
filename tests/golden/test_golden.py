"""What every command prints is what it printed: `python -m tests.golden --write` writes it anew, for you to read."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.golden.calls import CALLS
from tests.golden.printing import PRINTED, ROOT, differs, parser


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all of them print today, from one process."""
    folder = tmp_path_factory.mktemp("printed")
    command = [sys.executable, "-m", "tests.golden", "--into", str(folder)]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", CALLS)
def test_a_call_prints_what_it_printed(name: str, now: Path) -> None:
    kept, today = ((folder / f"{name}.txt").read_text(encoding="utf-8") for folder in (PRINTED, now))
    if differs(kept, today):
        assert today == kept


def test_nothing_is_kept_of_calls_that_are_gone() -> None:
    assert {path.stem for path in PRINTED.iterdir()} == set(CALLS)


def commands(of: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from ((name, command.declared()) for name, command in action.choices.items())


def test_every_command_is_called_with_json_and_without_where_it_has_both() -> None:
    words = [call.split() for call in CALLS.values()]
    wanted = set()
    for name, its in commands(parser()):
        forms = {False, True} if "--json" in its._option_string_actions else {False}
        choices = [action.choices for action in its._actions if not action.option_strings and action.choices]
        wanted |= {(name, form) for form in forms}
        if choices:  # `labels list`, `models prefetch`
            assert {word for call in words if call[0] == name for word in call} >= set(choices[0]), name
    assert len(wanted) > 20, "the parser was not found"
    assert wanted <= {(call[0], "--json" in call) for call in words}


def test_the_last_places_of_numbers_may_differ_and_nothing_else() -> None:
    assert not differs("cosine 0.578, p 1.0000", "cosine 0.579, p 0.9999")
    assert differs("cosine 0.578", "cosine 0.588")
    assert differs("place 1, 0.5", "place 2, 0.5")
    assert differs("a 0.5", "b 0.5")
