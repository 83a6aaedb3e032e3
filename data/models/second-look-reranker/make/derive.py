"""Question–passage pairs from documentation that Debian packages install, as BEIR folders.

Labelled questions are scarce, and short keyword and entity queries scarcer. Documentation has them for
nothing: a heading is a query for the section below it, a term for its definition. Each source below
says under which licence its text is; only sources whose licence allows reuse are named.

    apt-get download postgresql-doc-15 …; dpkg -x FILE.deb ROOT
    python data/models/second-look-reranker/make/derive.py --root ROOT --output DIR
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bs4 import BeautifulSoup, Tag

from ingest.errors import UsageError

MIN_CHARACTERS, MAX_CHARACTERS = 120, 1600
MAX_REPEATS = 2  # a heading that stands in more places than this ("Examples", "See also") says nothing
GENERIC = re.compile(
    r"^(introduction|overview|examples?|notes?|description|synopsis|see also|summary|options?|parameters|usage|"
    r"license|copyright|references?|index|contents|table of contents|changelog|bugs|authors?|preface|name)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and the passage that answers it; ``title`` is that of the whole document."""

    query: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """A Debian package's documentation: where its files lie, how they are read, what licence they have."""

    name: str
    package: str
    pattern: str
    kind: str
    title: str
    licence: str
    limit: int


SOURCES = (
    Source("postgresql", "postgresql-doc-15", "usr/share/doc/postgresql-doc-15/html/*.html", "html",
           "PostgreSQL documentation", "PostgreSQL Licence", 1500),
    Source("python", "python3.11-doc", "usr/share/doc/python3.11/html/**/*.html", "html",
           "Python documentation", "PSF-2.0", 1800),
    Source("django", "python-django-doc", "usr/share/doc/python-django-doc/html/**/*.html", "html",
           "Django documentation", "BSD-3-Clause", 1500),
    Source("apache", "apache2-doc", "usr/share/doc/apache2-doc/manual/en/**/*.html", "html",
           "Apache HTTP Server documentation", "Apache-2.0", 800),
    Source("sqlite", "sqlite3-doc", "usr/share/doc/sqlite3/**/*.html", "html",
           "SQLite documentation", "public domain", 900),
    Source("rust", "rust-doc", "usr/share/doc/rust-doc/html/book/**/*.html", "html",
           "The Rust Programming Language", "MIT OR Apache-2.0", 500),
    Source("debian-handbook", "debian-handbook", "usr/share/doc/debian-handbook/html/en-US/*.html", "html",
           "The Debian Administrator's Handbook", "CC-BY-SA-3.0", 600),
    Source("gnome", "gnome-user-docs", "usr/share/help/C/**/*.page", "mallard",
           "GNOME Help", "CC-BY-SA-3.0", 900),
    Source("gimp", "gimp-help-en", "usr/share/gimp/2.0/help/en/*.html", "html",
           "GIMP User Manual", "GFDL-1.2+", 900),
    Source("foldoc", "dict-foldoc", "usr/share/dictd/foldoc.dict.dz", "dict", "", "GFDL-1.1+", 5000),
    Source("jargon", "dict-jargon", "usr/share/dictd/jargon.dict.dz", "dict", "", "public domain", 1200),
    Source("wordnet", "dict-wn", "usr/share/dictd/wn.dict.dz", "wordnet", "", "WordNet 3.0 licence", 5000),
)  # fmt: skip


def clean(text: str) -> str:
    """``text`` on one line, without pilcrows and section numbers at its head."""
    text = re.sub(r"[¶§#]", " ", text)
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"^(chapter|appendix)?\s*([A-Z]|\d+)(\.\d+)*\.\s+", "", text, flags=re.IGNORECASE)


def html_pairs(path: Path, book: str) -> Iterator[Pair]:
    """Heading → the text up to the next heading."""
    soup = BeautifulSoup(path.read_bytes(), "lxml")
    for gone in soup(["script", "style", "nav", "header", "footer", "table", "form"]):
        gone.decompose()
    for heading in soup.find_all(re.compile(r"^h[1-5]$")):
        text = _section(heading)
        yield Pair(clean(heading.get_text(" ")), book, text)


def _section(heading: Tag) -> str:
    """The paragraphs, lists and code after ``heading``, until the next heading or enough text."""
    parts: list[str] = []
    for element in heading.find_all_next(["h1", "h2", "h3", "h4", "h5", "p", "li", "dd", "pre"]):
        if element.name.startswith("h"):
            break
        if element.find_parent(["li", "dd"]):
            continue
        parts.append(re.sub(r"\s+", " ", element.get_text(" ")).strip())
        if sum(map(len, parts)) > MAX_CHARACTERS:
            break
    return re.sub(r"\s+([.,;:!?)])", r"\1", " ".join(parts))


