"""Nested data as text: a record is a block of ``name: value`` lines, a group of records stands under its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ingest.errors import TooLargeError
from ingest.readers.blocks import Blocks
from ingest.readers.source import Source
from ingest.records import BlockKind

# Groups below this depth are told by their path (“address.city: Oslo”) rather than by a heading.
_DEEPEST_HEADING = 3
# Deeper data is of machines.
_DEEPEST = 100


def add_tree(source: Source, blocks: Blocks, value: object) -> None:
    """Add data as JSON has it: objects, lists, and what is neither.

    Raises:
        TooLargeError: it nests too deep, or is too much text.
    """
    _group(source, blocks, value, 1)


def _group(source: Source, blocks: Blocks, value: object, level: int) -> None:
    if isinstance(value, Mapping):
        groups = {name: each for name, each in value.items() if _is_group(each) and level <= _DEEPEST_HEADING}
        _record(source, blocks, {name: each for name, each in value.items() if name not in groups})
        for name, each in groups.items():
            blocks.add(_words(name), BlockKind.HEADING, level=level)
            _group(source, blocks, each, level + 1)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            if isinstance(each, Mapping) and any(_is_group(inner) for inner in each.values()):
                _group(source, blocks, each, level)
            else:
                _record(source, blocks, each)
    else:
        _record(source, blocks, value)


def _is_group(value: object) -> bool:
    """Whether it is a list of records, or a record of records: worth a heading."""
    if isinstance(value, Mapping):
        return len(value) > 1 and any(isinstance(each, Mapping | list) and each for each in value.values())
    return isinstance(value, list) and any(isinstance(each, Mapping) for each in value)


def _record(source: Source, blocks: Blocks, value: object) -> None:
    lines = []
    length = 0
    for line in _lines(source, value, ""):
        lines.append(line)
        length += len(line)
        source.check_characters(length)
    blocks.add("\n".join(lines))


def _lines(source: Source, value: object, path: str, depth: int = 0) -> Iterator[str]:
    if depth > _DEEPEST:
        raise TooLargeError(
            f"{source.name} nests its data deeper than is read ({_DEEPEST} levels); export it in a flatter form."
        )
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _lines(source, each, f"{path}.{_words(name)}" if path else _words(name), depth + 1)
    elif isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value):
        for each in value:
            yield from _lines(source, each, path, depth + 1)
    else:
        words = ", ".join(filter(None, map(_words, value))) if isinstance(value, list) else _words(value)
        if words:
            yield f"{path}: {words}" if path else words


def _words(value: object) -> str:
    """A value as people write it; nothing where it is none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "\n".join(line for line in str(value).strip().split("\n") if line.strip())
