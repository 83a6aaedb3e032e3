"""HTML: what a reader of the page would read, without the furniture around it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from bs4 import BeautifulSoup, Tag, XMLParsedAsHTMLWarning

from ingest.errors import EmptyFileError
from ingest.readers.blocks import Blocks
from ingest.readers.encodings import read_decoded
from ingest.readers.html_text import HEADINGS, PageText, Shape, shape_of, walk
from ingest.readers.properties import properties
from ingest.readers.source import Source
from ingest.readers.titles import sensible_title
from ingest.records import Document, Metadata

_NEVER_SHOWN = frozenset((
    "script", "style", "noscript", "template", "svg", "iframe", "object", "embed", "canvas", "audio",
    "video", "map", "head", "datalist", "select", "option", "input", "textarea",
))  # fmt: skip
_FURNITURE = frozenset((
    "nav", "header", "footer", "aside", "form", "menu", "dialog",
))  # fmt: skip
# What pages say of their parts to those who do not see them, and what cookie banners are called.
_FURNITURE_ROLES = frozenset((
    "navigation", "banner", "contentinfo", "search", "menu", "menubar", "dialog", "alertdialog",
))  # fmt: skip
_FURNITURE_NAMES = re.compile(
    r"(?:^|[-_ ])(?:cookies?(?:[-_ ]?(?:banner|consent|notice|bar|popup))?|consent|gdpr|breadcrumbs?|skip-?link"
    r"|interlanguage|lang(?:uage)?-(?:list|switcher|links))(?:$|[-_ ])",
    re.I,
)
_FEWEST_WORDS = 3
# Fewer characters than this are a banner; a page about cookies may have a part that is called that.
_LONGEST_BANNER = 1_500
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_DECLARED = re.compile(
    rb"""(?:<meta[^>]{0,200}?charset|<\?xml[^>]{0,100}?encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.I
)
# What pages mean by these names, as browsers have it (WHATWG Encoding Standard, 4.2).
_MEANT = {
    "iso-8859-1": "cp1252", "latin1": "cp1252", "latin-1": "cp1252", "us-ascii": "cp1252", "ascii": "cp1252",
    "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "shift-jis": "cp932", "euc-kr": "cp949",
    "iso-8859-9": "cp1254", "tis-620": "cp874", "utf-7": "cp1252",
    "utf-16": "utf-8", "utf-16le": "utf-8", "utf-16be": "utf-8",
}  # fmt: skip

# XHTML with an XML declaration is read as HTML on purpose: browsers do, and it forgives.
warnings.filterwarnings("ignore", category=XMLParsedAsHTMLWarning)


_MOST_META = 500


def read_html(source: Source) -> Iterator[Document]:
    """Yield the page as one document, titled by its ``<title>``, else its first ``<h1>``, else its name."""
    markup = decoded_html(source)
    blocks = Blocks(source)
    head = add_html(blocks, source, markup)
    if not blocks.text:
        raise EmptyFileError(
            f"{source.name} shows no text; a page that scripts fill must be saved from the browser."
        )
    title = head.title or next((heading.text for heading in blocks.headings if heading.level == 1), "")
    yield source.document(
        "html", title, blocks.text,
        headings=blocks.headings, blocks=blocks.blocks, metadata=head.metadata,
    )  # fmt: skip


def decoded_html(source: Source) -> str:
    """The markup of a page, in the encoding that it declares. Raises as `read_decoded`."""
    return read_decoded(source, _declared_encoding(source.head(4096)))


@dataclass(frozen=True, slots=True)
class Head:
    """What a page says of itself: its ``<title>``, "" where no person wrote it, and its metadata."""

    title: str
    metadata: Metadata


def add_html(blocks: Blocks, source: Source, markup: str) -> Head:
    """Add what a reader of the page would read, and say what the page says of itself."""
    with source.parsing("", "open it in a browser, save it again, and add that."):
        soup = BeautifulSoup(markup, "lxml")
        shape = shape_of(soup)
        before = len(blocks.blocks)
        _add_page(soup, shape, blocks, furniture=False)
        # A page that is all furniture to the rules above (one big form, say) is better read whole.
        if len(blocks.blocks) == before:
            _add_page(soup, shape, blocks, furniture=True)
        return Head(sensible_title(soup.title.get_text() if soup.title else ""), _metadata(soup))


def _metadata(soup: BeautifulSoup) -> Metadata:
    named: dict[str, str] = {}
    for tag in soup.find_all("meta", limit=_MOST_META):
        name, content = tag.get("name") or tag.get("property"), tag.get("content")
        if isinstance(name, str) and isinstance(content, str):
            named.setdefault(name.lower(), content)

    def first(*names: str) -> str:
        return next((named[name] for name in names if named.get(name)), "")

    return properties(
        author=first("author", "article:author", "dc.creator", "dcterms.creator"),
        language=soup.html.get("lang") or first("dc.language", "og:locale") if soup.html else "",
        created=first("article:published_time", "date", "dc.date", "dcterms.created", "dcterms.date"),
        modified=first("article:modified_time", "last-modified", "dcterms.modified"),
        tags=first("keywords", "article:tag", "dc.subject"),
    )


def _declared_encoding(head: bytes) -> str | None:
    match = _DECLARED.search(head)
    if not match:
        return None
    name = match[1].decode("ascii").lower()
    return _MEANT.get(name, name)


def _add_page(soup: BeautifulSoup, shape: Shape, blocks: Blocks, *, furniture: bool) -> None:
    page = PageText(blocks, shape)
    for step in walk(soup, lambda tag: _dropped(tag, shape, furniture)):
        if step[0] == "text":
            page.text_node(str(step[1]))
        elif step[0] == "open":
            page.open(step[1])
        else:
            page.close(step[1])
    page.end_block()


def _dropped(tag: Tag, shape: Shape, furniture: bool) -> bool:
    if tag.name in _NEVER_SHOWN or "hidden" in tag.attrs or tag.attrs.get("aria-hidden") == "true":
        return True
    if _HIDDEN_STYLE.search(str(tag.attrs.get("style", ""))):
        return True
    if tag.name == "button":
        return not _is_question(tag)
    if (
        tag.parent is not None and tag.parent.name == "semantics"
    ):  # of a formula: its source, else what it shows
        source = tag.parent.find("annotation", recursive=False)
        return tag is not source if source is not None else tag.name.startswith("annotation")
    if furniture or shape.is_content(tag):
        return False
    return tag.name in _FURNITURE or _is_named_furniture(tag)


def _is_question(button: Tag) -> bool:
    """Whether a button unfolds what stands below it, as in lists of questions, rather than doing something."""
    unfolds = "aria-expanded" in button.attrs or "aria-controls" in button.attrs
    if unfolds and len(button.get_text().split()) >= _FEWEST_WORDS:  # “Menu” unfolds as well
        return True
    return button.parent is not None and button.parent.name in HEADINGS


def _is_named_furniture(tag: Tag) -> bool:
    if str(tag.attrs.get("role", "")).lower() in _FURNITURE_ROLES:
        return tag.find("h1") is None
    classes = tag.attrs.get("class", ())
    names = [str(tag.attrs.get("id", "")), *([classes] if isinstance(classes, str) else classes)]
    if tag.name in ("body", "main", "article", "html") or not any(map(_FURNITURE_NAMES.search, names)):
        return False
    return len(tag.get_text()) <= _LONGEST_BANNER and tag.find("h1") is None
