"""Everything that can go wrong on purpose, as one tree.

    SecondLookError
    ├── ReadError                a file (or one entry of it) cannot be read; the others go on
    │   ├── UnknownFormatError   no reader for this kind of file
    │   ├── EncryptedFileError   behind a password
    │   │   └── PasswordNeededError  and it can be read here with the right one
    │   ├── NoTextError          readable, but without any text (a scan, say)
    │   │   └── OcrNeededError       and text recognition, which is not installed here, would find some
    │   ├── EmptyFileError       zero bytes, or white space only
    │   ├── UnreachableError     no file, or the system does not let it be read
    │   ├── TooLargeError        over a limit of size
    │   └── DamagedFileError     the parser gave up
    ├── LibraryError
    │   ├── LibraryNotFoundError
    │   ├── LibraryBusyError     another process is writing
    │   ├── LibraryDamagedError
    │   ├── NewerFormatError     made by a later version of Second Look
    │   ├── EncoderMismatchError made with another encoder
    │   └── DocumentNotFoundError
    ├── StorageError             the disk is full, or nothing may be written there
    ├── ModelError
    │   ├── ModelNotFoundError
    │   ├── ModelDamagedError    a checksum that does not agree
    │   ├── ServiceError         a service refused, was too slow, or gave a broken answer
    │   ├── ConsentNeededError   text would leave this machine, and nobody allowed it yet
    │   └── TrustNeededError     a library names a model that is not known here, and nobody allowed it yet
    ├── RerankError              the reranker failed; the first look's order stands
    ├── AddressError             nothing can be served at that address and port
    ├── UsageError               the call itself is wrong (exit status 2)
    └── CancelledError           the person stopped the work

Every message is a sentence: what happened, to what, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest.notices import Help, Remedy


class SecondLookError(Exception):
    """Base of every error that Second Look raises on purpose.

    ``help`` is how to do what the message's last sentence says to do; each face words it.
    """

    def __init__(self, message: str = "", help: Help | None = None) -> None:
        """Keep ``help`` beside the message."""
        super().__init__(message)
        self.help = help


class ReadError(SecondLookError):
    """A file cannot be read. Never stops the other files of the same call."""


class UnknownFormatError(ReadError):
    """No reader exists for this kind of file."""


class EncryptedFileError(ReadError):
    """The file is behind a password."""


class PasswordNeededError(EncryptedFileError):
    """The file can be read with its password, which was not among those given."""


class NoTextError(ReadError):
    """The file was parsed but holds no text, as a scan without a text layer does."""


class OcrNeededError(NoTextError):
    """The file holds pictures of text only, and text recognition is not installed here."""


class EmptyFileError(ReadError):
    """The file has no bytes, or nothing but white space."""


class UnreachableError(ReadError):
    """It is no file (a device, a link that is not followed), or the system does not let it be read."""


class TooLargeError(ReadError):
    """The file, or what it unpacks to, is over a limit."""


class DamagedFileError(ReadError):
    """The parser could not make sense of the file."""


class LibraryError(SecondLookError):
    """Something about the library on disk."""


class LibraryNotFoundError(LibraryError):
    """There is no library in that folder."""


class LibraryBusyError(LibraryError):
    """Another process is writing to the library."""


class LibraryDamagedError(LibraryError):
    """The library's files do not agree with each other or with their checksums."""


class NewerFormatError(LibraryError):
    """The library was written by a later version of Second Look."""


class EncoderMismatchError(LibraryError):
    """The library was made with another encoder than the one asked for."""


class DocumentNotFoundError(LibraryError):
    """No document of the library goes by that id, path or title."""


class StorageError(SecondLookError):
    """Nothing can be written: the disk is full, the folder is read-only, or the disk fails. What was there stays."""


class ModelError(SecondLookError):
    """A model cannot be used."""


class ModelNotFoundError(ModelError):
    """The model is in no folder, cache, hub or bundle that could be asked.

    ``tried`` says which were, and ``reason``, a clause, why the last of them does not have it.
    """

    def __init__(
        self, message: str, tried: Sequence[str] = (), reason: str = "", help: Help | None = None
    ) -> None:
        """Keep ``tried`` and ``reason`` beside the message."""
        super().__init__(message, help)
        self.tried, self.reason = tuple(tried), reason or message


class ModelDamagedError(ModelError):
    """A model's file does not have the checksum that it should have."""


class ServiceError(ModelError):
    """A service that a model runs behind cannot be reached in time, refuses, or gave a broken answer."""


class ConsentNeededError(ModelError):
    """Text would be sent to another machine, and nobody allowed it yet.

    ``notice`` says what would be sent, and ``host`` is where to.
    """

    def __init__(self, message: str, notice: str, host: str) -> None:
        """Keep ``notice`` and ``host`` beside the message."""
        super().__init__(message, Help(Remedy.ALLOW, subject=host))
        self.notice, self.host = notice, host


class TrustNeededError(ModelError):
    """A library names a model that is not known here, and nobody of this machine allowed it yet: ``model``."""

    def __init__(self, message: str, model: str) -> None:
        """Keep ``model`` beside the message."""
        super().__init__(message, Help(Remedy.TRUST))
        self.model = model


class RerankError(SecondLookError):
    """The reranker gave no usable scores."""


class AddressError(SecondLookError):
    """Nothing can be served there: the port is taken, or the address is not this machine's."""


class UsageError(SecondLookError):
    """The call is wrong: an argument is missing, out of range or contradicts another."""


class CancelledError(SecondLookError):
    """The person stopped the work. What was finished before is kept."""
