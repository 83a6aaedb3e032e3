"""Warnings where the question or the documents are in a language that a model does not know."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ingest.library.library import Library
from ingest.library.snapshot import Generation
from ingest.models.spec import ModelSpec
from ingest.notices import Notice, NoticeKind

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

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
        self._documents: tuple[Generation, tuple[Notice, ...]] | None = None

    def of(self, query: str) -> tuple[Notice, ...]:
        """Notices about ``query`` and the library as it is now; none where nothing is sure to be lacking."""
        if not self._limited:
            return ()
        language = language_of(query)
        warnings = () if language is None else self._lacking(language, "The question looks")
        return warnings + self._of_documents()

    def _of_documents(self) -> tuple[Notice, ...]:
        """The same about the documents, looked at once a generation."""
        generation = self._library.generation()
        with self._lock:
            if self._documents is None or self._documents[0] != generation:
                self._documents = generation, self._look()
            return self._documents[1]

    def _look(self) -> tuple[Notice, ...]:
        with self._library.snapshot() as snapshot:
            texts = snapshot.sample_texts(SAMPLE)
        counts = Counter(language_of(text, SURE_OF_PASSAGE) for text in texts)
        return tuple(
            warning
            for language, count in counts.most_common()
            if language is not None and count >= SMALLEST_SHARE * len(texts)
            for warning in self._lacking(language, f"{_tenths(count / len(texts))} of the passages look")
        )

    def _lacking(self, language: Language, begin: str) -> tuple[Notice, ...]:
        """A notice where a model does not know ``language``."""
        lacking = [spec for spec, known in self._limited if language.code not in known]
        if not lacking:
            return ()
        names = list(dict.fromkeys(spec.name.rstrip("/").rpartition("/")[2] for spec in lacking))
        only = " and ".join(dict.fromkeys(spec.languages for spec in lacking))
        verb = "knows" if len(names) == 1 else "know"
        text = f"{begin} {language.name}, and {' and '.join(names)} {verb} {only} only: the places may mean little."
        return (Notice(NoticeKind.LANGUAGE, text),)


def _tenths(share: float) -> str:
    """A share in words, no finer than a sample of forty tells it."""
    return "Nearly all" if share > 0.95 else f"About {max(round(10 * share), 1)} in 10"


# Languages that the detector tells apart well, by ISO 639-1; of others nothing is said.
NAMES = {
    "af": "Afrikaans", "ca": "Catalan", "cs": "Czech", "cy": "Welsh", "da": "Danish", "de": "German", "en": "English",
    "es": "Spanish", "et": "Estonian", "eu": "Basque", "fi": "Finnish", "fr": "French", "ga": "Irish", "hr": "Croatian",
    "hu": "Hungarian", "id": "Indonesian", "is": "Icelandic", "it": "Italian", "lt": "Lithuanian", "lv": "Latvian",
    "ms": "Malay", "nl": "Dutch", "nn": "Norwegian", "no": "Norwegian", "nb": "Norwegian", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "sk": "Slovak", "sl": "Slovenian", "sq": "Albanian", "sv": "Swedish",
    "sw": "Swahili", "tl": "Tagalog", "tr": "Turkish", "vi": "Vietnamese",
    "el": "Greek", "he": "Hebrew", "ja": "Japanese", "ko": "Korean", "th": "Thai", "zh": "Chinese",
}  # fmt: skip
# Scripts as Unicode names them that are one language's, and what others are called.
_OF_SCRIPT = {
    "GREEK": "el",
    "HEBREW": "he",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "THAI": "th",
    "CJK": "zh",
}
# Words that an English text has few sentences without, and that are no words of its neighbours.
_ENGLISH = frozenset({
    "the", "and", "of", "what", "which", "how", "why", "where", "who", "does", "with", "without", "from", "this",
    "that", "are", "should", "would", "there", "their", "about",
})  # fmt: skip
_ENGLISH_SHARE = 0.04  # of a longer text's words; English prose has some 15 %
_FEWEST_WORDS, _FEWEST_LETTERS = 3, 12
# How sure the detector must be. Of 1,511 English questions of training sets (SQuAD, MedQuAD, PubMedQA) it held 2 for
# another language with .5 or more, none with .6; of 47 short questions in 13 other languages, 39 have .7 or more.
SURE_OF_QUESTION, SURE_OF_PASSAGE = 0.7, 0.9


@dataclass(frozen=True, slots=True)
class Language:
    """A language: its ISO 639-1 code, or the name of a script that several share, and what people call it."""

    code: str
    name: str


def language_of(text: str, sure: float = SURE_OF_QUESTION) -> Language | None:
    """The language of ``text``; ``None`` where it is not sure enough. English is never in doubt for long.

    ``sure`` is the least probability of the detector, 0 to 1.
    """
    by_script = _by_script(text)
    if by_script is not None:
        return by_script
    words = re.findall(r"[^\W\d_]+", text.lower())
    if sum(word in _ENGLISH for word in words) > _ENGLISH_SHARE * len(words):
        return Language("en", NAMES["en"])
    if len(words) < _FEWEST_WORDS or sum(map(len, words)) < _FEWEST_LETTERS:
        return None
    code, probability = _detector().classify(text)
    return Language(code, NAMES[code]) if probability >= sure and code in NAMES else None


def _by_script(text: str) -> Language | None:
    """The language, or at least the script, of a text whose letters are mostly not Latin."""
    letters = [unicodedata.name(letter, "").partition(" ")[0] for letter in text if letter.isalpha()]
    foreign = Counter(script for script in letters if script and script != "LATIN")
    if foreign.total() < 2 or 2 * foreign.total() <= len(letters):
        return None
    kana = foreign["HIRAGANA"] + foreign["KATAKANA"]  # Japanese is written with Chinese signs between its own
    script = "HIRAGANA" if kana else foreign.most_common(1)[0][0]
    code = _OF_SCRIPT.get(script)
    return Language(code, NAMES[code]) if code else Language(script, f"to be in {script.capitalize()} script")


@cache
def _detector() -> LanguageIdentifier:
    """py3langid (after Lui and Baldwin, "langid.py", ACL 2012): 1.3 s and 100 MB once, so only where it is needed."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def known_languages(words: str) -> frozenset[str] | None:
    """The codes of the languages in a `ModelSpec`'s words, "English and Chinese"; ``None`` where they do not say."""
    codes = {name: code for code, name in NAMES.items()}
    named = [codes.get(name.strip()) for name in re.split(r",| and ", words)]
    return None if None in named else frozenset(code for code in named if code)
