"""EPUB: the chapters in the order of its spine, each read as the page of HTML that it is."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from ingest.errors import DamagedFileError, EncryptedFileError
from ingest.readers.blocks import Blocks
from ingest.readers.data.xml import parsed_xml
from ingest.readers.html import add_html, decoded_html
from ingest.readers.office.package import advice, opened_package
from ingest.readers.properties import properties
from ingest.readers.source import Source
from ingest.readers.titles import clean_title
from ingest.records import BlockKind, Document

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def read_epub(source: Source) -> Iterator[Document]:
    """Yield the book as one document, titled as it says itself.

    Raises:
        EncryptedFileError: its chapters are encrypted.
        TooLargeError: it unpacks to more than the limit, or at a ratio that no document has.
        DamagedFileError: the archive is broken, or says no order of chapters.
    """
    with source.parsing("", advice(".epub")):
        blocks = Blocks(source)
        with opened_package(source, source.data()) as archive:
            book = _Book(source, archive)
            for path in book.chapters:
                _add_chapter(blocks, source, archive.read(path), book.labels.get(path, ""))
    yield source.document(
        "epub", book.title, blocks.text,
        headings=blocks.headings, blocks=blocks.blocks, metadata=book.metadata,
    )  # fmt: skip


def _add_chapter(blocks: Blocks, source: Source, data: bytes, label: str) -> None:
    """A chapter; where it has no heading of its own, that of the table of contents stands above it."""
    page = replace(source, content=data)
    markup = decoded_html(page)
    aside = Blocks(source)
    add_html(aside, source, markup)
    if label and aside.text and not aside.headings:
        blocks.add(label, BlockKind.HEADING, level=1)
    add_html(blocks, source, markup)


class _Book:
    """What the package says of a book: its title, its chapters in order, and what the table of contents calls them."""

    def __init__(self, source: Source, archive: zipfile.ZipFile) -> None:
        self._source, self._archive = source, archive
        self._names = set(archive.namelist())
        root = self._parsed(_CONTAINER)
        place = next((each.get("full-path") for each in root.iter("{*}rootfile")), None)
        package = self._parsed(place or "")
        self._folder = posixpath.dirname(place or "")
        title = next((each.text for each in package.iter("{*}title") if each.text), "")
        self.title = clean_title(title)

        def said(name: str) -> list[str]:
            return [
                each.text for each in package.iter(f"{{http://purl.org/dc/elements/1.1/}}{name}") if each.text
            ]

        self.metadata = properties(
            author=said("creator"), language=said("language"), created=said("date"), tags=said("subject")
        )
        items = {item.get("id"): item for item in package.iter("{*}item")}
        order = [items.get(each.get("idref")) for each in package.iter("{*}itemref")]
        pages = [item for item in order if item is not None and item.get("media-type") in _PAGES]
        # The table of contents says nothing of its own.
        paths = [self._path(item.get("href", "")) for item in pages if "nav" not in _properties(item)]
        self.chapters = [path for path in dict.fromkeys(paths) if path in self._names]
        if not self.chapters:
            raise DamagedFileError(f"{source.name} names no chapters that it holds; {advice('.epub')}")
        self._refuse_encrypted()
        self.labels = self._labels(items.values())

    def _parsed(self, name: str) -> Any:
        if name not in self._names:
            raise DamagedFileError(
                f"{self._source.name} has lost {name or 'the list of its chapters'}; {advice('.epub')}"
            )
        return parsed_xml(self._source, self._archive.read(name), advice(".epub"))

    def _path(self, address: str, folder: str | None = None) -> str:
        joined = posixpath.join(
            self._folder if folder is None else folder, unquote(address.partition("#")[0])
        )
        return posixpath.normpath(joined).lstrip("/")

    def _refuse_encrypted(self) -> None:
        """Fonts are often encrypted; chapters are where a shop protects them."""
        if _ENCRYPTION not in self._names:
            return
        addresses = {each.get("URI", "") for each in self._parsed(_ENCRYPTION).iter("{*}CipherReference")}
        if addresses & set(self.chapters):
            raise EncryptedFileError(
                f"{self._source.name} is protected against copying, and cannot be read without the shop's own program."
            )

    def _labels(self, items: Any) -> dict[str, str]:
        """Chapter → what the table of contents calls it: EPUB 2's NCX, or EPUB 3's page of navigation."""
        labels: dict[str, str] = {}
        for item in items:
            is_list = item.get("media-type") == "application/x-dtbncx+xml" or "nav" in _properties(item)
            path = self._path(item.get("href", ""))
            if not is_list or path not in self._names:
                continue
            folder = posixpath.dirname(path)
            root = self._parsed(path)
            for point in root.iter("{*}navPoint"):
                text, content = point.find("{*}navLabel/{*}text"), point.find("{*}content")
                if text is not None and content is not None:
                    labels.setdefault(
                        self._path(content.get("src", ""), folder), clean_title(text.text or "")
                    )
            for link in root.iter("{*}a"):
                labels.setdefault(
                    self._path(link.get("href", ""), folder), clean_title("".join(link.itertext()))
                )
        return labels


def _properties(item: Any) -> list[str]:
    words: list[str] = item.get("properties", "").split()
    return words
