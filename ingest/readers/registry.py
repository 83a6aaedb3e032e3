"""Which reader reads which file: by the name's suffix, then checked against the content."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import TooLargeError, UnknownFormatError
from ingest.readers.signatures import HEAD_BYTES, check_content, is_pdf
from ingest.readers.source import Limits, Reader, Source, format_size
from ingest.records import Document


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file: what people call it, the suffixes of its names, and the module of its reader.

    Module ``csv`` has a function ``read_csv``, and ``word.docx`` one ``read_docx``. It is imported when the first such
    file is read: the parsers take half a second and 35 MB, and are wanted in the process that reads, not in the one
    that asks (`ingest.readers.process`).
    """

    name: str
    suffixes: tuple[str, ...]
    module: str

    @property
    def read(self) -> Reader:
        """The function that reads this format."""
        module = importlib.import_module(f"ingest.readers.{self.module}")
        reader: Reader = getattr(module, f"read_{self.module.rpartition('.')[2]}")
        return reader


FORMATS = (
    Format("PDF", (".pdf",), "pdf.pdf"),
    Format("pictures", (".png", ".jpg", ".jpeg", ".tif", ".tiff"), "pdf.picture"),
    Format("plain text", (".txt", ".text"), "text"),
    Format("Markdown", (".md", ".markdown"), "markdown"),
    Format("HTML", (".html", ".htm", ".xhtml"), "html"),
    Format("DOCX", (".docx",), "word.docx"),
    Format("CSV", (".csv", ".tsv"), "csv"),
    Format("JSONL", (".jsonl",), "jsonl"),
)
_BY_SUFFIX = {suffix: format for format in FORMATS for suffix in format.suffixes}
SUFFIXES: frozenset[str] = frozenset(_BY_SUFFIX)


def read_documents(
    path: Path,
    *,
    name: str | None = None,
    key: str | None = None,
    limits: Limits | None = None,
    passwords: Sequence[str] = (),
    on_page: Callable[[int, int], None] = lambda page, pages: None,
) -> Iterator[Document]:
    """Read a file: one Document, or, from a JSONL corpus, one per entry that has text.

    Args:
        path: the file on disk.
        name: what people see, and whose suffix counts (an upload lies under a temporary path);
            the path as given by default.
        key: the document's identity in its library; the resolved path by default. An entry of a
            corpus is ``f"{key}#{_id}"``.
        limits: what one file may cost; see ``Limits``.
        passwords: what to try, in turn, on a PDF that does not open without one.
        on_page: told which page of how many is read next, where one takes seconds.

    Yields:
        Documents whose text is never empty. Of a corpus with bad entries the good ones come first and
        the error that names the bad ones last.

    Raises:
        ReadError: always as one of its kinds except where the file cannot be opened at all. Nothing is
            read, and nothing raised, before the first document is asked for.
    """
    source = Source(
        path=path,
        name=str(path) if name is None else name,
        key=str(path.resolve()) if key is None else key,
        limits=limits or Limits(),
        passwords=passwords,
        on_page=on_page,
    )
    try:
        yield from _format_of(source).read(source)
    except MemoryError as error:
        raise TooLargeError(
            f"{source.name} needs more memory to read than there is, or than one file may have "
            f"({format_size(source.limits.max_memory_bytes)}); split it into smaller files."
        ) from error


def _format_of(source: Source) -> Format:
    """The format to read ``source`` as. A PDF is known by its first bytes whatever it is called."""
    source.size()
    head = source.head(HEAD_BYTES)
    format = _BY_SUFFIX.get(source.suffix)
    if is_pdf(head, named_so=source.suffix == ".pdf"):
        return _BY_SUFFIX[".pdf"]
    if format is None:
        raise UnknownFormatError(f"{source.name} is {_called(source)}. {_what_can_be_read()}")
    check_content(source, format.name, head)
    return format


def _called(source: Source) -> str:
    return (
        f"of an unknown kind ({source.suffix})"
        if source.suffix
        else "of an unknown kind: its name has no suffix"
    )


def _what_can_be_read() -> str:
    kinds = [f"{format.name} ({', '.join(format.suffixes)})" for format in FORMATS]
    return f"Second Look reads {', '.join(kinds[:-1])} and {kinds[-1]}; convert it to one of these."
