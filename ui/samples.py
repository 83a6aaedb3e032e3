"""The sample library as the page sees it: which documents belong to it, and its example questions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path, PurePath

from ingest.intake import Source
from ingest.library import DocumentInfo
from ingest.pipeline import walk
from ui.settings import SAMPLE

DOCUMENTS = SAMPLE / "documents"
QUERIES = SAMPLE / "queries.jsonl"
MOST_EXAMPLES = 3  # as many as fit on a line

_TAIL = ("data", "sample", "documents")


def is_sample(document: DocumentInfo) -> bool:
    """Whether a document is one of ours, wherever the project lay when it was added."""
    return PurePath(document.path).parent.parts[-len(_TAIL) :] == _TAIL


def sources() -> list[Source]:
    """The sample documents, to ingest; none where the project was installed without them."""
    return list(walk([DOCUMENTS])) if DOCUMENTS.is_dir() else []


def split(documents: Sequence[DocumentInfo]) -> tuple[list[DocumentInfo], list[DocumentInfo]]:
    """The person's own documents, and the samples."""
    return [d for d in documents if not is_sample(d)], [d for d in documents if is_sample(d)]


@cache
def example_questions(path: Path) -> tuple[str, ...]:
    """Questions of a file that are marked as examples, at most `MOST_EXAMPLES`; none where it is not there."""
    if not path.is_file():
        return ()
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return tuple(str(row["text"]) for row in rows if row.get("example"))[:MOST_EXAMPLES]
