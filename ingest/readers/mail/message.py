"""A mail as text: who wrote to whom and when, what it says, and its attachments as documents of their own."""

from __future__ import annotations

import email
import email.policy
import mimetypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage, Message
from typing import Any

from ingest.errors import TooLargeError
from ingest.readers.blocks import Blocks
from ingest.readers.encodings import decode
from ingest.readers.html import add_html
from ingest.readers.properties import properties
from ingest.readers.source import Part, Source
from ingest.readers.titles import clean_characters, clean_title
from ingest.records import BlockKind

ADVICE = "save it again from the mail program, and add that."
_FIELDS = ("From", "To", "Cc", "Date", "Subject")
# A list of many receivers says little of a mail, and would fill its first passage.
_LONGEST_FIELD = 500
# Of a field that is parsed: its parser takes time that grows with the square of it.
_LONGEST_PARSED = 2_000
# A plain form that has fewer than this share of the words of the page beside it only says that there is one.
_PLAIN_SHARE = 0.5
_DEEPEST = 100  # parts within parts
_MOST_ATTACHMENTS_NAMED = 20
_MAILS = ("message/rfc822", "message/global")
_CONTROL_FORMATS = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]+")


@dataclass(slots=True)
class _Contents:
    """What the parts of a mail are: texts to read, each plain or HTML, and attachments by their names."""

    texts: list[tuple[str, str]] = field(default_factory=list)
    attachments: list[tuple[str, bytes]] = field(default_factory=list)


def parsed_message(source: Source, data: bytes) -> EmailMessage:
    """The mail that these bytes are.

    Raises:
        TooLargeError: mails nest within it deeper than the parser goes.
    """
    with _bounded(source):
        return email.message_from_bytes(data, policy=email.policy.default)


def mail_parts(source: Source, message: EmailMessage, format: str) -> Iterator[Part]:
    """The mail's own document, whose title is its subject, then its attachments.

    Raises:
        TooLargeError: parts or mails nest too deep within it.
    """
    contents = _Contents()
    with source.parsing("", ADVICE), _bounded(source):
        _collect(message, contents, 0)
    blocks = Blocks(source)
    subject = _value(message, "Subject")
    blocks.add("\n".join(_head(message, contents)))
    for kind, text in contents.texts:
        if kind == "html":
            add_html(blocks, source, text)
        else:
            add_plain(blocks, text)
    metadata = properties(
        author=_value(message, "From"), created=_value(message, "Date"), tags=_value(message, "Keywords")
    )
    yield source.document(
        format, subject, blocks.text, headings=blocks.headings, blocks=blocks.blocks, metadata=metadata
    )
    yield from source.attachments(contents.attachments)


def add_plain(blocks: Blocks, text: str) -> None:
    """Add a plain text by its paragraphs; what is quoted of other mails is a quote, without its marks."""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        lines: list[str] = []
        quoted = False
        for line in [*paragraph.split("\n"), None]:
            is_quoted = line is not None and line.lstrip().startswith(">")
            if line is None or is_quoted != quoted:
                words = "\n".join(lines).strip("\n")
                if words.strip():
                    blocks.add(words, BlockKind.QUOTE if quoted else BlockKind.PARAGRAPH)
                lines, quoted = [], is_quoted
            if line is not None:
                lines.append(re.sub(r"^[ \t]*(?:>[ \t]?)+", "", line) if is_quoted else line.rstrip())


def _head(message: EmailMessage, contents: _Contents) -> Iterator[str]:
    for name in _FIELDS:
        value = _value(message, name)
        if value:
            yield f"{name}: {value[:_LONGEST_FIELD]}"
    names = [name for name, _ in contents.attachments]
    if names:
        more = len(names) - _MOST_ATTACHMENTS_NAMED
        told = ", ".join(names[:_MOST_ATTACHMENTS_NAMED]) + (f" and {more} more" if more > 0 else "")
        yield f"Attachments: {told}"


