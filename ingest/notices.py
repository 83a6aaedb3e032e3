"""What is told to people besides the answer, as types: a kind to decide by, a text to read, and what helps.

No stage below `ui` knows commands, flags, variables of the environment or buttons. It says which `Remedy` there is and
for what; each face words that in its own way (`ui.presentation.remedies`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Remedy(StrEnum):
    """What a person may do about it. ``Help.subject`` is what it is done to."""

    INGEST = "ingest"  # add documents to the library, which makes it where there is none
    REBUILD = "rebuild"  # embed (and cut) the library's documents anew; the subject is an encoder, or empty
    DIAGNOSE = "diagnose"  # have the library looked through
    REPAIR = "repair"  # have the library repaired
    REINSTALL = "reinstall"  # install Second Look again
    CALIBRATE = "calibrate"  # fit a calibration to the library's labels again


@dataclass(frozen=True, slots=True)
class Help:
    """One thing that helps: ``remedy``, the ``library`` (a folder) that it is for, and its ``subject``."""

    remedy: Remedy
    library: str = ""
    subject: str = ""


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
