"""reStructuredText: the text that a reader of the page sees, headings by the lines drawn under (and over) them.

docutils would drop what stands in directives that it does not know (Sphinx's, for the most part), so the source is read
itself, and only its marks are taken out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ingest.readers.blocks import Blocks
from ingest.readers.encodings import read_decoded
from ingest.readers.source import Source
from ingest.records import BlockKind, Document

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1+[ \t]*")
_DIRECTIVE = re.compile(r"[ \t]*\.\. (?:\|[^|\n]+\| )?([\w:.+-]+)::(?:[ \t]+(.*))?$")
_OPTION = re.compile(r"[ \t]+:[\w-]+:(?:[ \t].*)?$")
_COMMENT_OR_TARGET = re.compile(r"[ \t]*\.\.(?:[ \t]+(?P<words>.*))?$")
_FOOTNOTE = re.compile(r"\[([^\]]+)\][ \t]+(.*)")
_ITEM = re.compile(r"([ \t]*)(?::[\w ]{1,60}:|[*+•-]|\(?(?:\d+|#|[a-zA-Z])[.)])[ \t]+\S")
_TABLE_LINE = re.compile(r"[ \t]*(?:\+[-=+]+\+|={2,}(?: +={2,})+)[ \t]*$")
_MOST_COLUMNS = 500
# Directives whose arguments and content are not for readers.
_UNSEEN = frozenset((
    "toctree", "index", "highlight", "currentmodule", "module", "include", "image", "raw", "contents", "meta",
    "default-role", "role", "sectionauthor", "moduleauthor", "only", "tabularcolumns", "autosummary", "automodule",
))  # fmt: skip
_ROLE = re.compile(r":[\w+.:-]{1,80}:`(?P<role>[^`]+)`|``(?P<literal>[^`]+)``|`(?P<plain>[^`]+)`__?")
_EMPHASIS = re.compile(r"(?<![\w*])\*{1,2}(?=\S)([^*\n]+?)(?<=\S)\*{1,2}(?![\w*])")
_LINK = re.compile(r"(?s)(.+?)\s*<[^<>]*>")


def read_rst(source: Source) -> Iterator[Document]:
    """Yield the file as one document, titled by its first heading of the highest level, else by its name."""
    blocks = Blocks(source)
    _Reading(blocks).read(read_decoded(source).expandtabs(8).split("\n"))
    title = next((heading.text for heading in blocks.headings if heading.level == 1), "")
    yield source.document("rst", title, blocks.text, headings=blocks.headings, blocks=blocks.blocks)


class _Reading:
    """Goes over the lines once."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._levels: list[str] = []  # the adornments as they first come, which are the levels
        self._lines: list[str] = []
        self._code_at: int | None = None  # where a literal block may begin: its marker's indentation

    def read(self, lines: Sequence[str]) -> None:
        place = 0
        while place < len(lines):
            place += self._step(lines, place)
        self._end()

    def _step(self, lines: Sequence[str], place: int) -> int:  # noqa: PLR0911
        """Take what begins at a line; how many lines that is."""
        line = lines[place]
        if not line.strip():
            self._end()
            return 1
        if not self._lines and (length := self._heading(lines, place)):
            return length
        if not self._lines and _TABLE_LINE.match(line):
            return self._table(lines, place)
        if self._code_at is not None and not self._lines:
            indentation, self._code_at = self._code_at, None
            if _indentation(line) > indentation:
                return self._code(lines, place)
        if not self._lines and (directive := _DIRECTIVE.match(line)):
            return self._directive(lines, place, directive)
        if not self._lines and (comment := _COMMENT_OR_TARGET.match(line)):
            return self._comment(lines, place, comment["words"] or "")
        if self._lines and _ITEM.match(line):
            self._end()
        self._lines.append(line)
        return 1

    def _heading(self, lines: Sequence[str], place: int) -> int:
        above = _ADORNMENT.fullmatch(lines[place])
        title = place + 1 if above else place
        if title + 1 >= len(lines) or not lines[title].strip() or (lines[title][0] == " " and not above):
            return 1 if above and len(lines[place].strip()) >= 4 else 0  # a line drawn between paragraphs
        below = _ADORNMENT.fullmatch(lines[title + 1])
        words = lines[title].strip()
        if below is None or len(lines[title + 1].strip()) < min(len(words), 3) or _ADORNMENT.fullmatch(words):
            return 1 if above and len(lines[place].strip()) >= 4 else 0
        if above and above[1] != below[1]:
            return 0
        mark = below[1] * (2 if above else 1)
        if mark not in self._levels:
            self._levels.append(mark)
        self._blocks.add(_plain(words), BlockKind.HEADING, level=self._levels.index(mark) + 1)
        return title + 2 - place

    def _directive(self, lines: Sequence[str], place: int, directive: re.Match[str]) -> int:
        name, words = directive[1].rpartition(":")[2], (directive[2] or "").strip()
        indentation = _indentation(lines[place])
        length = 1
        while place + length < len(lines) and _OPTION.match(lines[place + length]):
            length += 1
        if name in _UNSEEN:
            return _length_within(lines, place, indentation)
        if name in (
            "code-block",
            "code",
            "sourcecode",
            "parsed-literal",
            "literalinclude",
            "math",
            "doctest",
        ):
            self._code_at = indentation
        elif words:
            self._blocks.add(_plain(words))
        return length

    def _table(self, lines: Sequence[str], place: int) -> int:
        """A table by its borders, drawn around each cell or over and under columns; how many lines it has."""
        is_grid = "+" in lines[place]
        spans = [match.span() for match in re.finditer(r"[-=]+" if is_grid else r"=+", lines[place])]
        spans = spans[:_MOST_COLUMNS]
        rows: list[list[str]] = []
        begins, header_ends, end = True, 0, place + 1
        for number in range(place + 1, len(lines)):
            line = lines[number]
            if _TABLE_LINE.match(line):
                header_ends = len(rows) if ("=" in line if is_grid else not header_ends) else header_ends
                begins, end = True, number + 1
                if not is_grid and (number + 1 == len(lines) or not lines[number + 1].strip()):
                    break
                continue
            if is_grid and not line.lstrip().startswith(("|", "+")):
                break
            if line.strip():
                # Words may stand in the margin of a table without borders, and go beyond its last column.
                ends = [*(start for start, _ in spans[1:]), len(line)]
                if is_grid:
                    ends = [stop for _, stop in spans]
                cells = [line[start:stop].strip() for (start, _), stop in zip(spans, ends, strict=True)]
                if begins or (not is_grid and cells[0]):
                    rows.append(cells)
                else:
                    rows[-1] = [f"{a} {b}".strip() for a, b in zip(rows[-1], cells, strict=True)]
            begins = not is_grid and not line.strip()
        header_ends = header_ends if header_ends < len(rows) else 0
        for number, cells in enumerate(rows):
            self._blocks.add_row(list(map(_plain, cells)), first=not number, header=number < header_ends)
        return end - place

    def _comment(self, lines: Sequence[str], place: int, words: str) -> int:
        note = _FOOTNOTE.match(words)
        if note:
            self._lines.append(f"[{note[1]}] {note[2]}")
            return 1
        if words.startswith("_") or not words:
            return 1
        return _length_within(lines, place, _indentation(lines[place]))

    def _code(self, lines: Sequence[str], place: int) -> int:
        length = _length_within(lines, place, _indentation(lines[place]) - 1)
        block = lines[place : place + length]
        margin = min(_indentation(line) for line in block if line.strip())
        self._blocks.add("\n".join(line[margin:].rstrip() for line in block).rstrip("\n"), BlockKind.CODE)
        return length

    def _end(self) -> None:
        """Finish the paragraph or list item at hand."""
        if not self._lines:
            return
        first = self._lines[0]
        text = " ".join(line.strip() for line in self._lines)
        self._lines.clear()
        if text.endswith("::"):
            self._code_at = _indentation(first)
            text = text[:-1] if len(text) > 2 and text[-3] != " " else text[:-2].rstrip()
        is_item = _ITEM.match(first) is not None
        self._blocks.add(
            _plain(text), BlockKind.LIST_ITEM if is_item else BlockKind.PARAGRAPH, level=int(is_item)
        )


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _length_within(lines: Sequence[str], place: int, indentation: int) -> int:
    """How many lines from this one on belong to it: those indented deeper, and blank ones between them."""
    end = place + 1
    for number in range(place + 1, len(lines)):
        if lines[number].strip():
            if _indentation(lines[number]) <= indentation:
                break
            end = number + 1
    return end - place


def _plain(text: str) -> str:
    """What a reader sees of inline marks: ``:ref:`the lease <lease>` `` → ``the lease``."""

    def words(match: re.Match[str]) -> str:
        if match["literal"]:
            return match["literal"]
        shown = match["role"] or match["plain"]
        link = _LINK.fullmatch(shown)
        return link[1] if link else shown.lstrip("~!")

    text = _EMPHASIS.sub(r"\1", _ROLE.sub(words, text))
    return re.sub(r"\\([\\*`_|:])", r"\1", text).strip()
