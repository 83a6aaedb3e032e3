"""What is told to people besides the answer, as types: a kind to decide by, a text to read, and what helps.

No stage below `ui` knows a face. It says which `Remedy` there is and
for what; each face words that in its own way (`ui.presentation.remedies`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Remedy(StrEnum):
    """What a person may do about it, in plain words. `Help.subject` is what it is done to."""

    # To a library.
    INGEST = "add the files"  # the subject is a file, or empty; makes the library where there is none
    REBUILD = "rebuild the library"  # cut and embed its documents anew; the subject is an encoder, or empty
    DELETE = "delete the document"  # the subject is its id
    LIST = "list the documents"
    DIAGNOSE = "examine the library"
    REPAIR = "repair the library"
    EXPORT = "export the library"
    LATE_INTERACTION = "store token vectors"
    JUDGE = "judge passages"
    LIST_LABELS = "list the labels"
    WEIGH_LABELS = "see what the labels say of both orders"
    CALIBRATE = "calibrate the reranker"
    # To models, and to the services that they run behind.
    FETCH = "fetch the model"  # the subject is its name
    CONVERT = "convert the model"  # the subject is its name
    TRUST = "trust the model"
    ALLOW = "allow the service"  # the subject is its host
    SET_ADDRESS = "set the address"  # the subject is a `ingest.services.access.Service`
    SET_KEY = "set the key"  # likewise
    # To Second Look.
    CHOOSE = "choose another"  # the subject is a choice that both faces have: encoder, library, split, output
    INSTALL = "install it"  # the subject is an extra of the package, or empty
    REINSTALL = "reinstall Second Look"


@dataclass(frozen=True, slots=True)
class Help:
    """One thing that helps: ``remedy``, the ``library`` (a folder) that it is for, and its ``subject``.

    It is told behind a sentence that says what to do ("Repair it."), and says how. ``also`` is what helps as well.
    """

    remedy: Remedy
    library: Path | str = ""
    subject: str = ""
    also: Help | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """Sentences for people, the last of which says what to do where there is a ``help``."""

    text: str
    help: Help | None = None

    def __str__(self) -> str:
        return self.text


class NoticeKind(StrEnum):
    """What a notice is about, for those who decide by it."""

    MODELS = "models"
    NOT_RERANKED = "not reranked"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that is said with an answer: ``text`` is one or more sentences for people; code goes by ``kind``."""

    kind: NoticeKind
    text: str
    help: Help | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no result: as a `Notice`, in place of what should be there."""

    kind: NoticeKind
    text: str
    help: Help | None = None

    def __str__(self) -> str:
        return self.text
