"""Bytes → text: byte-order marks, UTF-8, UTF-16, and the national encodings that files are still met in."""

from __future__ import annotations

import codecs
import re
import unicodedata

from charset_normalizer import CharsetMatches, from_bytes

from ingest.errors import UnknownFormatError
from ingest.readers.source import Source
from ingest.readers.titles import clean_characters

# The longer mark first: UTF-32's little-endian one begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Asking only about encodings in real use keeps short texts from being taken for rarities such as cp1006.
_CANDIDATES = [
    "cp1252", "cp1250", "cp1251", "koi8_r", "gb18030", "big5", "cp932", "euc_jp", "cp949",
    "iso8859_2", "cp1253", "cp1254", "cp1255", "cp1256", "mac_roman",
]  # fmt: skip
_SAMPLE_BYTES = 262_144
_LAYOUT = frozenset("\t\n\v\f\r\x1b")


def read_decoded(source: Source, declared: str | None = None) -> str:
    """The file as text, line ends as ``\\n`` (what ``Path.read_text`` gives), without its byte-order mark.

    NUL and lone surrogates become U+FFFD. ``declared`` is the encoding that the file itself names.

    Raises:
        UnknownFormatError: the bytes are no text in any encoding.
        ReadError: as ``Source.data``.
    """
    data = source.data()
    text = decode(data, declared)
    if text is None or _looks_binary(text):
        raise UnknownFormatError(
            f"{source.name} holds bytes that are no text in any known encoding; if it is text, save it as UTF-8."
        )
    return clean_characters(text.replace("\r\n", "\n").replace("\r", "\n"))


def decode(data: bytes, declared: str | None = None) -> str | None:
    """``data`` as text, or None where no encoding fits.

    In order: a byte-order mark; UTF-16 without a mark; UTF-8 (chance hardly ever makes valid UTF-8 of
    another encoding, so it outweighs a declaration); the declared encoding; UTF-8 with a few broken
    bytes; the likeliest national encoding.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    # Bytes of ASCII alone are valid UTF-8, but may be an encoding of escapes (ISO-2022-JP) or UTF-16.
    plain = data.isascii()
    for guess in (_unmarked_utf16(data), declared if plain else None, "utf-8", declared):
        if guess and (text := _strictly(data, guess)) is not None:
            return text
    return _mostly_utf8(data) or _national(data)


def is_text(head: bytes) -> bool:
    """Whether a file that begins with these bytes is text, in whichever encoding."""
    text = decode(head)
    return text is not None and not _looks_binary(text) and "\0" not in text


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeError, LookupError):
        return None


def _unmarked_utf16(data: bytes) -> str | None:
    """UTF-16 without a mark, betrayed by the zero half of most of its Western characters and spaces."""
    head = data[:4096]
    pairs = len(head) // 2
    high, low = head[1::2].count(0), head[0::2].count(0)
    if pairs and high > 0.3 * pairs and low < 0.05 * pairs:
        return "utf-16-le"
    return "utf-16-be" if pairs and low > 0.3 * pairs and high < 0.05 * pairs else None


def _mostly_utf8(data: bytes) -> str | None:
    """UTF-8 of which a few bytes were damaged, or a few lines are of another encoding."""
    text = data.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    good = sum(1 for character in text if character > "\x7f") - bad
    if bad * 10 <= good:
        return text
    lines = data.split(b"\n")
    decoded = [_strictly(line, "utf-8") for line in lines]
    foreign = [line for line, text_ in zip(lines, decoded, strict=True) if text_ is None]
    telling = sum(text_ is not None and not text_.isascii() for text_ in decoded)
    if telling < len(foreign):
        return None
    rest = iter((_national(b"\n".join(foreign)) or "").split("\n"))
    return "\n".join(next(rest, "\ufffd") if text_ is None else text_ for text_ in decoded)


def _national(data: bytes) -> str | None:
    """The likeliest of the candidates, judged by the lines that hold something other than ASCII."""
    telling = b"\n".join(re.findall(rb"[^\r\n]*[\x80-\xff][^\r\n]*", data[: 16 * _SAMPLE_BYTES]))
    sample = telling[:_SAMPLE_BYTES] if len(telling) > _SAMPLE_BYTES else telling
    matches = from_bytes(sample, cp_isolation=_CANDIDATES)
    if not matches:
        # The default threshold takes ISO-8859-2's capital marks for noise; half noise is still text.
        matches = from_bytes(sample, cp_isolation=_CANDIDATES, threshold=0.5)
    for encoding in _by_likelihood(matches, sample):
        if (text := _strictly(data, encoding)) is not None:
            return text
    return None


# Languages that are written in each of the European encodings which a detector by shape cannot tell apart. Their words
# without the marks on their letters are enough to know the language.
_FEWEST_BYTES = 60  # fewer words than these hold are of any language
_LANGUAGES = {
    "cp1250": frozenset(("pl", "cs", "sk", "hu", "ro", "hr", "sl", "bs", "sq")),
    "iso8859_2": frozenset(("pl", "cs", "sk", "hu", "ro", "hr", "sl", "bs", "sq")),
    "cp1254": frozenset(("tr", "az")),
}


def _by_likelihood(matches: CharsetMatches, sample: bytes) -> list[str]:
    """The matches' encodings, best first, with Western European given the benefit of the doubt.

    The detector cannot tell cp1252 from cp1250 and cp1254 by shape and lists them by name, so that French came out
    with Romanian letters (``à`` as ``ŕ``), and Polish with signs (``ą`` as ``¹``): the language decides.
    """
    encodings = [match.encoding for match in matches]
    best = matches.best()
    for match in matches:
        close = best and match.chaos <= best.chaos + 0.15 and match.coherence >= best.coherence - 0.05
        if match.encoding == "cp1252" and close:
            return [*_by_language(sample), "cp1252", *encodings]
    return encodings


def _by_language(sample: bytes) -> list[str]:
    """The encodings whose languages the sample is in, whichever of them it is read by, best first."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # 1.3 s and 100 MB, which few files need

    western = _strictly(sample, "cp1252")
    if len(sample) < _FEWEST_BYTES and western is not None and not _signs_within_words(western):
        return []
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    fitting = []
    for encoding, languages in _LANGUAGES.items():
        text = _strictly(sample, encoding)
        if text is not None and identifier.classify(text)[0] in languages:
            fitting.append((_signs_within_words(text), encoding))
    return [encoding for _, encoding in sorted(fitting)]


def _signs_within_words(text: str) -> int:
    """Signs that stand between letters, as they do where text is read by an encoding that is not its own."""
    return len(
        re.findall(r"(?<=[^\W\d_])[\u0080-\u00bf](?=[^\W\d_])|(?<![\w])[\u00a1-\u00bf](?=[^\W\d_])", text)
    )


def _looks_binary(text: str) -> bool:
    """Whether over one character in fifty is a control or a replaced one. A single one (DOS's final ^Z) is not."""
    sample = text[:_SAMPLE_BYTES]
    odd = sum(unicodedata.category(character) == "Cc" and character not in _LAYOUT for character in sample)
    return odd + sample.count("\ufffd") > max(1, len(sample) // 50)
