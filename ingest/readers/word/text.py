"""The words under an element of a DOCX, as a reader of the printed page sees them."""

from __future__ import annotations

from typing import Any

from docx.oxml.ns import qn

_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
# Not the document's words: properties, deleted text and field codes.
_SKIPPED = frozenset(
    (*(qn(f"w:{name}") for name in ("pPr", "rPr", "rubyPr", "del", "moveFrom", "instrText", "delText")),
     *(f"{_MATH}{name}" for name in ("rPr", "fPr", "radPr", "ctrlPr", "naryPr", "dPr", "sSupPr", "sSubPr")))
)  # fmt: skip
_WORDS = frozenset((qn("w:t"), f"{_MATH}t"))
_CHARACTERS = {
    qn("w:tab"): "\t",
    qn("w:br"): "\n",
    qn("w:cr"): "\n",
    qn("w:noBreakHyphen"): "-",
    qn("w:p"): "\n",
}
# What is written before the parts of a formula that do not stand on its line, and around a reading aid.
_BEFORE = {f"{_MATH}den": "/", f"{_MATH}sup": "^", f"{_MATH}sub": "_", f"{_MATH}deg": "", qn("w:rt"): "("}
_AFTER = {qn("w:rt"): ")"}


def words_of(element: Any) -> str:
    """The words under ``element`` in order: inserted text, text boxes and formulas too, hidden text not."""
    pieces: list[str] = []
    stack: list[tuple[Any, str]] = [(element.iterchildren(), "")]
    while stack:
        children, after = stack[-1]
        child = next(children, None)
        if child is None:
            pieces.append(after)
            stack.pop()
        elif child.tag in _WORDS:
            pieces.append(child.text or "")
        elif child.tag == f"{_COMPATIBILITY}AlternateContent":
            pieces.append(_alternative(child))
        elif child.tag == qn("w:ruby"):
            pieces.append(_with_reading(child))
        elif child.tag not in _SKIPPED and not _is_hidden(child):
            pieces.append(_CHARACTERS.get(child.tag, "") + _BEFORE.get(child.tag, ""))
            stack.append((child.iterchildren(), _AFTER.get(child.tag, "")))
    return "".join(pieces)


def _alternative(content: Any) -> str:
    """The first of several forms of the same that says anything here: a text box, say, and its copy for old Words."""
    return next((words for form in content.iterchildren() if (words := words_of(form))), "")


def _with_reading(ruby: Any) -> str:
    """A word with the reading that stands above it in brackets."""
    base, reading = ruby.find(qn("w:rubyBase")), ruby.find(qn("w:rt"))
    words = words_of(base) if base is not None else ""
    aid = words_of(reading) if reading is not None else ""
    return f"{words}({aid})" if aid else words


def _is_hidden(run: Any) -> bool:
    if run.tag != qn("w:r"):
        return False
    hidden = run.find(f"{qn('w:rPr')}/{qn('w:vanish')}")
    return hidden is not None and hidden.get(qn("w:val"), "1") not in ("0", "false", "off")