def mallard_pairs(path: Path, book: str) -> Iterator[Pair]:
    """A help page's title and its one-sentence description, each → its text."""
    soup = BeautifulSoup(path.read_bytes(), "xml")
    page = soup.find("page")
    title = page.find("title", recursive=False) if page else None
    if page is None or title is None:
        return
    desc = page.find("desc")
    text = " ".join(clean(p.get_text(" ")) for p in page.find_all("p") if not p.find_parent("info"))
    yield Pair(clean(title.get_text(" ")), book, text)
    if desc:
        yield Pair(clean(desc.get_text(" ")), book, text)


def dict_pairs(path: Path, book: str) -> Iterator[Pair]:
    """Term → definition, of a dictd file whose terms start at the margin and definitions are indented."""
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as lines:
        term, body = "", list[str]()
        for line in lines:
            if line.strip() and not line[0].isspace():
                if term and body:
                    yield Pair(term, book, _definition(body))
                term, body = clean(line), []
            else:
                body.append(line)


def _definition(lines: list[str]) -> str:
    text = re.sub(r"\s+", " ", " ".join(lines))
    text = re.sub(r"[{}]", "", re.sub(r"\(\d{4}-\d{2}-\d{2}\)", "", text))
    return re.sub(r"^\s*(<[^>]+>|/[^/]+/|\d\.)\s*", "", text).strip()


def wordnet_pairs(path: Path, book: str) -> Iterator[Pair]:
    """Noun → the gloss of its first sense, synonyms left out."""
    for pair in dict_pairs(path, book):
        found = re.match(r"n (?:1)?:?\s*(.*?)(?=\s\d: |$)", pair.text)
        if found:
            yield Pair(pair.query, book, re.sub(r"\[(syn|ant): [^\]]*\]", "", found.group(1)).strip())


READERS = {"html": html_pairs, "mallard": mallard_pairs, "dict": dict_pairs, "wordnet": wordnet_pairs}


def source_pairs(source: Source, root: Path) -> list[Pair]:
    """At most ``source.limit`` usable pairs, spread evenly over its files."""
    shortest = 60 if source.kind == "wordnet" else MIN_CHARACTERS
    found = [
        pair
        for path in sorted(root.glob(source.pattern))
        for pair in READERS[source.kind](path, source.title)
        if 3 <= len(pair.query) <= 150 and len(pair.text) >= shortest and not GENERIC.match(pair.query)
    ]
    repeats = Counter(pair.query.lower() for pair in found)
    texts = Counter(pair.text[:200] for pair in found)
    usable = [
        p for p in found if repeats[p.query.lower()] <= MAX_REPEATS and texts[p.text[:200]] <= MAX_REPEATS
    ]
    step = max(1.0, len(usable) / source.limit)
    return [usable[int(i * step)] for i in range(min(len(usable), source.limit))]


def write_beir(pairs: list[Pair], folder: Path) -> None:
    """Writes corpus, queries and qrels/train of ``pairs`` into ``folder`` (made if absent)."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    texts: dict[tuple[str, str], str] = {}
    for pair in pairs:
        texts.setdefault((pair.title, pair.text[:MAX_CHARACTERS]), f"d{len(texts)}")
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as out:
        for (title, text), name in texts.items():
            out.write(json.dumps({"_id": name, "title": title, "text": text}, ensure_ascii=False) + "\n")
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as out:
        for number, pair in enumerate(pairs):
            out.write(json.dumps({"_id": f"q{number}", "text": pair.query}, ensure_ascii=False) + "\n")
    with (folder / "qrels" / "train.tsv").open("w", encoding="utf-8") as out:
        out.write("query-id\tcorpus-id\tscore\n")
        for number, pair in enumerate(pairs):
            out.write(f"q{number}\t{texts[pair.title, pair.text[:MAX_CHARACTERS]]}\t1\n")


def main(arguments: list[str] | None = None) -> int:
    """Derives every source found under ``--root``; one BEIR folder each, with its licence beside it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=Path("/"), help="where the packages are unpacked")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    found = 0
    for source in SOURCES:
        pairs = source_pairs(source, options.root)
        if pairs:
            write_beir(pairs, options.output / source.name)
            about = {"name": source.name, "package": source.package, "licence": source.licence}
            (options.output / source.name / "source.json").write_text(json.dumps(about), encoding="utf-8")
        found += len(pairs)
        print(f"{source.name:16} {len(pairs):6} pairs  {source.licence}")
    if not found:
        raise UsageError(f"No documentation of the known packages lies under {options.root}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
