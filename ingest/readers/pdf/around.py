"""What is on a PDF's pages or within the file without being drawn with them: filled fields, notes, attachments."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pypdf import PdfReader

from ingest.readers.pdf.layout import Line
from ingest.readers.properties import properties
from ingest.readers.titles import clean_title
from ingest.records import NO_METADATA, Metadata

logger = logging.getLogger(__name__)

# Of one page; beyond it a page is a form made by a program for programs.
_MOST_ANNOTATIONS = 2_000
_LONGEST = 20_000  # characters of one field or note
_DEEPEST = 16  # fields nest by their names
_NOTES = frozenset(
    ("/Text", "/FreeText", "/Highlight", "/Underline", "/StrikeOut", "/Squiggly", "/Caret", "/Stamp")
)
_YES = frozenset(("yes", "on", "1", "true", "checked"))


def add_fields_and_notes(reader: PdfReader | None, pages: Sequence[list[Line]]) -> None:
    """Add a line for each filled field and each note to the end of its page."""
    if reader is None:
        return
    for index, lines in enumerate(pages):
        try:
            texts = list(_texts_of(reader, index))
        except Exception as error:  # a broken form or note costs itself, no more
            logger.debug("the notes of page %d cannot be read", index + 1, exc_info=error)
            continue
        drawn = " ".join(line.text for line in lines)
        for text, note in texts:
            if text and not (note and text in drawn):
                lines.append(Line(text, 0.0, 0.0, 0.0, 10.0, alone=True))


def _texts_of(reader: PdfReader, index: int) -> Iterator[tuple[str, bool]]:
    """The texts of a page's fields and notes, and whether each is a note."""
    annotations = reader.pages[index].get("/Annots")
    for reference in list(annotations.get_object() if annotations is not None else ())[:_MOST_ANNOTATIONS]:
        annotation = reference.get_object()
        kind = annotation.get("/Subtype")
        if kind == "/Widget":
            yield _field(annotation), False
        elif kind in _NOTES:
            yield _plain(annotation.get("/Contents")), True


def _field(widget: Any) -> str:
    """A filled field as “name: value”; "" for one that is empty, or was not chosen."""
    kind, value = _inherited(widget, "/FT"), _inherited(widget, "/V")
    if kind == "/Btn":
        state = str(widget.get("/AS", value or "/Off")).removeprefix("/")
        if state in ("Off", "None", ""):
            return ""
        text = "yes" if state.lower() in _YES else state
    elif kind in ("/Tx", "/Ch") and value is not None:
        values = value if isinstance(value, list) else [value]
        text = ", ".join(filter(None, (_plain(one) for one in values)))
    else:
        return ""
    if not text or (kind == "/Tx" and int(_inherited(widget, "/Ff") or 0) & (1 << 13)):  # a password
        return ""
    name = _plain(_inherited(widget, "/TU")) or _plain(_inherited(widget, "/T"))
    return f"{name}: {text}" if name else text


def _inherited(field: Any, key: str) -> Any:
    for _ in range(_DEEPEST):
        if field is None:
            return None
        if key in field:
            value = field[key]
            return value.get_object() if hasattr(value, "get_object") else value
        parent = field.get("/Parent")
        field = parent.get_object() if parent is not None else None
    return None


def _plain(value: object) -> str:
    """A string of the file on one line; "" for what is none."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return (
        " ".join(clean_title(part) for part in value[:_LONGEST].split() if part)
        if isinstance(value, str)
        else ""
    )


def attachments(reader: PdfReader | None) -> Iterator[tuple[str, bytes | None]]:
    """Names and bytes of the files within the file; ``None`` for one that cannot be taken out."""
    try:
        files = list(reader.attachment_list) if reader is not None else []
    except Exception as error:
        logger.debug("the attachments cannot be listed", exc_info=error)
        return
    for number, file in enumerate(files, start=1):
        name, content = f"attachment {number}", None
        try:
            name = clean_title(file.name) or name
            content = file.content
        except MemoryError:
            raise
        except Exception as error:
            logger.debug("the attachment %s cannot be taken out", name, exc_info=error)
        yield name, content


def pdf_metadata(reader: PdfReader | None) -> Metadata:
    """What the file says of itself; nothing where that is missing or broken."""
    try:
        info: Mapping[str, Any] = (reader.metadata if reader is not None else None) or {}
        language = reader.root_object.get("/Lang") if reader is not None else None
        return properties(
            author=_plain(info.get("/Author")), language=_plain(language), created=_plain(info.get("/CreationDate")),
            modified=_plain(info.get("/ModDate")), tags=_plain(info.get("/Keywords")),
        )  # fmt: skip
    except Exception as error:
        logger.debug("the metadata cannot be read", exc_info=error)
        return NO_METADATA
