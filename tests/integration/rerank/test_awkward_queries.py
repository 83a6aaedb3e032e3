"""Any text that can be typed is answered or refused in a sentence, by the search path and by the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.encoders.onnx import open_encoder
from ingest.errors import UsageError
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from rerank.request import MAX_QUERY_CHARACTERS, SearchRequest
from rerank.search import Searcher
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WordScorer
from ui.command_line.main import main

ANSWERED = [
    "鹤是一种什么鸟？", "ما هو الكركي؟", "מהו העגור?", "क्रेन क्या है?", "👩‍👩‍👧 🐦", "e" + "\u0301" * 500,
    "crane\x00\x07\x1b[31mred\x1b[0m", "\u202ecrane\u202c", "crane\u2028bank", "crane\ufffe", "crane \udcff",
    "<script>alert(1)</script>", "'; DROP TABLE chunks; --", 'crane" OR NEAR(* AND ^', "-*~()[]{}:", "crane " * 300,
    "x" * MAX_QUERY_CHARACTERS, "\u200b\u200d", "$crane$ :red[x] `a`",
]  # fmt: skip
REFUSED = {
    "": "is empty",
    " \t\r\n": "is empty",
    "\x00\x01\x1f\x7f\x85": "is empty",
    "\udcff": "is empty",
    "crane " * 10_000: "are the most",
    "鹤" * 10_000: "are the most",
}

Asked = Callable[..., tuple[int, str, str]]


@pytest.fixture
def searcher(desk: Desk) -> Searcher:
    """A searcher over a small library of counted words."""
    desk.add(*(desk.write(f"{n}.txt", f"crane {n} bank river") for n in range(6)))
    return Searcher(Retriever(desk.library, desk.encoder), WordScorer())


@pytest.fixture
def asked(
    searcher: Searcher, desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Asked:
    """`asked("--json", "crane")` → exit status, output and errors of `secondlook search` on that library."""
    monkeypatch.setattr("ui.command_line.search.searcher_for", lambda *_: searcher)

    def ask(*arguments: str) -> tuple[int, str, str]:
        status = main(["search", "--library", str(desk.library.folder), *arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return ask


@pytest.fixture(scope="module")
def real_encoder():
    return open_encoder(resolve_encoder("bundled", Hub(allow_downloads=False)))


@pytest.mark.parametrize("query", ANSWERED)
def test_awkward_questions_are_answered_by_the_command_line(asked: Asked, query: str) -> None:
    for form in ([], ["--json"]):
        status, out, _ = asked(*form, "--", query)
        assert status == 0
        out.encode("utf-8")
        assert not set(out) & {"\x00", "\x07", "\x1b", "\ud800"}
    assert len(json.loads(out)["before"]) == 6


@pytest.mark.parametrize("query", REFUSED, ids=lambda query: ascii(query[:8]))
def test_what_cannot_be_answered_is_refused_in_a_sentence(asked: Asked, query: str) -> None:
    status, out, err = asked(query)
    assert status == 2
    assert out == ""
    assert REFUSED[query] in err
    assert err.strip().endswith(".")
    assert len(err) < 500


@pytest.mark.parametrize("query", ANSWERED)
def test_the_real_encoder_takes_them_too(searcher: Searcher, real_encoder, query: str) -> None:
    vector = real_encoder.encode_query(searcher.first_look(SearchRequest(query)).query)
    assert abs(float(vector @ vector) - 1) < 1e-3


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text(st.characters(), max_size=2_100))
def test_any_text_is_answered_or_refused(searcher: Searcher, query: str) -> None:
    try:
        result = searcher.search(SearchRequest(query))
    except UsageError:
        return
    assert len(result.before) == 6
    result.query.encode("utf-8")


def test_no_question_reaches_the_file_system(searcher: Searcher, desk: Desk) -> None:
    before = sorted(Path(desk.folder).parent.rglob("*"))
    searcher.search(SearchRequest("../../etc/passwd"))
    assert sorted(Path(desk.folder).parent.rglob("*")) == before
