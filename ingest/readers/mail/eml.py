"""EML: a mail as it was sent (RFC 5322), by the standard library."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.errors import DamagedFileError
from ingest.readers.mail.message import ADVICE, mail_parts, parsed_message
from ingest.readers.source import Part, Source


def read_eml(source: Source) -> Iterator[Part]:
    """Yield the mail, then its attachments.

    Raises:
        DamagedFileError: it has no field that a mail has.
        TooLargeError: mails nest within it too deep.
    """
    message = parsed_message(source, source.data().removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n"))
    if not any(name in message for name in ("From", "To", "Date", "Subject", "Received", "MIME-Version")):
        raise DamagedFileError(f"{source.name} has none of the fields that a mail begins with; {ADVICE}")
    yield from mail_parts(source, message, "mail")
