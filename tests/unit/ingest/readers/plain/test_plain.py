from __future__ import annotations

from ingest.errors import DamagedFileError
from ingest.records import BlockKind

RST = """House rules
===========

.. contents::

The *cellar* is **locked** at ``ten``; see :ref:`the keys <keys>` and `a page <http://x>`_.

.. _keys:

Keys
----

* One at the door,
  on a nail.
* One inside::

     key = 1
       more

.. note:: Bring light.

.. function:: open(door)

   Opens a door.

.. code-block:: python
   :linenos:

   x = 1

====  =====
Wing  Rent
====  =====
N     420
South 390 crowns
      a year
====  =====

+------+------+
| Wing | Rent |
+======+======+
| N    | 420  |
+------+------+
"""


def test_restructured_text(read_one):
    document = read_one("a.rst", RST)
    assert document.title == "House rules"
    assert document.text == (
        "House rules\n\nThe cellar is locked at ten; see the keys and a page.\n\nKeys\n\n* One "
        "at the door, on a nail.\n\n"
        "* One inside:\n\nkey = 1\n  more\n\nBring light.\n\nopen(door)\n\nOpens a door.\n\nx = 1\n\n"
        "Wing | Rent\nN | 420\nSouth | 390 crowns a year\n\nWing | Rent\nN | 420"
    )
    assert [(heading.level, heading.text) for heading in document.headings] == [
        (1, "House rules"),
        (2, "Keys"),
    ]


TEX = r"""\documentclass{article}\usepackage[utf8]{inputenc}
\title{House \emph{rules}\thanks{x}}
\begin{document}\maketitle
% a comment
\section{The cellar}\label{sec:c}
It is \textbf{locked} at ten~\cite{a}; the rent rises by $r=1.02x$ each year.\footnote{Nine in winter.}
Fa\c{c}ade, \"uber, na\"{\i}ve 5\% \& more.
\begin{itemize}\item At the door. \item[b)] Inside.\end{itemize}
\subsection*{Rents}
\begin{tabular}{lr}\hline Wing & Rent \\ \hline North & 420 \\ \end{tabular}
\begin{verbatim}
x % y
\end{verbatim}
\end{document} after"""


def test_latex(read_one):
    document = read_one("a.tex", TEX)
    assert document.title == "House rules"
    assert document.text == (
        "The cellar\n\nIt is locked at ten [a]; the rent rises by $r=1.02x$ each year. (Nine in winter.) "
        "Façade, über, naïve 5% & more.\n\n- At the door.\n\n- b) Inside.\n\nRents\n\nWing | Rent\nNorth | 420\n\nx % y"
    )
    assert [(heading.level, heading.text) for heading in document.headings] == [
        (2, "The cellar"),
        (3, "Rents"),
    ]
    assert document.blocks[-1].kind is BlockKind.CODE


def test_subtitles_are_paragraphs_with_the_time_at_which_they_begin(read_one, refusal):
    srt = (
        "1\n00:00:01,000 --> 00:00:03,000\n<i>The cellar</i>\nis locked.\n\n2\n00:00:03,500 --> "
        "00:00:05,000\nAt ten.\n\n"
        "3\n01:01:00,000 --> 01:01:05,000\nKeys.\n"
    )
    assert read_one("a.srt", srt).text == "[0:00:01] The cellar is locked. At ten.\n\n[1:01:00] Keys."
    vtt = (
        "WEBVTT\n\nNOTE hello\nnobody\n\nid1\n00:01.000 --> 00:03.000 align:start\n<v Amara>The "
        "<c.y>cellar</c> &amp; key\n\n"
        "00:03.000 --> 00:04.000\nThe cellar & key\nis locked\n"
    )
    assert read_one("a.vtt", vtt).text == "[0:00:01] Amara: The cellar & key is locked"
    assert "holds no times" in refusal(DamagedFileError, "a.srt", "The cellar.\n")


def test_source_code_is_read_as_it_stands(read_one):
    text = "def open_door():\n    return 1  # of two\n"
    document = read_one("door.py", text)
    assert (document.title, document.text) == ("door.py", text)
    assert [block.kind for block in document.blocks] == [BlockKind.CODE]
