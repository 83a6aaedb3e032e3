"""Markdown. The document's text is the source itself, so offsets are places in the file.

A heading starts where its line starts (at its ``#``): a passage that begins with that line is under it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingest.readers.encodings import read_decoded
from ingest.readers.source import Source
from ingest.readers.titles import clean_title
from ingest.records import Document, Heading

# YAML between --- lines or TOML between +++ lines, at the very top.
_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)^(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.S | re.M)
_TITLE = re.compile(r"^title[ \t]*[:=][ \t]*(.+?)[ \t]*$", re.I | re.M)


def read_markdown(source: Source) -> Iterator[Document]:
    """Yield the file as one document, titled by its front matter, else its first top heading, else its name."""
    text = read_decoded(source)
    source.check_characters(len(text))
    front = _FRONT_MATTER.match(text)
    body = front.end() if front else 0
    with source.parsing("", "check that it is Markdown, or name it .txt to have it read as plain text."):
        headings = [*_headings(text, body)]
    title = _front_title(front[2]) if front else ""
    title = title or next((heading.text for heading in headings if heading.level == 1), "")
    yield source.document("markdown", title, text, headings=headings)


def _headings(text: str, body: int) -> Iterator[Heading]:
    """The headings below the front matter, as the CommonMark parser sees them: none from fenced code."""
    parser = MarkdownIt("commonmark")
    inline = MarkdownIt("commonmark")
    # Blocks alone are enough to find headings, and take a fraction of the time of a full parse.
    parser.core.ruler.enableOnly(["normalize", "block"])
    tokens = parser.parse(text[body:])
    starts = _line_starts(text, body)
    for opening, content in itertools.pairwise(tokens):
        if opening.type == "heading_open" and opening.map:
            words = clean_title(_plain(inline.parseInline(content.content)))
            if words:
                yield Heading(level=int(opening.tag[1:]), start=starts[opening.map[0]], text=words)


def _plain(tokens: list[Token]) -> str:
    """What a reader sees of inline Markdown: ``*an* [idea](url)`` → ``an idea``."""
    pieces: list[str] = []
    for token in tokens[0].children or []:
        if token.type == "image":
            pieces.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            pieces.append(" ")
        elif token.type in ("text", "code_inline"):
            pieces.append(token.content)
    return "".join(pieces)


def _line_starts(text: str, body: int) -> list[int]:
    return [body, *(match.end() for match in re.compile("\n").finditer(text, body))]


def _front_title(front: str) -> str:
    match = _TITLE.search(front)
    return clean_title(match[1].strip("\"'")) if match else ""
