from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.readers.csv import _block, _rows

TABLE = 'name;price;notes\r\n"Crane, tower";1.200;"lifts ""all""\n\nquickly"\n\nHook;;\n;;\nRope;3;'
TEXT = """name: Crane, tower
price: 1.200
notes: lifts "all"
quickly

name: Hook

name: Rope
price: 3"""


def test_rows_become_blocks_that_explain_themselves(read_one):
    document = read_one("stock.csv", TABLE)
    assert (document.text, document.title, document.headings) == (TEXT, "stock", ())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(read_one, delimiter):
    rows = [["bird", "home", "height"], ["blue crane", "Africa", "1.1"], ["common crane", "Europe", "1.2"]]
    content = "\n".join(delimiter.join(row) for row in rows)
    name = "a.tsv" if delimiter == "\t" else "a.csv"
    assert read_one(name, content).text.startswith(
        "bird: blue crane\nhome: Africa\nheight: 1.1\n\nbird: common"
    )


def test_a_first_row_with_numbers_names_nothing(read_one):
    assert (
        read_one("a.csv", "1,crane\n2,heron\n").text
        == "column 1: 1\ncolumn 2: crane\n\ncolumn 1: 2\ncolumn 2: heron"
    )


def test_unnamed_and_missing_columns(read_one):
    assert read_one("a.csv", ",bird\n0,crane,extra\n").text == "column 1: 0\nbird: crane\ncolumn 3: extra"


def test_one_row_and_one_column(read_one):
    assert read_one("a.csv", "crane,heron\n").text == "column 1: crane\ncolumn 2: heron"
    assert read_one("b.csv", "bird\ncrane\nheron\n").text == "bird: crane\n\nbird: heron"


def test_a_cell_of_any_length_and_odd_line_separators(read_one):
    long = "word\u2028 " * 40_000
    assert read_one("a.csv", f"id,text\n1,{long}\n").text == f"id: 1\ntext: {long.strip()}"


@given(st.lists(st.tuples(*[st.text(st.characters(categories=["L", "N", "P"]), min_size=1)] * 2), min_size=1))
def test_every_cell_is_found_in_its_row(rows):
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL, delimiter="\t").writerows(rows)
    read = [_block(["a", "b"], row) for row in _rows(file.getvalue().replace("\r\n", "\n"), tabs=True)]
    assert read == [f"a: {first}\nb: {second}" for first, second in rows]
