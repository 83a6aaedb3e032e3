"""Nested data as text: a record is a block of ``name: value`` lines, a group of records stands under its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ingest.errors import TooLargeError
from ingest.readers.blocks import Blocks
from ingest.readers.source import Source
from ingest.records import BlockKind

# Groups below this depth are told by their path (“address.city: Oslo”) rather than by a heading.
_DEEPEST_HEADING = 3
_LABELS = ("title", "name", "label", "id")
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
        groups = {name: each for name, each in value.items() if level <= _DEEPEST_HEADING and _is_group(each)}
        _record(source, blocks, {name: each for name, each in value.items() if name not in groups})
        for name, each in groups.items():
            blocks.add(_words(name), BlockKind.HEADING, level=level)
            _group(source, blocks, each, level + 1)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        # Where one has groups of its own, each stands under its name, or the next would seem to be of the last group.
        named = level < _DEEPEST_HEADING and any(_has_groups(each) for each in value)
        for number, each in enumerate(value, start=1):
            if named:
                blocks.add(_label(each) or str(number), BlockKind.HEADING, level=level)
                _group(source, blocks, each, level + 1)
            else:
                _record(source, blocks, each)
    else:
        _record(source, blocks, value)


def _is_group(value: object) -> bool:
    """Whether it is a list of records, or a record of records: worth a heading."""
    if isinstance(value, Mapping):
        return any(isinstance(each, Mapping) or _is_group(each) for each in value.values())
    return isinstance(value, list) and any(isinstance(each, Mapping) for each in value)


def _has_groups(value: object) -> bool:
    return isinstance(value, Mapping) and any(map(_is_group, value.values()))


def _label(record: object) -> str:
    """What a record is called, where it says so."""
    if not isinstance(record, Mapping):
        return ""
    names = (record.get(key) for key in _LABELS)
    return next((_words(name) for name in names if isinstance(name, str | int) and _words(name)), "")


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
