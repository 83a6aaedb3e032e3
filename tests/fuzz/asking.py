"""A library to ask, so that a question goes the whole way: check, vectors, words, fusion, second order, marks."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from ingest.errors import UsageError
from ingest.library.library import Library, Manifest
from ingest.pipeline import ingest
from ingest.sources import Source
from rerank.request import MAX_QUERY_CHARACTERS, SearchRequest, check_query
from rerank.search import Searcher
from retrieval.records import CandidateSource
from retrieval.retriever import Retriever
from tests.fakes import WORD_ENCODER, WordEncoder, WordScorer

TEXTS = (
    "A crane is a bird by the river. It wades where the water is shallow, and eats what it finds.",
    'A crane lifts steel. Its operator sits in a cabin 40 m above; "NEAR" is a word too, AND so is OR.',
    "鹤是一种鸟。它住在河边，吃鱼和草。 שלום, 北京 ١٢٣ e\u0301te\u0301",
    "The bank of the river floods\n\nwhen snow melts. Money in the bank does not.",
)


@functools.cache
def _searcher() -> tuple[Searcher, WordEncoder, tempfile.TemporaryDirectory[str]]:
    folder = tempfile.TemporaryDirectory(prefix="second-look-fuzz-")
    encoder = WordEncoder()
    library = Library.create(Path(folder.name) / "library", Manifest.of(WORD_ENCODER, 32))
    sources = []
    for number, text in enumerate(TEXTS):
        path = Path(folder.name) / f"{number}.txt"
        path.write_text(text, encoding="utf-8")
        sources.append(Source.of_path(path))
    ingest(sources, library, encoder)
    return Searcher(Retriever(library, encoder), WordScorer()), encoder, folder


def ask(data: bytes) -> None:
    """Any question: both orders of the same passages with marks inside them, or a sentence that refuses it."""
    typed = data.decode("utf-8", "surrogateescape")
    searcher, encoder, _ = _searcher()
    encoder.calls.clear()  # or an hour of questions would be remembered
    try:
        query = check_query(typed)
        result = searcher.search(SearchRequest(typed, source=CandidateSource.BOTH))
    except UsageError as error:
        if not str(error).endswith("."):
            raise AssertionError(f"no sentence: {error}") from error
        return
    if not 0 < len(query) <= MAX_QUERY_CHARACTERS:
        raise AssertionError("a question that is empty or too long was let through")
    result.query.encode("utf-8")
    chunks = {candidate.chunk.id: candidate.chunk for candidate in result.before}
    if not chunks or (result.after and {hit.candidate.chunk.id for hit in result.after} != set(chunks)):
        raise AssertionError("the two orders hold different passages, or none")
    for chunk, (start, end) in searcher.mark(query, list(chunks.values())).items():
        if not 0 <= start < end <= len(chunks[chunk].text):
            raise AssertionError(f"a mark outside its passage: {start}–{end}")
