"""Titles that people can read, out of metadata and first lines that often are not."""

from __future__ import annotations

import re
import unicodedata

# C0, DEL and C1 control characters; tab, newline and their kin become a space instead.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
# What no text can hold: NUL ends strings in C (FAISS, SQLite's tools), and lone surrogates have no UTF-8.
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_PLACEHOLDER = re.compile(
    r"(untitled|unbenannt|sans titre|(new )?document|(no )?title|slide|(powerpoint |power point )?presentation"
    r"|pr[äé]sentation( powerpoint)?|word document|template|layout|print|scan(ned)?( image)?|default)"
    r"( document| page|[\s\d._-])*",
    re.I,
)
# What programs write where nobody filled the title in: their own name, or that of the file they printed.
_FROM_A_PROGRAM = re.compile(r"^(microsoft|adobe|libreoffice|openoffice)\b.* - ", re.I)
_FILE_NAME = re.compile(
    r"\.(pdf|docx?|dotx?|rtf|odt|txt|tex|dvi|ps|indd|qxd|pptx?|xlsx?|html?|md|cdr|ai|eps|fm|wpd)$", re.I
)
_NOT_A_TITLE = frozenset(
    ("abstract", "contents", "table of contents", "summary", "introduction", "preface", "foreword", "index")
)
_LONGEST_TITLE = 300
_LONGEST_TITLE_LINE = 100


def clean_characters(text: str) -> str:
    """``text`` with NUL and lone surrogates as U+FFFD, one for one, so that offsets stay."""
    return _UNUSABLE.sub("\ufffd", text)


def clean_title(title: str) -> str:
    """``title`` on one line: control characters taken out, runs of white space made one space."""
    return " ".join(_CONTROL.sub("", clean_characters(title.replace("\x00", ""))).split())[:_LONGEST_TITLE]


def sensible_title(metadata: object) -> str:
    """The title that a file's metadata gives, or "" where a program rather than a person wrote it."""
    title = clean_title(metadata) if isinstance(metadata, str) else ""
    if _PLACEHOLDER.fullmatch(title) or _FROM_A_PROGRAM.match(title) or _FILE_NAME.search(title):
        return ""
    return title if sum(map(str.isalpha, title)) >= 2 else ""


def title_line(line: str) -> str:
    """``line`` if it can stand as a title (short, worded, no sentence), else ""."""
    title = clean_title(line)
    if not 3 <= len(title) <= _LONGEST_TITLE_LINE or title.lower() in _NOT_A_TITLE:
        return ""
    if title[-1] in ".,;:、。，；：" or re.search(r"[.!?] [^\W\d_]", title):
        return ""
    letters = sum(unicodedata.category(character)[0] in "LM" for character in title)
    return title if letters * 2 >= len(title) else ""