def _value(message: Message[Any, Any], name: str) -> str:
    """A field's value, decoded; as it stands where it is written against the rules."""
    raw = next((str(raw) for key, raw in message.raw_items() if key.lower() == name.lower()), "")
    raw = raw[:_LONGEST_PARSED]
    try:
        value = str(message.policy.header_fetch_parse(name, raw))
    except Exception:  # noqa: BLE001 (the parser of fields raises anything at all)
        value = raw
    words = " ".join(clean_characters(value).split())
    return words.strip('"') if words.count('"') == 2 and "@" not in words else words


def _collect(part: Message[Any, Any], contents: _Contents, depth: int) -> None:
    if depth > _DEEPEST:
        raise RecursionError
    kind = part.get_content_type()
    if kind in _MAILS:
        payload = part.get_payload()
        inner = payload[0] if isinstance(payload, list) and payload else None
        if isinstance(inner, Message):
            name = _name(part) or f"{clean_title(_value(inner, 'Subject')) or 'mail'}.eml"
            contents.attachments.append((_file_name(name, ".eml"), inner.as_bytes()))
    elif kind == "multipart/alternative":
        _choose(part, contents, depth)
    elif part.is_multipart():
        for child in part.get_payload():
            if isinstance(child, Message):
                _collect(child, contents, depth + 1)
    elif kind in ("text/plain", "text/html") and not _is_attachment(part):
        contents.texts.append((kind.removeprefix("text/"), _text(part)))
    elif _is_attachment(part) or not _is_inline(part):
        suffix = mimetypes.guess_extension(kind) or ""
        content = part.get_payload(decode=True)
        name = _file_name(_name(part) or f"part-{len(contents.attachments) + 1}", suffix)
        contents.attachments.append((name, content if isinstance(content, bytes) else b""))


def _choose(part: Message[Any, Any], contents: _Contents, depth: int) -> None:
    """Of several forms of the same text, the plain one, unless it only says that there is another."""
    forms: dict[str, list[tuple[str, str]]] = {}
    for child in part.get_payload() if part.is_multipart() else ():
        if not isinstance(child, Message):
            continue
        form = _Contents()
        _collect(child, form, depth + 1)
        contents.attachments += form.attachments
        for kind in {kind for kind, _ in form.texts}:
            forms.setdefault(kind, form.texts)
    plain, page = forms.get("plain", []), forms.get("html", [])
    words = sum(len(text.split()) for _, text in plain)
    shown = sum(len(re.sub(r"(?s)<(style|script)\b.*?</\1>|<[^>]*>", " ", text).split()) for _, text in page)
    contents.texts += plain if words and words >= _PLAIN_SHARE * shown else page or plain


def _text(part: Message[Any, Any]) -> str:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    text = decode(data, part.get_content_charset()) or ""
    return clean_characters(text.replace("\r\n", "\n").replace("\r", "\n"))


def _is_attachment(part: Message[Any, Any]) -> bool:
    try:
        disposition = part.get_content_disposition()
    except Exception:  # noqa: BLE001 (as for fields)
        disposition = None
    # A text that is shown within the mail may have a name; whatever else has one was attached.
    return disposition == "attachment" or (
        disposition != "inline" and bool(_name(part)) and not _is_inline(part)
    )


def _is_inline(part: Message[Any, Any]) -> bool:
    """Whether it is a picture or the like that the mail's page shows, or what only programs read."""
    kind = part.get_content_type()
    pictured = kind.startswith("image/") and "Content-ID" in part
    return pictured or kind in (
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
    )


def _name(part: Message[Any, Any]) -> str:
    try:
        return part.get_filename() or ""
    except Exception:  # noqa: BLE001 (as for fields)
        return ""


def _file_name(name: str, suffix: str) -> str:
    """A name without folders and signs that no file has."""
    plain = clean_title(_CONTROL_FORMATS.sub(" ", clean_characters(name))).strip(". ")[:200] or "unnamed"
    return plain if re.search(r"\.\w{1,8}$", plain) else f"{plain}{suffix}"


@contextmanager
def _bounded(source: Source) -> Iterator[None]:
    try:
        yield
    except RecursionError as error:
        raise TooLargeError(
            f"{source.name} nests mails or parts of mails deeper than is read; save the inner mails as files, and add "
            "those."
        ) from error
