from __future__ import annotations

import csv
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.readers.csv import _Dialect, _rows
from ingest.readers.tables import row_block

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
    read = [
        row_block(["a", "b"], row)
        for row in _rows(file.getvalue().replace("\r\n", "\n"), _Dialect("\t", backslashes=False))
    ]
    assert read == [f"a: {first}\nb: {second}" for first, second in rows]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("sep=;\na;b\n1;2\n", "a: 1\nb: 2"),
        ('name,note\nA,"never closed\nB,plain\n', 'name: A\nnote: "never closed\n\nname: B\nnote: plain'),
        ('name,note\nA,"says \\"hi\\", and goes"\n', 'name: A\nnote: says "hi", and goes'),
        ("id,note,note\n1,red,blue\n", "id: 1\nnote: red\nnote (2): blue"),
        ("2019,2020\n1,2\n", "column 1: 2019\ncolumn 2: 2020\n\ncolumn 1: 1\ncolumn 2: 2"),
    ],
)
def test_dialects_of_programs(read_one, table, text):
    assert read_one("a.csv", table).text == text


def test_a_table_of_faults_alone_takes_no_time_in_the_square_of_its_length(read_one):
    started = time.process_time()
    document = read_one("a.csv", "name,note\n" + 'A,"b"c\n' * 100_000)
    assert document.text.count("note: ") == 100_000
    assert time.process_time() - started < 20
