"""How much uploads may hold in memory: counted as they arrive, before Streamlit keeps them.

Streamlit holds every uploaded file in memory until it is deleted or its session ends, and bounds only the size of one.
Here a session's files are bounded in number and together, and those of all sessions together. What is held is read from
Streamlit's own store, so that whatever frees a file there frees its place here; what is on its way is counted by what
has come, whatever length was declared.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from ingest.readers.source import format_size
from ui.files.uploads import MOST_BYTES, MOST_FILES

log = logging.getLogger(__name__)

UPLOADS = "/_stcore/upload_file/"
MOST_BYTES_OF_ALL = 2_000_000_000
SILENT_SECONDS = (
    60.0  # an upload of which nothing comes for so long is given up, and what had come of it is freed
)
MOST_SAID = 1_000  # sessions whose refusal waits for their page to show it
_STEP = 1_000_000  # bytes that may come between two looks at what is held

Held = Mapping[str, Mapping[str, int]]  # session → file → bytes


@dataclass(eq=False, slots=True)
class _Upload:
    """One file on its way: whose, which, how many bytes of it have come, and whether that was all."""

    session: str
    file: str
    come: int = 0
    ended: bool = False


class _RefusedError(Exception):
    """An upload that is not taken: the status and the sentence of the answer."""

    def __init__(self, reason: str, status: HTTPStatus = HTTPStatus.REQUEST_ENTITY_TOO_LARGE) -> None:
        super().__init__(reason)
        self.status = status


def _store() -> MemoryUploadedFileManager:
    """Where Streamlit keeps uploads in this process; an empty one where no server runs."""
    if not runtime.exists():
        return MemoryUploadedFileManager(UPLOADS)
    store = runtime.get_instance().uploaded_file_mgr
    if not isinstance(store, MemoryUploadedFileManager):  # it counts in another way than this one
        raise TypeError(f"uploads are kept by {type(store).__name__}, of which nothing is known here")
    return store


def held_by_streamlit() -> Held:
    """The uploaded files that Streamlit holds in this process, and their sizes in bytes."""
    return {
        session: {file: len(record.data) for file, record in list(files.items())}
        for session, files in list(_store().file_storage.items())
    }


def _let_go_of_closed() -> bool:
    """Free what tabs that are closed, or have lost their connection, left; whether there was any.

    Streamlit does so some minutes later, when it looks; a tab that comes back before has to upload again.
    """
    closed = [
        session
        for session in list(_store().file_storage)
        if not runtime.get_instance().is_active_session(session)
    ]
    for session in closed:
        _store().remove_session_files(session)
    return bool(closed)


class UploadGate:
    """In front of Streamlit: refuses an upload with 413 and a sentence before it is held."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._arriving: set[_Upload] = set()
        self._said: OrderedDict[str, str] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on to Streamlit; an upload only as far as there is room for it."""
        session, file = named_upload(scope)
        if not session or scope["method"] != "PUT":
            await self._app(scope, receive, send)
            return
        upload, answered = _Upload(session, file), False

        async def send_noting(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        self._arriving.add(upload)
        try:
            self._check(upload, _declared(scope))
            await self._app(scope, self._counting(upload, receive), send_noting)
        except _RefusedError as error:
            refused = error
        else:
            return
        finally:
            self._arriving.discard(upload)
        log.warning("an upload was refused: %s", refused)
        self._note(session, str(refused))
        if not answered:
            await _answer(refused, upload, receive, send)

    def refusal(self, session: str) -> str:
        """Why the last upload of a session was refused, said once; "" where none was."""
        return self._said.pop(session, "")

    def _note(self, session: str, reason: str) -> None:
        self._said[session] = reason
        while len(self._said) > MOST_SAID:
            self._said.popitem(last=False)

    def _counting(self, upload: _Upload, receive: Receive) -> Receive:
        """``receive`` that raises where there is no room for what came, or where nothing comes any more."""
        checked = 0

        async def receive_counting() -> Message:
            nonlocal checked
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    message = await receive()
            except TimeoutError:
                raise _RefusedError(
                    "The upload was given up, because nothing came of it any more.",
                    HTTPStatus.REQUEST_TIMEOUT,
                ) from None
            upload.come += len(message.get("body", b""))
            upload.ended = not message.get("more_body")
            if upload.come - checked >= _STEP or upload.ended:
                checked = upload.come
                self._check(upload, 0)
            return message

        return receive_counting

    def _check(self, upload: _Upload, declared: int) -> None:
        """Raise where this upload, of ``declared`` bytes or what came of it, is one too many or too large."""
        files, ours, every = 1, 0, 0
        for session, sizes in held_by_streamlit().items():
            others = [
                size for file, size in sizes.items() if (session, file) != (upload.session, upload.file)
            ]
            every += sum(others)
            if session == upload.session:
                files, ours = files + len(others), ours + sum(others)
        for other in self._arriving - {upload}:
            every += other.come
            if other.session == upload.session:
                files, ours = files + 1, ours + other.come
        more = max(declared, upload.come)
        advice = "Drop fewer, or add the whole folder in the terminal: secondlook ingest FOLDER"
        if files > MOST_FILES:
            raise _RefusedError(f"The page takes {MOST_FILES:,} files at once, and more came. {advice}")
        if ours + more > MOST_BYTES:
            raise _RefusedError(f"The page takes {format_size(MOST_BYTES)} at once, and more came. {advice}")
        if every + more > MOST_BYTES_OF_ALL:
            if _let_go_of_closed():
                self._check(upload, declared)
                return
            raise _RefusedError(
                "Too much is being uploaded at the moment. Wait until other files are added, and drop these again."
            )


async def _answer(refused: _RefusedError, upload: _Upload, receive: Receive, send: Send) -> None:
    """Answer at once, then let the rest of the upload come and drop it, as far as one may be long.

    A connection that is closed while its other side still sends is reset, and a reset may overtake the answer: the
    browser would then speak of a network error. See RFC 9112, section 9.6.
    """
    words = str(refused).encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(words)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": words, "more_body": True})
    dropped, ended = 0, upload.ended or refused.status == HTTPStatus.REQUEST_TIMEOUT
    with suppress(TimeoutError):
        while not ended and dropped < MOST_BYTES:
            async with asyncio.timeout(SILENT_SECONDS):
                message = await receive()
            dropped += len(message.get("body", b""))
            ended = not message.get("more_body")
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def named_upload(scope: Scope) -> tuple[str, str]:
    """The session and the file of a request to upload or delete one; two empty words for any other."""
    if scope["type"] != "http":
        return "", ""
    session, _, file = scope["path"].partition(UPLOADS)[2].partition("/")
    return session, file


def _declared(scope: Scope) -> int:
    """How long a request says that it is; 0 where it does not say, or nonsense."""
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0
