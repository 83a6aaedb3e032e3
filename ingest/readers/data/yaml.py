"""YAML: the file's own text, comments included, with its outermost names as headings.

It is not parsed: what people wrote to be read is read as it stands, and an alias unfolds into nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from ingest.readers.encodings import read_decoded
from ingest.readers.source import Source
from ingest.records import Block, BlockKind, Document, Heading

# A name with what is indented below it, or with a list below it.
_GROUP = re.compile(r"^([\w./\"'-][^\n:#]{0,100}):[ \t]*(?:#[^\n]*)?\n(?=(?:[ \t]*(?:#[^\n]*)?\n)*(?:[ \t]+|- )\S)", re.M)


def read_yaml(source: Source) -> Iterator[Document]:
    """Yield the file as one document, titled by its whole name."""
    text = read_decoded(source)
    headings = [Heading(1, match.start(), match[1].strip("\"' ")) for match in _GROUP.finditer(text)]
    code = [Block(BlockKind.CODE, 0, len(text))]
    yield source.document("yaml", PurePath(source.name).name, text, headings=headings, blocks=code)
