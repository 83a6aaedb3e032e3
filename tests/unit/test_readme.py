"""README and docs say only what is so: their commands parse, their files are there, their make targets exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ui.command_line.main import build_parser
from ui.settings import from_environment

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
COMMANDS = sorted(
    {line.split("#")[0].strip() for line in TEXT.splitlines() if line.startswith("secondlook ")}
)


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_the_docs_parses(command: str) -> None:
    build_parser(from_environment({})).parse_args(shlex.split(command)[1:])


def test_every_command_is_in_the_docs() -> None:
    actions = next(a for a in build_parser(from_environment({}))._actions if a.dest == "command")
    assert set(actions.choices or ()) == {command.split()[1] for command in COMMANDS}


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", TEXT)) | set(
        re.findall(r"^make ([a-z-]+)", TEXT, re.MULTILINE)
    )
    assert named
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere_and_nothing_is_left_to_fill_in(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []
    assert "@@" not in text
