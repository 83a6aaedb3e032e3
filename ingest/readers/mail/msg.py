"""Outlook's own messages (MS-OXMSG), by olefile: brought into the form of a mail, and read as one."""

from __future__ import annotations

import datetime
import io
import struct
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import format_datetime

import olefile

from ingest.errors import TooLargeError
from ingest.readers.encodings import decode
from ingest.readers.mail.message import ADVICE, mail_parts
from ingest.readers.source import Part, Source
from ingest.readers.titles import clean_characters

# Numbers of properties (MS-OXPROPS).
_SUBJECT, _SENDER, _SENDER_ADDRESS, _SENDER_SMTP = "0037", "0C1A", "0C1F", "5D01"
_TO, _CC, _BODY, _HTML = "0E04", "0E03", "1000", "1013"
_SENT, _DELIVERED, _CODE_PAGE = 0x0039, 0x0E06, 0x3FDE
_FILE_NAME, _LONG_FILE_NAME, _CONTENT, _EMBEDDED = "3704", "3707", "37010102", "3701000D"
_UNICODE, _BYTES_AS_TEXT, _BINARY = "001F", "001E", "0102"
_TIME, _LONG = 0x0040, 0x0003
_ATTACHMENT = "__attach_version1.0_#"
_PROPERTIES = "__properties_version1.0"
_EPOCH = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)
_DEEPEST = 20  # messages within messages


def read_msg(source: Source) -> Iterator[Part]:
    """Yield the message, then its attachments.

    Raises:
        DamagedFileError: the container is broken.
        TooLargeError: messages nest within it too deep.
    """
    data = source.data()
    with source.parsing("", ADVICE), olefile.OleFileIO(io.BytesIO(data)) as container:
        message = _Storage(source, container, []).message(0)
    yield from mail_parts(source, message, "msg")


class _Storage:
    """A message within the container: the streams below a path."""

    def __init__(self, source: Source, container: olefile.OleFileIO, path: list[str]) -> None:
        self._source, self._container, self._path = source, container, path
        # Before its properties come 32 bytes of the outermost message, 24 of one within (MS-OXMSG, 2.4.1).
        self._fixed = self._properties(24 if path else 32)

    def message(self, depth: int) -> EmailMessage:
        """The message as a mail."""
        if depth > _DEEPEST:
            raise TooLargeError(
                f"{self._source.name} nests messages deeper than is read; save the inner ones as files, and add those."
            )
        message = EmailMessage()
        address = self._text(_SENDER_SMTP) or self._text(_SENDER_ADDRESS)
        sender = self._text(_SENDER)
        if "@" in address and address != sender:
            sender = f"{sender} <{address}>".strip()
        fields = {
            "From": sender,
            "To": self._text(_TO),
            "Cc": self._text(_CC),
            "Subject": self._text(_SUBJECT),
        }
        for name, value in fields.items():
            if value:
                _set(message, name, value)
        if date := self._date():
            message["Date"] = date
        self._set_text(message)
        for name in self._folders(_ATTACHMENT):
            self._attach(message, name, depth)
        return message

    def _set_text(self, message: EmailMessage) -> None:
        plain, page = self._text(_BODY), self._page()
        if plain or not page:
            message.set_content(plain)
            if page:
                message.add_alternative(page, subtype="html")
        else:
            message.set_content(page, subtype="html")

    def _attach(self, message: EmailMessage, folder: str, depth: int) -> None:
        attachment = _Storage(self._source, self._container, [*self._path, folder])
        name = " ".join((attachment._text(_LONG_FILE_NAME) or attachment._text(_FILE_NAME)).split())
        content = attachment._stream(f"__substg1.0_{_CONTENT}")
        if content:
            message.add_attachment(
                content, maintype="application", subtype="octet-stream", filename=name or "unnamed"
            )
            return
        inner = [*self._path, folder, f"__substg1.0_{_EMBEDDED}"]
        if self._container.exists("/".join([*inner, _PROPERTIES])):
            message.add_attachment(_Storage(self._source, self._container, inner).message(depth + 1))

    def _page(self) -> str:
        data = self._stream(f"__substg1.0_{_HTML}{_BINARY}")
        text = decode(data, self._encoding()) if data else self._text(_HTML)
        return _lines(text or "")

    def _text(self, number: str) -> str:
        if data := self._stream(f"__substg1.0_{number}{_UNICODE}"):
            return _lines(data.decode("utf-16-le", "replace"))
        data = self._stream(f"__substg1.0_{number}{_BYTES_AS_TEXT}")
        return _lines(decode(data, self._encoding()) or "") if data else ""

    def _encoding(self) -> str:
        page = int.from_bytes(self._fixed.get((_CODE_PAGE, _LONG), b"")[:4], "little")
        return {65001: "utf-8", 0: "cp1252", 28591: "cp1252"}.get(page, f"cp{page}")

    def _date(self) -> str:
        for number in (_SENT, _DELIVERED):
            ticks = int.from_bytes(self._fixed.get((number, _TIME), b""), "little")
            if ticks:
                try:
                    return format_datetime(_EPOCH + datetime.timedelta(microseconds=ticks // 10))
                except OverflowError:
                    continue
        return ""

    def _properties(self, head: int) -> dict[tuple[int, int], bytes]:
        """The properties of a fixed size by number and kind: 8 bytes each, after 8 that say what they are."""
        data = self._stream(_PROPERTIES)[head:]
        values = {}
        for place in range(0, len(data) - 15, 16):
            kind, number = struct.unpack_from("<HH", data, place)
            values[number, kind] = data[place + 8 : place + 16]
        return values

    def _stream(self, name: str) -> bytes:
        path = "/".join([*self._path, name])
        if not self._container.exists(path) or self._container.get_type(path) != olefile.STGTY_STREAM:
            return b""
        with self._container.openstream(path) as stream:
            data: bytes = stream.read()
            return data

    def _folders(self, start: str) -> list[str]:
        depth = len(self._path)
        names = (path[depth] for path in self._container.listdir(streams=True, storages=True)
                 if len(path) > depth and path[:depth] == self._path)  # fmt: skip
        return sorted({name for name in names if name.startswith(start)})


def _set(message: EmailMessage, name: str, value: str) -> None:
    """Set a field; where it is no list of addresses by the rules, as words."""
    words = " ".join(value.split())
    try:
        message[name] = words
    except Exception:  # noqa: BLE001 (the parser of fields raises anything at all)
        message[name] = "".join(sign for sign in words if sign.isalnum() or sign in " .-@")


def _lines(text: str) -> str:
    return clean_characters(text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\0"))
