"""JSON: what it holds, record by record, as lines of names and values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ingest.errors import DamagedFileError, TooLargeError
from ingest.readers.blocks import Blocks
from ingest.readers.data.tree import add_tree
from ingest.readers.encodings import read_decoded
from ingest.readers.source import Source
from ingest.records import Document


def read_json(source: Source) -> Iterator[Document]:
    """Yield the file as one document, titled by the ``title`` or ``name`` of the whole, else by its own name.

    Raises:
        DamagedFileError: it is no JSON.
        TooLargeError: it nests too deep.
    """
    value = parsed_json(source)
    blocks = Blocks(source)
    add_tree(source, blocks, value)
    title = value.get("title") or value.get("name") if isinstance(value, dict) else ""
    yield source.document(
        "json",
        title if isinstance(title, str) else "",
        blocks.text,
        headings=blocks.headings,
        blocks=blocks.blocks,
    )


def parsed_json(source: Source) -> Any:
    """The value that a file of JSON holds. Raises as `read_json`."""
    text = read_decoded(source)
    source.check_characters(len(text))
    try:
        return json.loads(text, strict=False) if text.strip() else ""
    except RecursionError:
        raise TooLargeError(
            f"{source.name} nests its data deeper than is read; export it in a flatter form."
        ) from None
    except ValueError as error:  # a number of over 4,300 digits, too
        place = f" at line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else ""
        raise DamagedFileError(
            f"{source.name} is no JSON{place}; mend it, or name it .jsonl if each line is an entry, or .txt to have it "
            "read as plain text."
        ) from None
