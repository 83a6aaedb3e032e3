"""What is told to people besides the answer, as types: a kind to decide by, a text to read, and what helps.

No stage below `ui` knows a face. It says which `Remedy` there is and
for what; each face words that in its own way (`ui.presentation.remedies`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    PRUNE_EMPTY = "take out what was in an empty folder"
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
    """What a notice is about. Code goes by it, and a face adds what it knows of it."""

    # Of the models that answer, whatever is asked (`of_models`).
    PRIVACY = "privacy"  # what is sent to a service
    MISSED = "missed"  # a model of the hub could not be had
    UNTRAINED = "untrained"  # a reranker that was not trained for what it does here
    STAND_IN = "stand-in"  # the bundled reranker stands in for a better one
    MIX = "mix"  # what a reranker is shipped with: its order is a mix
    UNWINDOWED = "unwindowed"  # a window was asked for, and this reranker has none
    LANGUAGE = "language"  # a model does not know a language
    UNAVAILABLE = "unavailable"  # no reranker, because it cannot be loaded or its work broke

    # Of one search.
    INDEX = "index"  # the index was damaged, and is built again
    NO_WORDS = "no words"  # the library holds no word of the question
    WAITED = "waited"  # other searches came first
    UNSTOPPABLE = "unstoppable"  # a service is not ended early, as was asked for
    STOPPED = "stopped"  # it was ended early
    WINDOWED = "windowed"  # passages were read in part
    NOT_RERANKED = "not reranked"  # the second look failed
    FUSION = "fusion"  # what the second order is a mix of
    LEFT_OUT = "left out"  # a reranker that is not in the fused order
    PARTIAL = "partial"  # the fused order holds some of the passages only
    AT_ONCE = "at once"  # rerankers ran at the same time
    COST = "cost"  # what services counted

    # Of a calibration and of an evaluation.
    CALIBRATION = "calibration"  # it is void, or fits less well than it did
    NOTHING_ANSWERS = "nothing answers"
    HIDDEN = "hidden"  # passages of the second order are not shown, by a threshold or because nothing answers
    DATASET = "dataset"  # what of a judged set is missing or was left out
    WEIGHT = "weight"  # where a fusion's weight comes from
    UNSCORED = "unscored"  # queries that a reranker failed on

    @property
    def of_models(self) -> bool:
        """Whether it is about the models: another reranker has others."""
        return self in _OF_MODELS

    @property
    def no_order(self) -> bool:
        """Whether it says why there is no second order."""
        return self in (NoticeKind.NOT_RERANKED, NoticeKind.UNAVAILABLE)


_OF_MODELS = frozenset({
    NoticeKind.PRIVACY, NoticeKind.MISSED, NoticeKind.UNTRAINED, NoticeKind.STAND_IN, NoticeKind.MIX,
    NoticeKind.UNWINDOWED, NoticeKind.LANGUAGE, NoticeKind.UNAVAILABLE,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notice:
    """What is said with an answer, or in place of one: ``text`` is one or more sentences, and nothing decides by them.

    ``help`` is what can be done about it, where that is not the same for all of its ``kind``.
    """

    kind: NoticeKind
    text: str
    help: Help | None = None

    def of(self, name: str) -> Notice:
        """The same as said of one of several, by its name."""
        return replace(self, text=f"{name}: {self.text}")
