"""docs/command-line.md, made of what `--help` says: `python -m tests.command_line_page --write` (or printed)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ui.command_line.main import build_parser
from ui.settings import from_environment

PAGE = Path(__file__).resolve().parents[1] / "docs" / "command-line.md"
HEAD = """# The command line

Made of what `secondlook COMMAND --help` says, by `python -m tests.command_line_page --write`.
Data goes to stdout and messages to stderr; the exit status is 0, 1 (the work failed) or 2 (the call is wrong). Where no
`--library` is named, it is the one in your own data folder, or `data/library` of a checkout. The [guide](guide.md) has
examples.
"""


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command, as a user without any setting has it."""
    settings = replace(from_environment({}), library=Path("data/library"))
    parser = build_parser(settings)
    (action,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    return {name: command.declared() for name, command in action.choices.items()}


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([HEAD, *(line for name, parser in commands().items() for line in section(name, parser))])


def section(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """One command: what it is for, how it is called, and a row for each argument."""
    text = parser.description or ""
    operands = [_call(action) for action in parser._actions if not action.option_strings]
    needed = [_call(action) for action in parser._actions if action.option_strings and action.required]
    yield from (f"## {name}", "", f"{text[:1].upper()}{text[1:]}.", "")
    yield from ("```text", " ".join(["secondlook", name, *operands, *needed, "[OPTION…]"]), "```", "")
    yield from ("| argument | meaning |", "|---|---|")
    for action in parser._actions:
        if action.dest != "help":
            cells = (f"`{_call(action, bare=True)}`", _meaning(action))
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _call(action: argparse.Action, *, bare: bool = False) -> str:
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if action.choices is not None:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    if not action.option_strings:
        form = {"?": "[{}]", "*": "[{} …]", "+": "{} [{} …]"}.get(str(action.nargs), "{}")
        return value if bare else form.replace("{}", value)
    name = ", ".join(action.option_strings)
    return name if action.nargs == 0 else f"{name} [{value}]" if action.nargs == "?" else f"{name} {value}"


def _meaning(action: argparse.Action) -> str:
    text = (action.help or "") % vars(action)
    said = (
        "default" in text or isinstance(action.default, bool) or not isinstance(action.default, int | float)
    )
    return text if said else f"{text} (default {action.default:g})"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())
