"""Files to upload, made at run time: a PDF of three pages, a DOCX and a Markdown file with an awkward name."""

from __future__ import annotations

from pathlib import Path

import docx
from fpdf import FPDF

PAGES = (
    "The ferry to the island leaves at seven in the morning and again at noon. In winter only the noon ferry "
    "runs, and it does not run at all when the wind is above force eight.",
    "Tickets are sold on board. A return costs eleven euros for adults, and children under twelve travel free.",
    "Bicycles are carried for three euros each, as long as there is room on the car deck behind the ramp.",
)
PARAGRAPHS = (
    "The lighthouse was built in 1868 by the harbour authority, and its lamp was lit by oil until 1931.",
    "Its keeper climbed the 142 steps twice every night. The light has worked without a keeper since 1979.",
)
MARKDOWN_NAME = "tides $x$ :red[a] _b_ :smile:.md"
MARKDOWN = (
    "# Tides :red[a] $x$ :smile:\n\nThe harbour dries out at low water, so that the ferry cannot come alongside "
    "for two hours before and after it. Boats with a keel should anchor outside the wall.\n"
)


def pdf(folder: Path) -> Path:
    """A PDF with a text layer, one paragraph a page."""
    made = FPDF()
    made.set_title("The island ferry")
    made.set_font("Helvetica", size=12)
    for text in PAGES:
        made.add_page()
        made.multi_cell(0, 8, text)
    path = folder / "ferry.pdf"
    made.output(str(path))
    return path


def word(folder: Path) -> Path:
    """A Word file with a heading and two paragraphs."""
    made = docx.Document()
    made.add_heading("The lighthouse", level=1)
    for text in PARAGRAPHS:
        made.add_paragraph(text)
    path = folder / "lighthouse.docx"
    made.save(str(path))
    return path


def markdown(folder: Path) -> Path:
    """A Markdown file whose name and title would be markup, if anybody took them for it."""
    path = folder / MARKDOWN_NAME
    path.write_text(MARKDOWN, encoding="utf-8")
    return path
