"""Markdown, as a page would show it: marks are taken for what they mean, and stand in no passage.

Blocks are CommonMark's (https://spec.commonmark.org) with GitHub's tables. A picture is what its alternative text says;
a badge is nothing.
"""

from __future__ import annotations

import functools
import logging
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingest.errors import EmptyFileError
from ingest.readers.blocks import Blocks
from ingest.readers.encodings import read_decoded
from ingest.readers.properties import front_properties
from ingest.readers.source import Source
from ingest.readers.titles import clean_title
from ingest.records import BlockKind, Document

logger = logging.getLogger(__name__)

# YAML between --- lines or TOML between +++ lines, at the very top.
_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)^(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.S | re.M)
_LONGEST_FRONT = 20_000  # characters; what is longer is cut, and seldom parses
_TITLE = re.compile(r"^title[ \t]*[:=][ \t]*(.+?)[ \t]*$", re.I | re.M)
# A picture that is a part of the file: megabytes of letters that say nothing, and slow to parse.
_EMBEDDED = re.compile(r"data:[\w.+-]{1,40}/[\w.+-]{1,80};base64,[A-Za-z0-9+/=]*")
_BADGE = re.compile(r"badge|shields\.io|travis-ci|codecov\.io|/workflows/.*\.svg", re.I)
# Quotes and lists deeper than people nest them, by their markers or their indentation: the parser leaves out what is
# nested too deep, and its time grows with the square of the depth. Such a text is taken as it stands.
_TOO_DEEP = re.compile(r"^(?:[ \t]{200,}\S|(?:[ \t]*(?:>|[*+-][ \t]|\d{1,9}[.)][ \t])){50,})", re.M)
_DEEPEST = 300
_BREAK = re.compile(r"<br\s*/?>", re.I)


def read_markdown(source: Source) -> Iterator[Document]:
    """Yield the file as one document, titled by its front matter, else its first top heading, else its name."""
    text = read_decoded(source)
    source.check_characters(len(text))
    front = _FRONT_MATTER.match(text)
    body = text[front.end() :] if front else text
    blocks = Blocks(source)
    add_markdown(blocks, source, body)
    if not blocks.text:
        raise EmptyFileError(f"{source.name} holds no text besides marks and pictures; nothing to index.")
    fields = _fields(front[1], front[2]) if front else {}
    title = _front_title(front[2]) if front else ""
    title = title or next((heading.text for heading in blocks.headings if heading.level == 1), "")
    yield source.document(
        "markdown", title, blocks.text,
        headings=blocks.headings, blocks=blocks.blocks, metadata=front_properties(fields),
    )  # fmt: skip


def add_markdown(blocks: Blocks, source: Source, text: str) -> None:
    """Add what a page would show of Markdown without front matter; a text that nests too deep as it stands."""
    body = _EMBEDDED.sub("", text)
    if _TOO_DEEP.search(body):
        blocks.add(body)
        return
    with source.parsing("", "check that it is Markdown, or name it .txt to have it read as plain text."):
        _Page(blocks).read(_parser().parse(body))


@functools.cache
def _parser() -> MarkdownIt:
    """Made once: a notebook has a text a cell."""
    return MarkdownIt("commonmark", {"maxNesting": _DEEPEST}).enable("table")


@dataclass(slots=True)
class _List:
    """A list while its items are read; ``number`` is the item's at hand, “” where they are not numbered."""

    number: str = ""
    begun: bool = False


class _Page:
    """Walks the tokens of a page once."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._lists: list[_List] = []
        self._quotes = 0
        self._heading = 0
        self._row: list[str] | None = None
        self._rows = 0
        self._in_head = False
        self._tight = False

    def read(self, tokens: Sequence[Token]) -> None:
        """Take all tokens, in order."""
        for token in tokens:
            if token.type == "inline":
                self._words(_plain(token.children or []))
            elif token.type in ("fence", "code_block"):
                self._add(token.content.rstrip("\n"), BlockKind.CODE)
            elif token.type == "html_block":
                self._words(" ".join(BeautifulSoup(_kept(token.content), "lxml").get_text(" ").split()))
            elif token.type.startswith(("table", "thead", "tr", "th_", "td_")):
                self._table(token)
            else:
                self._nest(token)

    def _nest(self, token: Token) -> None:
        kind, _, step = token.type.rpartition("_")
        opens = step == "open"
        if kind == "heading":
            self._heading = int(token.tag[1:]) if opens else 0
        elif kind == "blockquote":
            self._quotes += 1 if opens else -1
        elif kind in ("bullet_list", "ordered_list"):
            if opens:
                self._lists.append(_List())
            else:
                self._lists.pop()
        elif kind == "list_item" and opens:
            numbered = token.markup in (".", ")")
            self._lists[-1].number = f"{token.info}{token.markup} " if numbered else "- "
            self._lists[-1].begun = False

    def _table(self, token: Token) -> None:
        if token.type == "table_open":
            self._rows = 0
        elif token.type.startswith("thead"):
            self._in_head = token.nesting == 1
        elif token.type == "tr_open":
            self._row = []
        elif token.type == "tr_close" and self._row is not None:
            self._blocks.add_row(self._row, first=not self._rows, header=self._in_head)
            self._row, self._rows, self._tight = None, self._rows + 1, False

    def _words(self, text: str) -> None:
        if self._row is not None:
            self._row.append(text)
        elif self._heading:
            self._add(text, BlockKind.HEADING, self._heading)
        elif self._lists:
            within = self._lists[-1]
            mark, within.begun = ("" if within.begun else within.number), True
            self._add(f"{mark}{text}" if text else "", BlockKind.LIST_ITEM, len(self._lists))
        else:
            self._add(text, BlockKind.QUOTE if self._quotes else BlockKind.PARAGRAPH)

    def _add(self, text: str, kind: BlockKind, level: int = 0) -> None:
        if not text.strip():
            return
        is_item = kind is BlockKind.LIST_ITEM
        self._blocks.add(text, kind, separator="\n" if is_item and self._tight else "\n\n", level=level)
        self._tight = is_item


def _plain(tokens: Sequence[Token]) -> str:
    """What a reader sees of inline Markdown: ``*an* [idea](url)`` → ``an idea``."""
    pieces: list[str] = []
    for token in tokens:
        if token.type == "image":
            pieces.append("" if _BADGE.search(str(token.attrs.get("src", ""))) else token.content)
        elif token.type == "softbreak":
            pieces.append(" ")
        elif token.type == "hardbreak" or (token.type == "html_inline" and _BREAK.match(token.content)):
            pieces.append("\n")
        elif token.type in ("text", "code_inline"):
            pieces.append(token.content)
    return "".join(pieces).strip()


def _kept(markup: str) -> str:
    """The markup of an HTML block without what no page shows."""
    soup = BeautifulSoup(markup, "lxml")
    for tag in soup(["script", "style", "template"]):
        tag.decompose()
    return str(soup)


def _fields(fence: str, front: str) -> dict[object, object]:
    """The fields of front matter; none where it cannot be read: that costs metadata, no more."""
    try:
        fields: object = tomllib.loads(front) if fence == "+++" else yaml.safe_load(front[:_LONGEST_FRONT])
    except Exception as error:  # the parsers raise anything at all on damaged input
        logger.debug("the front matter cannot be read", exc_info=error)
        return {}
    return fields if isinstance(fields, dict) else {}


def _front_title(front: str) -> str:
    match = _TITLE.search(front)
    return clean_title(match[1].strip("\"'")) if match else ""
