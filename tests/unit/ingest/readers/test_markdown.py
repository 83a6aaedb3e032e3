from __future__ import annotations

import pytest

from ingest.readers import read_documents

SOURCE = """\
---
author: me
title: "On cranes"
---
# Birds and *machines*

Some cranes fly.

```sh
# not a heading
```

Lifting
-------

## The [tower](http://example.org) `crane` ##

> ### Quoted

    # code again
"""


def test_text_is_the_source_and_headings_start_at_their_lines(read_one):
    document = read_one("a.md", SOURCE.replace("\n", "\r\n"))
    assert document.text == SOURCE
    assert document.title == "On cranes"
    assert [(heading.level, heading.text) for heading in document.headings] == [
        (1, "Birds and machines"), (2, "Lifting"), (2, "The tower crane"), (3, "Quoted"),
    ]  # fmt: skip
    lines = [document.text[heading.start :].partition("\n")[0] for heading in document.headings]
    assert lines == [
        "# Birds and *machines*", "Lifting", "## The [tower](http://example.org) `crane` ##", "> ### Quoted",
    ]  # fmt: skip


@pytest.fixture
def read_one(read_one, tmp_path):
    """Without the law on headings' words, which in Markdown may be broken up by markup."""

    def read(name, content):
        (tmp_path / name).write_bytes(content.encode())
        (document,) = read_documents(tmp_path / name, name=name)
        return document

    return read


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


def test_front_matter_gives_no_heading(read_one):
    assert read_one("a.md", "---\ntitle: x\n---\nWords\n").headings == ()


def test_a_thematic_break_at_the_top_is_no_front_matter(read_one):
    document = read_one("a.md", "---\n\nWords\n\n# H\n")
    assert [(heading.text, heading.start) for heading in document.headings] == [("H", 12)]


def test_deep_nesting_and_nul_do_no_harm(read_one):
    document = read_one("a.md", ">" * 5000 + " deep\n\n# Last\x00\n" + "words " * 200)
    assert document.headings[-1].text == "Last\ufffd"
    assert document.text[document.headings[-1].start :].startswith("# Last\ufffd")
