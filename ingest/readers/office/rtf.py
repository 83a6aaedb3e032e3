"""RTF, by striprtf: its paragraphs and rows of tables. How they look, and so what is a heading, is not kept."""

from __future__ import annotations

import re
from collections.abc import Iterator

from striprtf.striprtf import rtf_to_text

from ingest.readers.blocks import Blocks
from ingest.readers.source import Source
from ingest.readers.titles import sensible_title, title_line
from ingest.records import BlockKind, Document

_TITLE = re.compile(r"\{\\title ([^{}\\]{1,300})\}")
_CODE_PAGE = re.compile(rb"\\ansicpg(\d{3,5})")
# Pictures and embedded objects: megabytes of digits, which the parser would go through one by one.
_DIGITS = re.compile(r"[0-9a-fA-F\s]{2000,}")
_ITEM = re.compile(r"(?:[·•▪‣\uf0b7]|[-–])[ \t]+(\S.*)")


def read_rtf(source: Source) -> Iterator[Document]:
    """Yield the file as one document, titled by its properties, else by a first line that stands alone.

    Raises:
        DamagedFileError: its parser stops.
    """
    data = source.data()
    page = _CODE_PAGE.search(data[:4096])
    encoding = f"cp{int(page[1])}" if page else "cp1252"
    markup = _DIGITS.sub(" ", data.decode("latin-1"))
    title = _TITLE.search(markup)
    blocks = Blocks(source)
    with source.parsing("", "open it in a word processor, save it as .docx, and add that."):
        add_rtf(blocks, markup, encoding)
    first = blocks.text.partition("\n")[0]
    yield source.document(
        "rtf",
        sensible_title(title[1] if title else "") or title_line(first),
        blocks.text,
        headings=blocks.headings,
        blocks=blocks.blocks,
    )


def add_rtf(blocks: Blocks, markup: str, encoding: str = "cp1252") -> None:
    """Add the paragraphs and the rows of tables of RTF."""
    in_table = in_list = False
    for line in _text(markup, encoding).replace("\r", "\n").split("\n"):
        words = line.strip()
        if words.count("|") and words.endswith("|"):
            blocks.add_row(words[:-1].split("|"), first=not in_table)
            in_table, in_list = True, False
            continue
        item = _ITEM.match(words)
        blocks.add(
            f"- {item[1]}" if item else words,
            BlockKind.LIST_ITEM if item else BlockKind.PARAGRAPH,
            separator="\n" if in_list and item else "\n\n",
            level=int(item is not None),
        )
        if words:
            in_table, in_list = False, item is not None


def _text(markup: str, encoding: str) -> str:
    text: str = rtf_to_text(markup, encoding, errors="replace")  # type: ignore[no-untyped-call]
    return text
