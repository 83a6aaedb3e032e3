"""What a file says of itself (author, language, dates, tags), whatever form its format has for it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any

from ingest.readers.titles import clean_title
from ingest.records import Metadata

_LANGUAGE = re.compile(r"([a-z]{2,3})(?:[-_]([a-z]{4}))?(?:[-_]([a-z]{2}|\d{3}))?\b", re.I)
# “D:20240131120000+01'00'” in a PDF; the rest of its parts may be left out.
_PDF_DATE = re.compile(r"D:(\d{4})(\d{2})?(\d{2})?")
_YEAR_OR_MONTH = re.compile(r"[12]\d{3}(-(0[1-9]|1[0-2]))?")
_LONGEST = 200  # characters of an author, a tag or a date
_MOST_TAGS = 50
# Who programs say they are where nobody is named.
_NOBODY = frozenset(
    ("unknown", "author", "admin", "administrator", "user", "python-docx", "openpyxl", "root")
)


def properties(
    *,
    author: object = None,
    language: object = None,
    created: object = None,
    modified: object = None,
    tags: object = None,
) -> Metadata:
    """These values, of whatever kind a parser gave them, as metadata; what cannot be understood is left out.

    A date may be a ``datetime``, ISO 8601, or as PDFs and mails write it; authors and tags a text or several.
    """
    return Metadata(_author(author), _language(language), _date(created), _date(modified), _tags(tags))


def core_metadata(core: Any) -> Metadata:
    """The core properties of an OOXML package, as python-docx, python-pptx or openpyxl gives them."""

    def value(name: str) -> object:
        try:
            return getattr(core, name, None)
        except Exception:  # noqa: BLE001 (a date that is none, say; their parsers raise anything at all)
            return None

    return properties(
        author=value("author") or value("creator"), language=value("language"), created=value("created"),
        modified=value("modified"), tags=value("keywords"),
    )  # fmt: skip


def front_properties(front: Mapping[object, object]) -> Metadata:
    """As `properties`, of the front matter of a page, by the names that static site generators know."""
    named = {str(name).lower(): value for name, value in front.items()}

    def first(*names: str) -> object:
        return next((named[name] for name in names if named.get(name)), None)

    return properties(
        author=first("author", "authors", "creator"),
        language=first("lang", "language", "locale"),
        created=first("date", "created", "published", "pubdate"),
        modified=first("updated", "lastmod", "modified", "last_modified_at"),
        tags=first("tags", "keywords", "categories", "topics"),
    )


def _texts(value: object) -> list[str]:
    """A text, or those of a list; no deeper, as aliases of YAML unfold to any size."""
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    parts = islice(value, _MOST_TAGS) if several and isinstance(value, Iterable) else [value]
    return list(filter(None, map(_line, parts)))


def _line(value: object) -> str:
    """A text, or a record's name, on one line without control characters; "" for anything else."""
    if isinstance(value, Mapping):
        value = value.get("name", "")
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    return clean_title(value[: 10 * _LONGEST]) if isinstance(value, str) else ""


def _author(value: object) -> str:
    names = [name for name in dict.fromkeys(_texts(value)) if name.lower() not in _NOBODY]
    return ", ".join(names)[:_LONGEST]


def _language(value: object) -> str:
    match = _LANGUAGE.match(next(iter(_texts(value)), ""))
    if match is None:
        return ""
    language, script, region = match.groups()
    return "-".join(filter(None, (language.lower(), script and script.title(), region and region.upper())))


def _date(value: object) -> str:
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    text = next(iter(_texts(value)), "")[:_LONGEST]
    if match := _PDF_DATE.match(text):
        text = "-".join(filter(None, match.groups()))
    if _YEAR_OR_MONTH.fullmatch(text):
        return text
    for parse in (datetime.datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return moment.isoformat() if ":" in text else moment.date().isoformat()
    return ""


def _tags(value: object) -> tuple[str, ...]:
    words = _texts(value)
    if isinstance(value, str | bytes):
        words = [word.strip() for text in words for word in re.split(r"[;,]", text)]
    return tuple(dict.fromkeys(word[:_LONGEST] for word in words if word))[:_MOST_TAGS]
