"""Which reader reads which file: by the content where that is certain, else by the name, else as text."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from ingest.errors import EmptyFileError, NoTextError, ReadError, TooLargeError, UnknownFormatError
from ingest.readers.encodings import is_text
from ingest.readers.signatures import HEAD_BYTES, certain_format, check_content, kind_of, likely_format
from ingest.readers.source import Limits, Reader, Source, format_size
from ingest.records import Document, Unread


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


_CODE = (
    ".py .pyi .js .mjs .cjs .ts .tsx .jsx .vue .svelte .java .kt .kts .scala .groovy .gradle .c .h .cc "
    ".cpp .cxx .hpp .hh .cs .fs .vb .go .rs .zig .swift .m .mm .rb .php .pl .pm .lua .r .jl .hs .ml .ex "
    ".exs .erl .clj .lisp .el .scm .dart .sql .sh .bash .zsh .fish .ps1 .bat .cmd .css .scss .less .proto "
    ".graphql .tf .cmake .mk .toml .ini .cfg .conf .properties .diff .patch .f90 .f .asm .s .v .vhd .sol "
    ".nim .pas .ada .d .awk .tcl"
)
FORMATS = (
    Format("PDF", (".pdf",), "pdf.pdf"),
    Format("picture", (".png", ".jpg", ".jpeg", ".tif", ".tiff"), "pdf.picture"),
    Format("DOCX", (".docx", ".docm", ".dotx"), "word.docx"),
    Format("XLSX", (".xlsx", ".xlsm", ".xltx"), "office.xlsx"),
    Format("PPTX", (".pptx", ".pptm", ".ppsx", ".potx"), "office.pptx"),
    Format("ODT", (".odt", ".ott", ".fodt"), "office.odt"),
    Format("ODS", (".ods", ".ots", ".fods"), "office.ods"),
    Format("ODP", (".odp", ".otp", ".fodp"), "office.odp"),
    Format("RTF", (".rtf",), "office.rtf"),
    Format("EPUB", (".epub",), "office.epub"),
    Format("HTML", (".html", ".htm", ".xhtml"), "html"),
    Format("MHTML", (".mhtml", ".mht"), "mail.mhtml"),
    Format("Markdown", (".md", ".markdown"), "markdown"),
    Format("reStructuredText", (".rst",), "plain.rst"),
    Format("LaTeX", (".tex", ".latex", ".ltx"), "plain.tex"),
    Format("plain text", (".txt", ".text", ".log"), "text"),
    Format("CSV", (".csv", ".tsv"), "csv"),
    Format("JSON", (".json", ".geojson"), "data.json"),
    Format("JSONL", (".jsonl", ".ndjson"), "jsonl"),
    Format("XML", (".xml", ".rss", ".atom"), "data.xml"),
    Format("YAML", (".yaml", ".yml"), "data.yaml"),
    Format("Jupyter notebook", (".ipynb",), "data.notebook"),
    Format("mail", (".eml",), "mail.eml"),
    Format("Outlook message", (".msg",), "mail.msg"),
    Format("mailbox", (".mbox",), "archives.mbox"),
    Format("subtitles", (".srt", ".vtt"), "plain.subtitles"),
    Format("ZIP archive", (".zip",), "archives.zip"),
    Format("source code", tuple(_CODE.split()), "plain.code"),
)
_BY_NAME = {format.name: format for format in FORMATS}
_BY_SUFFIX = {suffix: format for format in FORMATS for suffix in format.suffixes}
SUFFIXES: frozenset[str] = frozenset(_BY_SUFFIX)


def formats_in_words() -> str:
    """What can be read, as a list in words."""
    return f"{', '.join(format.name for format in FORMATS)}, and any other file that is text"


def read_documents(
    path: Path,
    *,
    name: str | None = None,
    key: str | None = None,
    limits: Limits | None = None,
    passwords: Sequence[str] = (),
    on_page: Callable[[int, int], None] = lambda page, pages: None,
) -> Iterator[Document | Unread]:
    """Read a file: one Document, or several from a corpus, an archive or a mail, each with a text of its own.

    Args:
        path: the file on disk.
        name: what people see, and whose suffix counts (an upload lies under a temporary path);
            the path as given by default.
        key: the document's identity in its library; the resolved path by default. An entry of a
            corpus is ``f"{key}#{_id}"``, a file within the file ``f"{key}/{its name}"``.
        limits: what one file may cost; see ``Limits``.
        passwords: what to try, in turn, on a PDF that does not open without one.
        on_page: told which page of how many is read next, where one takes seconds.

    Yields:
        Documents whose text is never empty, and an ``Unread`` for each file within the file that is refused. Of several
        within it that are the same only the first comes. Of a corpus with bad entries the good ones come first and
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
    refusals: list[str] = []
    contents: set[str] = set()
    any_text = False
    for part in _read(source):
        if isinstance(part, Unread):
            refusals.append(part.reason)
        elif part.key != source.key and part.source_id is None:
            if part.content_hash in contents:
                continue
            contents.add(part.content_hash)
        any_text = any_text or isinstance(part, Document)
        yield part
    if refusals and not any_text:
        raise NoTextError(f"{source.name} holds nothing that can be read. {refusals[0]}")
    if not any_text:
        raise EmptyFileError(f"{source.name} holds no file with text; nothing to index.")


def _read(source: Source) -> Iterator[Document | Unread]:
    """The documents of a file and of the files within it, down to `Limits.max_depth`."""
    try:
        for part in _format_of(source).read(source):
            if isinstance(part, Source):
                yield from _read_within(part)
            else:
                yield part
    except MemoryError as error:
        raise TooLargeError(
            f"{source.name} needs more memory to read than there is, or than one file may have "
            f"({format_size(source.limits.max_memory_bytes)}); split it into smaller files."
        ) from error


def _read_within(source: Source) -> Iterator[Document | Unread]:
    """As `_read`, of a file within a file: what refuses it is said, and costs the others nothing."""
    try:
        if source.depth > source.limits.max_depth:
            raise TooLargeError(
                f"{source.name} lies deeper within other files than is read ({source.limits.max_depth}); "
                "unpack it and add the file itself."
            )
        yield from _read(source)
    except ReadError as error:
        yield Unread(source.name, str(error))


def _format_of(source: Source) -> Format:
    """The format to read ``source`` as."""
    source.size()
    head = source.head(HEAD_BYTES)
    if certain := certain_format(source, head):
        return _BY_NAME[certain]
    format = _BY_SUFFIX.get(source.suffix)
    if format is not None:
        check_content(source, format.name, head)
        return format
    if kind_of(head) or not is_text(head):
        known = (
            "" if source.depth else f" Second Look reads {formats_in_words()}; convert it to one of these."
        )
        raise UnknownFormatError(
            f"{source.name} is {kind_of(head) or _called(source)}, which is not read.{known}"
        )
    return _BY_NAME[likely_format(head)]


def _called(source: Source) -> str:
    suffix = PurePath(source.name).suffix
    return (
        f"a file of an unknown kind ({suffix})" if suffix else "a file of an unknown kind, without a suffix"
    )
