"""What is told to people besides the answer, as types: a kind to decide by, a text to read, and what helps.

No stage below `ui` knows commands, flags, variables of the environment or buttons. It says which `Remedy` there is and
for what; each face words that in its own way (`ui.presentation.remedies`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Remedy(StrEnum):
    """What a person may do about it. ``Help.subject`` is what it is done to."""

    INGEST = "ingest"  # add documents to the library, which makes it where there is none
    REBUILD = "rebuild"  # embed (and cut) the library's documents anew; the subject is an encoder, or empty
    DIAGNOSE = "diagnose"  # have the library looked through
    REPAIR = "repair"  # have the library repaired
    REINSTALL = "reinstall"  # install Second Look again


@dataclass(frozen=True, slots=True)
class Help:
    """One thing that helps: ``remedy``, the ``library`` (a folder) that it is for, and its ``subject``."""

    remedy: Remedy
    library: str = ""
    subject: str = ""


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
