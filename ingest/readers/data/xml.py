"""XML of any vocabulary: paragraphs where there are sentences, lines of names and values where there is data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree

from ingest.errors import TooLargeError
from ingest.readers.blocks import Blocks
from ingest.readers.source import Source
from ingest.readers.titles import clean_title
from ingest.records import BlockKind, Document

# What vocabularies of documents (DocBook, DITA, TEI, JATS, RSS) call what is over the rest, and what is a text.
_TITLES = frozenset(("title", "head", "heading", "caption", "article-title"))
_PROSE = frozenset(("p", "para", "simpara", "li", "item", "entry", "td", "cell", "note", "quote", "abstract", "text", "line"))
_CODE = frozenset(("programlisting", "screen", "code", "codeblock", "pre", "literallayout"))
# Attributes that say nothing to people.
_UNSAID = frozenset(("id", "class", "style", "lang", "space", "href", "type", "ref", "schemaLocation", "base", "version"))
_ADVICE = "mend it, or name it .txt to have it read as plain text."


def read_xml(source: Source) -> Iterator[Document]:
    """Yield the file as one document, titled by the title of the whole, else by its name.

    Entities of other files are not read, and those within it unfold to no more than the parser allows.

    Raises:
        DamagedFileError: it is no XML.
        TooLargeError: it nests too deep, or its entities unfold to too much.
    """
    root = parsed_xml(source, source.data())
    blocks = Blocks(source)
    title = _Walk(blocks).read(root)
    yield source.document("xml", title, blocks.text, headings=blocks.headings, blocks=blocks.blocks)


def parsed_xml(source: Source, data: bytes, advice: str = _ADVICE) -> Any:
    """The root element, read without files and addresses that the XML names. Raises as `read_xml`."""
    parser = etree.XMLParser(
        resolve_entities="internal", no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    with source.parsing("", advice):
        try:
            return etree.fromstring(data, parser)
        except etree.XMLSyntaxError as error:
            words = str(error)
            if "amplification" in words or "entity reference loop" in words.lower() or "Excessive depth" in words:
                raise TooLargeError(
                    f"{source.name} nests its parts too deep, or names entities that unfold to too much, as no document "
                    "does; save it again from the program that made it."
                ) from error
            raise


class _Walk:
    """Goes over the tree without recursion: an element is a section, a record, a paragraph, or a value."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._lines: list[str] = []
        self._title, self._title_depth = "", 1

    def read(self, root: Any) -> str:
        """Add all blocks; the title of the whole, "" where it has none."""
        self._title_depth = 2 if len(root) == 1 else 1  # as of news, where all is in one channel
        stack: list[tuple[Any, int]] = [(root, 0)]
        while stack:
            element, depth = stack.pop()
            children = [child for child in element if isinstance(child.tag, str)]
            name = etree.QName(element).localname
            if name in _CODE:
                self._end()
                self._blocks.add("".join(element.itertext()).strip("\n"), BlockKind.CODE)
            elif name in _TITLES and depth:
                self._heading(element, depth)
            elif not children:
                self._value(element, name)
            elif _is_mixed(element):
                self._end()
                self._blocks.add(_words(element))
            else:
                self._attributes(element)
                self._end(keep=bool(self._lines) and all(not len(child) for child in children))
                # A record's own end parts it from the next one.
                stack += [(child, depth + 1) for child in reversed(children)]
                continue
            if element.getnext() is None:
                self._end()
        self._end()
        return self._title

    def _heading(self, element: Any, depth: int) -> None:
        words = clean_title(_words(element))
        if not words:
            return
        if not self._title and depth <= self._title_depth:
            self._title = words
        if element.getprevious() is None or depth <= 2:
            self._end()
            self._blocks.add(words, BlockKind.HEADING, level=max(1, min(depth, 6)))
        else:
            self._lines.append(f"{etree.QName(element).localname}: {words}")

    def _value(self, element: Any, name: str) -> None:
        words = _words(element)
        if name in _PROSE:
            self._end()
            self._blocks.add(words)
            return
        attributes = ", ".join(_attributes(element))
        if words and attributes:
            words = f"{words} ({attributes})"
        if words or attributes:
            self._lines.append(f"{name}: {words or attributes}")

    def _attributes(self, element: Any) -> None:
        attributes = list(_attributes(element))
        if attributes:
            self._end()
            self._lines += attributes

    def _end(self, keep: bool = False) -> None:
        if self._lines and not keep:
            self._blocks.add("\n".join(self._lines))
            self._lines.clear()


def _attributes(element: Any) -> Iterator[str]:
    for key, value in element.attrib.items():
        name = etree.QName(key).localname
        if name not in _UNSAID and value.strip():
            yield f"{name}: {' '.join(value.split())}"


def _is_mixed(element: Any) -> bool:
    """Whether words stand between its children, so that they are a sentence's parts."""
    if (element.text or "").strip():
        return True
    return any((child.tail or "").strip() for child in element)


def _words(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())
