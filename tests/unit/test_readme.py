"""README and docs say only what is so: what they name as a command is one, and their files are there."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from argparse import ArgumentParser
from pathlib import Path

import pytest

from tests.command_line_page import PAGE, commands, page
from tests.documented import PAGES, ROOT, inline, lines, text
from ui.command_line.main import build_parser
from ui.settings import from_environment

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
OURS = ("secondlook ", "make ", "python ")


def test_the_page_of_the_command_line_is_what_help_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.command_line_page --write"


def test_every_command_of_the_command_line_is_shown() -> None:
    assert {line.split()[1] for line in lines() if line.startswith("secondlook ")} == set(commands())


@pytest.mark.parametrize("line", [line for line in lines() if line.startswith("secondlook ")])
def test_every_line_of_a_block_parses(line: str) -> None:
    build_parser(from_environment({})).parse_args(shlex.split(line)[1:])


@pytest.mark.parametrize("line", [line for line in lines() if not line.startswith("secondlook ")])
def test_every_other_line_of_a_block_is_of_make_or_python(line: str) -> None:
    assert line.startswith(OURS), f"nothing here can tell whether this works: {line}"
    assert_it_could_be_meant(line)


@pytest.mark.parametrize("code", inline())
def test_every_command_in_a_sentence_could_be_meant(code: str) -> None:
    assert_it_could_be_meant(code)


def assert_it_could_be_meant(line: str) -> None:
    """Its target, module, command and each of its options exist; what it works on may be only hinted at."""
    program, *words = shlex.split(line)
    options = {word for word in words if word.startswith("--")}
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)
        settings = re.findall(r"^([A-Z]+) \?=", MAKEFILE, re.MULTILINE)
        assert words[0] in targets
        assert {word.partition("=")[0] for word in words[1:]} <= set(settings)
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert re.fullmatch(r"second-look\[(\w+)\]", words[1])[1] in extras  # type: ignore[index]
    elif program == "python" and words[0] == "-m":
        assert importlib.util.find_spec(words[1]), f"there is no module {words[1]}"
    elif program == "python":
        assert all(f'"{option}"' in (ROOT / words[0]).read_text(encoding="utf-8") for option in options)
    elif words[0] != "COMMAND":
        assert options - {"--help"} <= named(commands()[words[0]]), line


def named(parser: ArgumentParser) -> set[str]:
    """The options of a command."""
    return {option for action in parser._actions for option in action.option_strings}


def test_what_could_not_be_meant_is_noticed() -> None:
    for line in ("make nothing", "make soak PAGES=1", "secondlook search --rank", "python -m tests.nothing"):
        with pytest.raises(AssertionError):
            assert_it_could_be_meant(line)
    with pytest.raises(KeyError):
        assert_it_could_be_meant("secondlook find")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere_and_nothing_is_left_to_fill_in(path: Path) -> None:
    content = path.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", content) if "://" not in link]
    missing = [link for link in links if not (path.parent / link).exists()]
    assert missing == []
    assert "@@" not in text()
