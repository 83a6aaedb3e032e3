"""Judged sets as people upload them, small enough to know the verdict beforehand."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping

from tests.fakes import VOCABULARY

# Each question has a passage that repeats its one telling word (first by cosine) and one that has all of its words
# (first for the word scorer): reranking helps on every one of them, p = 2 / 2^11.
QUERIES = {f"q{word}": f"which {word} kills without" for word in VOCABULARY}
CORPUS = {f"near-{word}": f"{word} alpha beta gamma" for word in VOCABULARY} | {
    f"answer-{word}": f"which {word} kills without any of it at all, said they, on a day in May"
    for word in VOCABULARY
}
QRELS = [(f"q{word}", f"answer-{word}", 1) for word in VOCABULARY]


def lines(rows: Mapping[str, str]) -> str:
    return "".join(json.dumps({"_id": key, "title": "", "text": text}) + "\n" for key, text in rows.items())


def beir_files(folder: str = "helping/", **replaced: str) -> dict[str, str]:
    """The files of a set in BEIR's layout; ``replaced`` holds others, by the first part of their names."""
    table = "query-id\tcorpus-id\tscore\n" + "".join("\t".join(map(str, row)) + "\n" for row in QRELS)
    return {
        f"{folder}corpus.jsonl": replaced.get("corpus", lines(CORPUS)),
        f"{folder}queries.jsonl": replaced.get("queries", lines(QUERIES)),
        f"{folder}qrels/test.tsv": replaced.get("qrels", table),
    }


def packed(files: Mapping[str, str]) -> bytes:
    """A zip of ``{name: text}``; names are taken as they are."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()
