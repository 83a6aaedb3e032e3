"""MHTML: a page of the web as browsers save it in one file (RFC 2557)."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.errors import DamagedFileError
from ingest.readers.blocks import Blocks
from ingest.readers.encodings import decode
from ingest.readers.html import add_html
from ingest.readers.mail.message import parsed_message
from ingest.readers.source import Source
from ingest.readers.titles import clean_characters
from ingest.records import Document


def read_mhtml(source: Source) -> Iterator[Document]:
    """Yield the page as one document, as `read_html`; what it shows within frames, and its pictures, are left out.

    Raises:
        DamagedFileError: there is no page in it.
    """
    blocks = Blocks(source)
    head = add_html(blocks, source, page_of(source))
    title = head.title or next((heading.text for heading in blocks.headings if heading.level == 1), "")
    yield source.document(
        "mhtml", title, blocks.text,
        headings=blocks.headings, blocks=blocks.blocks, metadata=head.metadata,
    )  # fmt: skip


def page_of(source: Source) -> str:
    """The markup of the page within. Raises `DamagedFileError` where there is none."""
    message = parsed_message(source, source.data())
    page = next((part for part in message.walk() if part.get_content_type() == "text/html"), None)
    data = page.get_payload(decode=True) if page is not None else None
    if page is None or not isinstance(data, bytes):
        raise DamagedFileError(f"{source.name} has no page in it; save it again from the browser.")
    markup = clean_characters(decode(data, page.get_content_charset()) or "")
    return markup.replace("\r\n", "\n").replace("\r", "\n")
