"""The one reader of judged files: what it takes, and what it refuses with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.errors import DamagedFileError
from rerank.judged.beir import read_judgements, read_qrels, read_rows


def test_judgements_are_read_in_beirs_columns_and_in_trecs(tmp_path: Path) -> None:
    table = tmp_path / "test.tsv"
    table.write_text("\ufeffquery-id\tcorpus-id\tscore\nq 1\td 1\t2\n\nq2 0 d2 -1\nq2\t0\td3\t1\n", "utf-8")
    assert read_qrels(table) == {"q 1": {"d 1": 2}, "q2": {"d2": -1, "d3": 1}}
    for line in ("q\td\tone", "q d", "q 0 d 1 more", f"q\td\t{10**7}"):
        table.write_text(f"q\td\t1\n{line}\n")
        with pytest.raises(DamagedFileError, match=r"^Line 2 of .*test\.tsv is not “query-id"):
            list(read_judgements(table))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{oops", "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"text": "snake"}', "has no _id"),
        ('{"_id": "b", "text": null}', "has no text"),
        ('{"_id": "b", "text": "\\ud800"}', "holds half a surrogate"),
    ],
)
def test_rows_keep_what_they_hold_and_a_bad_one_is_refused_with_its_line(
    tmp_path: Path, line: str, fault: str
) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(f'{{"_id": 7, "text": "snake", "metadata": {{"page": 3}}}}\n{line}\n')
    rows = read_rows(corpus)
    assert next(rows) == {"_id": "7", "title": "", "text": "snake", "metadata": {"page": 3}}
    with pytest.raises(DamagedFileError, match=f"Line 2 of .*corpus.jsonl {fault}"):
        next(rows)
