from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from ingest.errors import DamagedFileError, EmptyFileError, TooLargeError
from ingest.readers.registry import read_documents
from ingest.readers.source import Limits


def lines(*entries: object) -> str:
    return "\n".join(entry if isinstance(entry, str) else json.dumps(entry) for entry in entries) + "\n"


def entry(identity: object, text: object = "Cranes fly.", title: str = "Cranes") -> dict[str, object]:
    return {"_id": identity, "title": title, "text": text, "metadata": {}}


def read(path: Path, content: str | bytes):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_documents(path, name="corpus.jsonl", key="lib")


def test_one_document_per_line(tmp_path: Path):
    first, second = read(
        tmp_path / "c.jsonl", "\ufeff" + lines(entry("a/1", "One.\r\nTwo 🐦."), "", entry(7, title=""))
    )
    assert (first.key, first.path, first.source_id) == ("lib#a/1", "corpus.jsonl#a/1", "a/1")
    assert (first.title, first.text, first.format) == ("Cranes", "One.\nTwo 🐦.", "jsonl")
    assert (second.source_id, second.title) == ("7", "")


def test_entries_without_text_are_counted_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "ingest"):
        (document,) = read(tmp_path / "c.jsonl", lines(entry("1", ""), entry("2"), entry("3", " \n")))
    assert document.source_id == "2"
    assert "2 entries have no text" in caplog.text


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{broken", "line 2 is not JSON"),
        ("[" * 100_000, "line 2 is not JSON"),
        ("[1]", "line 2 is not a JSON object"),
        ({"title": "t", "text": "x"}, "line 2 has no _id"),
        ({"_id": "2", "title": "t"}, "line 2 has no text"),
        ({"_id": "2", "text": 3}, "line 2 has a text that is not a string"),
        (entry("1"), "line 2 repeats the _id '1'"),
    ],
)
def test_a_bad_line_is_named_after_the_good_ones_were_given(tmp_path: Path, line, says):
    documents = read(tmp_path / "c.jsonl", lines(entry("1"), line, entry("3")))
    assert [next(documents).source_id, next(documents).source_id] == ["1", "3"]
    with pytest.raises(DamagedFileError, match=says) as caught:
        next(documents)
    assert "corpus.jsonl" in str(caught.value)


def test_bytes_that_are_not_utf8_are_a_bad_line(tmp_path: Path):
    with pytest.raises(DamagedFileError, match="line 1 is not in UTF-8"):
        list(read(tmp_path / "c.jsonl", b'{"_id": "1", "text": "caf\xe9"}\n'))


def test_a_file_of_other_lines_is_given_up_early(refusal):
    sentence = refusal(DamagedFileError, "a.jsonl", "words\n" * 1_000)
    assert "and 95 more" in sentence
    assert "0 other entries" in sentence


def test_no_text_at_all(refusal):
    refusal(EmptyFileError, "a.jsonl", lines(entry("1", "")))


def test_the_limits_hold_for_each_line_not_for_the_file(tmp_path: Path, refusal):
    path = tmp_path / "many.jsonl"
    path.write_text(lines(*(entry(str(number)) for number in range(100))))
    assert len(list(read_documents(path, limits=Limits(max_bytes=1000, max_characters=100)))) == 100
    assert "line 2" in refusal(
        TooLargeError, "a.jsonl", lines(entry("1"), entry("2", "x" * 2000)), Limits(max_bytes=1000)
    )
    sentence = refusal(TooLargeError, "b.jsonl", lines(entry("2", "x" * 200)), Limits(max_characters=100))
    assert "line 1, holds too much text: 200 characters" in sentence
