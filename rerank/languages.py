"""Warnings where the question or the documents are in a language that a model does not know."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

from ingest.languages import SURE_OF_PASSAGE, Language, known_languages, language_of
from ingest.library.library import Library
from ingest.library.snapshot import Generation
from ingest.models.resolve import ModelSpec

# Passages that are looked at, evenly spread over the library; their languages stand for all.
SAMPLE = 40
# A language with a smaller share of the sample may be a quotation or a mistake.
SMALLEST_SHARE = 0.2


class LanguageWarnings:
    """What models lack for a question and for a library. Safe to share between threads."""

    def __init__(self, library: Library, models: Sequence[ModelSpec]) -> None:
        """``models`` are those that rank; where none says which languages it knows, nothing is looked at."""
        self._library = library
        limited = [(spec, known_languages(spec.languages)) for spec in models]
        self._limited = [(spec, known) for spec, known in limited if known is not None]
        self._lock = threading.Lock()
        self._documents: tuple[Generation, tuple[str, ...]] | None = None

    def of(self, query: str) -> tuple[str, ...]:
        """Sentences about ``query`` and the library as it is now; none where nothing is sure to be lacking."""
        if not self._limited:
            return ()
        language = language_of(query)
        warnings = () if language is None else self._lacking(language, "The question looks")
        return warnings + self._of_documents()

    def _of_documents(self) -> tuple[str, ...]:
        """The same about the documents, looked at once a generation."""
        generation = self._library.generation()
        with self._lock:
            if self._documents is None or self._documents[0] != generation:
                self._documents = generation, self._look()
            return self._documents[1]

    def _look(self) -> tuple[str, ...]:
        with self._library.snapshot() as snapshot:
            texts = snapshot.sample_texts(SAMPLE)
        found = Counter(language_of(text, SURE_OF_PASSAGE) for text in texts)
        return tuple(
            warning
            for language, count in found.most_common()
            if language is not None and count >= SMALLEST_SHARE * len(texts)
            for warning in self._lacking(language, f"{_tenths(count / len(texts))} of the passages look")
        )

    def _lacking(self, language: Language, begin: str) -> tuple[str, ...]:
        """A sentence where a model does not know ``language``."""
        lacking = [spec for spec, known in self._limited if language.code not in known]
        if not lacking:
            return ()
        names = list(dict.fromkeys(spec.name.rstrip("/").rpartition("/")[2] for spec in lacking))
        only = " and ".join(dict.fromkeys(spec.languages for spec in lacking))
        verb = "knows" if len(names) == 1 else "know"
        return (
            f"{begin} {language.name}, and {' and '.join(names)} {verb} {only} only: the places may mean little. A "
            "multilingual encoder and reranker (secondlook models lists them) would read it.",
        )


def _tenths(share: float) -> str:
    """A share in words, no finer than a sample of forty tells it."""
    return "Nearly all" if share > 0.95 else f"About {max(round(10 * share), 1)} in 10"
