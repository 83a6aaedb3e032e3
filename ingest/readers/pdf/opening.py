"""Opening a PDF twice: by pdfium, which reads its pages, and by pypdf, which knows what is around them.

What only one of them opens is written anew by that one for the other: each mends damage that stops the other.
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass

import pypdfium2 as pdfium
from pypdf import PdfReader, PdfWriter

from ingest.errors import DamagedFileError, EncryptedFileError, PasswordNeededError
from ingest.readers.source import Source

logger = logging.getLogger(__name__)

ADVICE = "open it in a PDF viewer, print or export it to a new PDF, and add that."


class _ToOurLog(logging.Handler):
    """pypdf warns about every small fault it mended; that is for our debugging, not for people's screens."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.debug("pypdf: %s", record.getMessage())


logging.getLogger("pypdf").addHandler(_ToOurLog())
logging.getLogger("pypdf").propagate = False


@dataclass(slots=True)
class OpenPdf:
    """A PDF as both parsers have it; ``around`` is ``None`` where pypdf opens it in no way."""

    pages: pdfium.PdfDocument
    around: PdfReader | None

    def close(self) -> None:
        """Let pdfium's memory go."""
        self.pages.close()


def open_pdf(source: Source) -> OpenPdf:
    """Open the file.

    Raises:
        PasswordNeededError: it opens only with a password that is not among ``source.passwords``.
        EncryptedFileError: it is encrypted in a way that neither parser knows.
        DamagedFileError, TooLargeError, EmptyFileError, ReadError: see ``Source``.
    """
    data = source.data()
    around, fault = _by_pypdf(data)
    password = _password(source, around) if around is not None else ""
    document = _by_pdfium(data, (password, *source.passwords))
    if document is None and around is not None:
        document = _by_pdfium(_rewritten(around), ("",))
    if document is None:
        if isinstance(fault, NotImplementedError):  # of a handler that is not the standard's
            raise _unknown_encryption(source, fault) from fault
        if fault is None:
            raise DamagedFileError(
                f"{source.name} seems to be damaged: no page of it can be opened; {ADVICE}"
            )
        with source.parsing("", ADVICE):
            raise fault
    if around is None:
        around, _ = _by_pypdf(_saved(document))
        if around is not None and around.is_encrypted:
            around = None
    return OpenPdf(document, around)


def _by_pypdf(data: bytes) -> tuple[PdfReader | None, Exception | None]:
    """The reader, or what stopped it."""
    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        if not reader.is_encrypted:
            _ = len(reader.pages)
        return reader, None
    except MemoryError:
        raise
    except Exception as error:  # parsers raise anything at all on damaged input
        logger.debug("pypdf does not open it", exc_info=error)
        return None, error


def _by_pdfium(data: bytes, passwords: tuple[str, ...]) -> pdfium.PdfDocument | None:
    """The document, with the first of the passwords that opens it."""
    for password in dict.fromkeys(passwords):
        try:
            return pdfium.PdfDocument(data, password=password or None)
        except (pdfium.PdfiumError, ValueError, UnicodeError) as error:
            logger.debug("pdfium does not open it: %s", type(error).__name__)
    return None


def _rewritten(reader: PdfReader) -> bytes:
    """The PDF as pypdf writes it, without a password; empty where it cannot."""
    buffer = io.BytesIO()
    try:
        PdfWriter(clone_from=reader).write(buffer)
    except MemoryError:
        raise
    except Exception as error:
        logger.debug("pypdf cannot write it", exc_info=error)
        return b""
    return buffer.getvalue()


def _saved(document: pdfium.PdfDocument) -> bytes:
    """The PDF as pdfium writes it; empty where it cannot."""
    buffer = io.BytesIO()
    try:
        document.save(buffer)
    except (pdfium.PdfiumError, OSError) as error:
        logger.debug("pdfium cannot write it: %s", error)
    return buffer.getvalue()


def _password(source: Source, reader: PdfReader) -> str:
    """What opens the file; "" first: many PDFs are only guarded against printing and open so in any viewer."""
    if not reader.is_encrypted:
        return ""
    for password in ("", *source.passwords):
        try:
            if reader.decrypt(password):
                return password
        except Exception as error:  # noqa: BLE001  (unknown handlers, broken dictionaries, passwords that cannot be)
            raise _unknown_encryption(source, error) from None
    tried = "the one that was given does not open it" if source.passwords else "none was given"
    raise PasswordNeededError(
        f"{source.name} is protected by a password, and {tried}; give its password, or save a copy without one "
        "and add the copy."
    )


def _unknown_encryption(source: Source, error: Exception) -> EncryptedFileError:
    """What to raise; only the kind of ``error`` is told, because its message may quote a password."""
    return EncryptedFileError(
        f"{source.name} is encrypted in a way that cannot be opened here ({type(error).__name__}); open it in a PDF "
        "viewer, save a copy without a password, and add the copy."
    )
