"""LaTeX: the words that the page would show, headings by the commands of sections, formulas as they are written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from ingest.readers.blocks import Blocks
from ingest.readers.encodings import read_decoded
from ingest.readers.source import Source
from ingest.records import BlockKind, Document

_COMMENT = re.compile(r"(?<!\\)%.*?(?:\n[ \t]*|\Z)")
_LEVELS = {
    "part": 1,
    "chapter": 1,
    "section": 2,
    "subsection": 3,
    "subsubsection": 4,
    "paragraph": 5,
    "subparagraph": 6,
}
# An argument in braces, with braces within it down to three levels.
_DEEPEST = r"\{[^{}]*\}"
_BRACED = rf"\{{((?:[^{{}}]|\{{(?:[^{{}}]|{_DEEPEST})*\}})*)\}}"
_SECTION = re.compile(rf"\\({'|'.join(_LEVELS)})\*?[ \t]*(?:\[[^\]]*\])?[ \t]*{_BRACED}")
_TITLE = re.compile(rf"\\title[ \t]*(?:\[[^\]]*\])?[ \t]*{_BRACED}")
_BODY = re.compile(r"\\begin\{document\}(.*?)(?:\\end\{document\}|\Z)", re.S)
# Where what stands as it is written begins; the group is the name of the environment.
_CODE = re.compile(r"\\begin\{(verbatim\*?|lstlisting|minted|Verbatim)\}(?:\[[^\]\n]*\])?(?:\{\w+\})?")
_FORMULA = re.compile(
    r"\\begin\{((?:equation|align|gather|multline|eqnarray|displaymath|math)\*?)\}|\\\[|\\\(|\$\$?"
)
_CLOSING = {"\\[": "\\]", "\\(": "\\)", "$": "$", "$$": "$$"}
# Commands of which nothing is shown, with their arguments.
_UNSEEN = re.compile(
    r"\\(?:label|bibliographystyle|bibliography|includegraphics|input|include|usepackage|documentclass|pagestyle|vspace|hspace"
    r"|thispagestyle|setlength|setcounter|addtocounter|newcommand|renewcommand|providecommand|definecolor|color|index"
    r"|hypersetup|geometry|graphicspath|nocite|addbibresource|theoremstyle|newtheorem|maketitle|tableofcontents)\*?"
    rf"(?:[ \t]*(?:\[[^\]]*\]|{_BRACED}))*"
)
_REFERENCE = re.compile(
    r"~?\\(?:eqref|pageref|autoref|cref|Cref|ref|cite[a-zA-Z]*)\*?(?:\[[^\]]*\])*\{([^{}]*)\}"
)
_LINK = re.compile(rf"\\href\{{[^{{}}]*\}}{_BRACED}")
_BEGIN = re.compile(r"\\begin\{(\w+\*?)\}(?:\[[^\]]*\])?((?:\{[^{}]*\})*)")
_END = re.compile(r"\\end\{(\w+\*?)\}")
_ITEM = re.compile(r"\\item[ \t]*(?:\[([^\]]*)\])?[ \t]*")
_FOOTNOTE = re.compile(rf"\\(?:footnote|thanks){_BRACED}")
_COMMAND = re.compile(r"\\[a-zA-Z]+\*?[ \t]*(?:\[[^\]]*\])?")
_ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", '"': "\u0308", "H": "\u030b", "r": "\u030a",
    "v": "\u030c", "u": "\u0306", "c": "\u0327", "k": "\u0328", "=": "\u0304", ".": "\u0307",
}  # fmt: skip
_ACCENT = re.compile(
    r"\\(?:([`'^~\"=.])[ \t]*|([Hrvuck])(?=\{|[ \t]))[ \t]*(?:\{\\?([a-zA-Z])\}|\\?([a-zA-Z]))"
)
_LETTERS = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "aa": "å", "AA": "Å",
    "i": "i", "j": "j", "ldots": "…", "dots": "…", "textendash": "–", "textemdash": "—", "LaTeX": "LaTeX", "TeX": "TeX",
    "S": "§", "P": "¶", "copyright": "©", "pounds": "£", "euro": "€", "textbackslash": "\\",
}  # fmt: skip
_LETTER = re.compile(
    rf"\\({'|'.join(sorted(_LETTERS, key=len, reverse=True))})(?![a-zA-Z])(?:\{{\}}|[ \t]+)?"
)
_ROW_END = re.compile(r"\\\\(?:\[[^\]]*\])?|\\tabularnewline")
_RULES = re.compile(r"\\(?:hline|toprule|midrule|bottomrule|cline\{[^}]*\}|cmidrule(?:\([^)]*\))?\{[^}]*\})")
_PARTS = re.compile(r"\x01(\d+)\x02")


def read_tex(source: Source) -> Iterator[Document]:
    """Yield the file as one document, titled by ``\\title``, else by its name; its preamble is left out."""
    text = read_decoded(source).replace("\x01", "").replace("\x02", "")
    source.check_characters(len(text))
    blocks = Blocks(source)
    with source.parsing("", "check that it is LaTeX, or name it .txt to have it read as plain text."):
        reading = _Reading(blocks)
        text = reading.protected(text)
        title = _TITLE.search(text)
        body = _BODY.search(text)
        reading.read(_TITLE.sub("", body[1] if body else text))
    yield source.document(
        "latex",
        _plain(_FOOTNOTE.sub("", title[1])) if title else "",
        blocks.text,
        headings=blocks.headings,
        blocks=blocks.blocks,
    )


class _Reading:
    """The parts that stand as they are written (formulas, code), put aside, and the rest made plain."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._parts: list[tuple[str, bool]] = []

    def protected(self, text: str) -> str:
        """The text without its comments, and with numbers in the place of code and formulas."""
        text = self._set_aside(text, _CODE, is_code=True)
        text = _COMMENT.sub("\n", text) if "%" in text else text
        return self._set_aside(text, _FORMULA, is_code=False)

    def _set_aside(self, text: str, beginning: re.Pattern[str], *, is_code: bool) -> str:
        """The text with what begins so, up to where it ends, put aside; what never ends stays."""
        pieces: list[str] = []
        endless = set[str]()  # what closes nothing from here on: not looked for again
        place = position = 0
        while match := beginning.search(text, position):
            closing = _CLOSING.get(match[0], f"\\end{{{match[1]}}}")
            position = match.end()
            escaped = match.start() > 0 and text[match.start() - 1] == "\\" and not match[1]
            end = -1 if escaped or closing in endless else text.find(closing, position)
            if end < 0 or (closing == "$" and "\n\n" in text[position:end]):
                endless |= {closing} if end < 0 and not escaped else set()
                continue
            pieces.append(text[place : match.start()])
            place = position = end + len(closing)
            if is_code:
                pieces.append(f"\n\n{self._aside(text[match.end() : end].strip(chr(10)), True)}\n\n")
            else:
                pieces.append(self._aside(text[match.start() : place], False))
        return "".join([*pieces, text[place:]])

    def read(self, body: str) -> None:
        """Add the blocks of a body."""
        place = 0
        for section in _SECTION.finditer(body):
            self._paragraphs(body[place : section.start()])
            heading = self._whole(_plain(section[2]))
            self._blocks.add(heading, BlockKind.HEADING, level=_LEVELS[section[1]])
            place = section.end()
        self._paragraphs(body[place:])

    def _paragraphs(self, text: str) -> None:
        text = _BEGIN.sub("\n\n", text)
        text = _ITEM.sub(
            lambda match: f"\n\n\x03{match[1] + ' ' if match[1] else ''}", _END.sub("\n\n", text)
        )
        text = _FOOTNOTE.sub(r" (\1)", text)
        for paragraph in re.split(r"\n[ \t]*\n|\\par\b", text):
            if "&" in paragraph.replace("\\&", "") and _ROW_END.search(paragraph):
                self._rows(paragraph)
            else:
                self._paragraph(paragraph)

    def _rows(self, table: str) -> None:
        first = True
        for row in _ROW_END.split(_RULES.sub("", table)):
            cells = [self._whole(_plain(cell)) for cell in re.split(r"(?<!\\)&", row)]
            if any(cells):
                self._blocks.add_row(cells, first=first)
                first = False

    def _paragraph(self, paragraph: str) -> None:
        alone = _PARTS.fullmatch(paragraph.strip())
        if alone and self._parts[int(alone[1])][1]:
            self._blocks.add(self._parts[int(alone[1])][0], BlockKind.CODE)
            return
        is_item = paragraph.lstrip().startswith("\x03")
        words = self._whole(_plain(paragraph.replace("\x03", "")))
        if not words:
            return
        if is_item:
            self._blocks.add(f"- {words}", BlockKind.LIST_ITEM, level=1)
        else:
            self._blocks.add(words)

    def _aside(self, part: str, is_code: bool) -> str:
        self._parts.append((part, is_code))
        return f"\x01{len(self._parts) - 1}\x02"

    def _whole(self, text: str) -> str:
        return _PARTS.sub(lambda match: self._parts[int(match[1])][0], text)


def _plain(text: str) -> str:
    """Text without commands: of those that only say how it looks the words stay."""
    text = _UNSEEN.sub(" ", text)
    text = _REFERENCE.sub(r" [\1]", _LINK.sub(r"\1", text))
    text = _ACCENT.sub(lambda match: (match[3] or match[4]) + _ACCENTS[match[1] or match[2]], text)
    text = _LETTER.sub(lambda match: _LETTERS[match[1]], text)
    text = (
        _ROW_END.sub(" ", text).replace("---", "—").replace("--", "–").replace("``", "“").replace("''", "”")
    )
    text = re.sub(r"\\([&%$#_{}])", "\x05\\1", _COMMAND.sub(" ", text))
    text = re.sub(r"(?<!\x05)[{}]|\\[,;:! @/-]", "", text).replace("\x05", "").replace("~", " ")
    return unicodedata.normalize("NFC", " ".join(text.split()))
