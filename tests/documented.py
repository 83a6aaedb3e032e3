"""The commands in README.md, CONTRIBUTING.md and docs/; `python -m tests.documented FOLDER` runs those of `secondlook`.

They are run one after the other, in the order of the pages, in a folder that holds what they name, by the bundled
models and without a network. A line of JSON on stdout says of each what became of it.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "docs" / "guide.md", ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES += [page for page in sorted((ROOT / "docs").glob("*.md")) if page not in PAGES]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# They need the network, take minutes, or serve until they are stopped; tests/golden and others run them in small.
NOT_RUN = ("models prefetch", "train", "serve")


def text() -> str:
    """All pages, one after the other."""
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def lines() -> list[str]:
    """The lines of all blocks of shell, without what is said about them, each once."""
    blocks = [block for language, block in FENCED.findall(text()) if language == "sh"]
    rows = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return list(dict.fromkeys(filter(None, rows)))


def inline() -> list[str]:
    """What stands between backticks in a sentence and begins like a command, each once."""
    starts = r"`((?:secondlook|make|python -m|pip install) [^`]+)`"
    return sorted({" ".join(code.split()) for code in re.findall(starts, FENCED.sub("", text()))})


def to_run() -> list[str]:
    """The lines that `main` runs."""
    named = [line.removeprefix("secondlook ") for line in lines() if line.startswith("secondlook ")]
    return [line for line in named if not line.startswith(NOT_RUN)]


def write_what_they_name(folder: Path) -> None:
    """Reports to ingest, a judged set, and labels that a calibration learns from."""
    from tests.golden.calls import DOCUMENTS, write_world

    (folder / "reports").mkdir()
    for name, content in DOCUMENTS.items():
        (folder / "reports" / name).write_text(content, encoding="utf-8")
    (folder / "reports" / "old.md").write_text(
        "# Old lease\n\nThe first lease, clause 14.2, ended in 2019.\n"
    )
    (folder / "notes.md").write_text("# Notes\n\nAsk the landlord about the bank guarantee.\n")
    write_world(folder)
    (folder / "judged").rename(folder / "my-questions")


def main(folder: Path) -> int:
    """Run them all; 0 where each ended with the status 0."""
    from tests.golden.printing import entry_point, world

    worst = 0
    with world(folder, write_what_they_name):
        for line in to_run():
            if line.startswith("calibrate"):
                entry_point()(["labels", "import", "labelled", "--library", "my-library"])
            out, err = io.StringIO(), io.StringIO()
            answer = io.StringIO("four random words say\n")
            with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "stdin", answer):
                status = entry_point()(shlex.split(line))
            worst = max(worst, status)
            print(json.dumps({"line": line, "status": status, "out": out.getvalue(), "err": err.getvalue()}))
    return worst


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
