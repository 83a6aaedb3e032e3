from __future__ import annotations

import json

import pytest

from ingest.errors import DamagedFileError, TooLargeError
from ingest.records import BlockKind

HOUSE = {
    "title": "The house",
    "wings": [
        {"name": "North", "flats": [{"no": 1, "rent": 420.5}, {"no": 2, "rent": None}]},
        {"name": "South", "address": {"city": "Oslo", "place": [59.9, 10.7]}, "tags": ["a", "b"]},
    ],
    "open": True,
    "note": None,
}


def test_json_is_read_record_by_record(read_one):
    document = read_one("a.json", json.dumps(HOUSE))
    assert document.title == "The house"
    assert document.text == (
        "title: The house\nopen: true\n\nwings\n\nNorth\n\nname: North\n\nflats\n\nno: 1\nrent: 420.5\n\nno: 2\n\n"
        "South\n\nname: South\naddress.city: Oslo\naddress.place: 59.9, 10.7\ntags: a, b"
    )
    assert [(heading.level, heading.text) for heading in document.headings] == [
        (1, "wings"), (2, "North"), (3, "flats"), (2, "South"),
    ]  # fmt: skip


def test_json_of_plain_records_and_of_one_value(read_one):
    assert read_one("a.json", '[{"a": 1, "b": "x\\n\\ny"}, {"a": 2}, 3]').text == "a: 1\nb: x\ny\n\na: 2\n\n3"
    assert read_one("a.json", '"The cellar is locked."').text == "The cellar is locked."


def test_what_is_no_json_and_what_nests_too_deep(refusal):
    assert "at line 2: Expecting" in refusal(DamagedFileError, "a.json", '{"a": 1}\n{"a": 2}'.replace("}\n{", ",\n}"))
    for depth in (200, 100_000):
        assert "deeper than is read" in refusal(TooLargeError, "a.json", "[" * depth + "1" + "]" * depth)
    deep = '{"a":' * 200 + "1" + "}" * 200
    assert "deeper than is read" in refusal(TooLargeError, "a.json", deep)


def test_yaml_is_read_as_it_stands_with_its_groups_as_headings(read_one):
    text = "# The house\nname: cellar\nrules: # all\n  - locked at ten\nkeys:\n- one\nempty:\nlast: x\n"
    document = read_one("a.yaml", text)
    assert (document.title, document.text) == ("a.yaml", text)
    assert [heading.text for heading in document.headings] == ["rules", "keys"]


BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a0 "lol">' + "".join(
    f'<!ENTITY a{number} "{f"&a{number - 1};" * 10}">' for number in range(1, 11)
) + "]><a>&a10;</a>"  # fmt: skip


def test_xml_of_documents_of_records_and_of_news(read_one):
    article = read_one(
        "a.xml",
        '<article xmlns="http://docbook.org/ns/docbook"><title>House rules</title><section><title>Cellar</title>'
        "<para>It is <emphasis>locked</emphasis> at ten.</para><section><title>Keys</title><programlisting>a = 1\n b"
        "</programlisting></section></section></article>",
    )
    assert (article.title, article.text) == ("House rules", "House rules\n\nCellar\n\nIt is locked at ten.\n\nKeys\n\na = 1\n b")
    assert [heading.level for heading in article.headings] == [1, 2, 3]
    assert article.blocks[-1].kind is BlockKind.CODE
    records = read_one(
        "b.xml",
        '<flats><flat no="7"><tenant>Amara Lind</tenant><rent currency="NOK">420</rent></flat>'
        '<flat no="9"><tenant>Tomas Ferro</tenant></flat></flats>',
    )
    assert records.text == "no: 7\ntenant: Amara Lind\nrent: 420 (currency: NOK)\n\nno: 9\ntenant: Tomas Ferro"
    news = read_one(
        "c.rss",
        "<rss><channel><title>News</title><item><title>Cellar</title><description>Open at ten.</description></item>"
        "<item><title>Keys</title><description>Lost.</description></item></channel></rss>",
    )
    assert (news.title, news.text) == ("News", "News\n\nCellar\n\ndescription: Open at ten.\n\nKeys\n\ndescription: Lost.")


def test_entities_of_xml_are_read_within_bounds_and_other_files_are_not(read_one, refusal, tmp_path):
    (tmp_path / "secret.txt").write_text("a secret")
    small = '<!DOCTYPE a [<!ENTITY who "Amara">]><a><p>By &who;.</p></a>'
    assert read_one("a.xml", small).text == "By Amara."
    assert "unfold to too much" in refusal(TooLargeError, "a.xml", BOMB)
    outside = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{tmp_path}/secret.txt">]><a><p>By.</p><p>&x;</p></a>'
    try:
        assert "secret" not in read_one("a.xml", outside).text
    except AssertionError:
        raise
    except DamagedFileError:
        pass
    assert "nests its parts too deep" in refusal(TooLargeError, "a.xml", "<a>" * 50_000)


def test_a_notebook_is_its_words_its_code_and_what_it_printed(read_one):
    cells = [
        {"cell_type": "markdown", "source": ["# Rents\n", "\n", "How they *rise*."]},
        {"cell_type": "code", "source": "x = 1\nprint(x)", "outputs": [
            {"output_type": "stream", "text": ["1\n"]},
            {"output_type": "display_data", "data": {"image/png": "AAAA"}},
        ]},
        {"cell_type": "code", "source": []},
    ]  # fmt: skip
    document = read_one("a.ipynb", json.dumps({"cells": cells, "nbformat": 4}))
    assert (document.title, document.text) == ("Rents", "Rents\n\nHow they rise.\n\nx = 1\nprint(x)\n\n1")
    kinds = [BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.CODE, BlockKind.CODE]
    assert [block.kind for block in document.blocks] == kinds


@pytest.mark.parametrize("content", ["[]", '{"cells": 3}'])
def test_what_is_no_notebook(refusal, content):
    assert "has no cells" in refusal(DamagedFileError, "a.ipynb", content)
