from __future__ import annotations

import pytest

from ingest.errors import EmptyFileError
from ingest.records import BlockKind

SOURCE = """\
---
author: me
title: "On cranes"
---
# Birds and *machines*

Some cranes
fly, says [the book](http://example.org/x).\\
Others do not.

[![build](https://img.shields.io/x.svg)](http://example.org)

```sh
# not a heading
```

Lifting
-------

3. third
4. fourth
   - nested

| Kind | Height |
|------|-------:|
| *a*  |        |

<details><script>x()</script>Hidden <b>words</b></details>

> ### Quoted
> words

    # code again
"""


def test_a_page_as_people_read_it(read_one):
    document = read_one("a.md", SOURCE.replace("\n", "\r\n"))
    assert document.title == "On cranes"
    assert [(heading.level, heading.text) for heading in document.headings] == [
        (1, "Birds and machines"), (2, "Lifting"), (3, "Quoted"),
    ]  # fmt: skip
    shown = [(block.kind, block.level, document.text[block.start : block.end]) for block in document.blocks]
    assert shown == [
        (BlockKind.HEADING, 1, "Birds and machines"),
        (BlockKind.PARAGRAPH, 0, "Some cranes fly, says the book.\nOthers do not."),
        (BlockKind.CODE, 0, "# not a heading"),
        (BlockKind.HEADING, 2, "Lifting"),
        (BlockKind.LIST_ITEM, 1, "3. third"),
        (BlockKind.LIST_ITEM, 1, "4. fourth"),
        (BlockKind.LIST_ITEM, 2, "- nested"),
        (BlockKind.TABLE_ROW, 1, "Kind | Height"),
        (BlockKind.TABLE_ROW, 0, "a |"),
        (BlockKind.PARAGRAPH, 0, "Hidden words"),
        (BlockKind.HEADING, 3, "Quoted"),
        (BlockKind.QUOTE, 0, "words"),
        (BlockKind.CODE, 0, "# code again"),
    ]


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("# One\n\n# Two\n", "One"),
        ("## Only a second level\n", "a"),
        ("+++\ntitle = 'TOML'\n+++\n\n# H\n", "TOML"),
        ("---\ndraft: true\n---\n# H\n", "H"),
        ("Words\n\n---\ntitle: not front matter\n---\n", "a"),
        ("Words only.\n", "a"),
    ],
)
def test_titles(read_one, source, title):
    assert read_one("a.md", source).title == title


def test_front_matter_is_no_text(read_one):
    document = read_one("a.md", "---\ntitle: x\n---\nWords\n")
    assert (document.text, document.headings) == ("Words", ())


def test_marks_alone_are_no_text(refusal):
    assert "no text besides marks" in refusal(EmptyFileError, "a.md", "---\n\n![](a.png)\n")


def test_what_is_nested_too_deep_is_taken_as_it_stands(read_one):
    document = read_one("a.md", ">" * 5000 + " deep\n\n# Last\x00\n" + "words " * 200)
    assert document.headings == ()
    assert "> deep\n\n# Last\ufffd\nwords" in document.text


def test_fifty_lists_in_lists_are_read(read_one):
    document = read_one("a.md", "".join("  " * depth + f"- item {depth}\n" for depth in range(49)))
    assert [block.level for block in document.blocks] == list(range(1, 50))
