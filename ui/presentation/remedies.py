"""What the faces add to the words of the stages below: what to type, or which control of the page to use. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from ingest.notices import Help, Notice, NoticeKind, Remedy
from ingest.services.access import Service
from rerank.registry import RERANKERS
from ui.conversion import conversion
from ui.settings import VARIABLES


class Face(StrEnum):
    """Where it is read. A file that is taken along from the page says what the command line does."""

    COMMAND_LINE = "command line"
    PAGE = "page"


class Helpful(Protocol):
    """What comes with a help: its text is what ``str`` gives, and ends with a sentence that says what to do."""

    @property
    def help(self) -> Help | None:
        """How to do it; ``None`` where there is no more to say."""


def told(message: Helpful, face: Face = Face.COMMAND_LINE) -> str:
    """An error, a finding or a message whole, as a face says it."""
    return with_help(str(message), message.help, face)


def with_help(text: str, help: Help | None, face: Face = Face.COMMAND_LINE) -> str:
    """``text``, whose last sentence says what to do, with how that is done, and what helps as well."""
    if help is None:
        return text
    text = f"{text.removesuffix('.')}{_how(help, face)}"
    while help := help.also:
        text = f"{text.removesuffix('.')}; or {help.remedy}{_how(help, face)}"
    return text


# How to do what helps: what goes behind the words that say to do it, in place of their full stop.
_HOW: Mapping[Remedy, str] = {
    Remedy.INGEST: " with: secondlook ingest {files}{library}",
    Remedy.REBUILD: " with: secondlook rebuild{library}{encoder}",
    Remedy.DELETE: " with: secondlook delete {subject}{library}",
    Remedy.LIST: " with: secondlook documents{library}",
    Remedy.DIAGNOSE: " with: secondlook doctor{library}",
    Remedy.REPAIR: " with: secondlook doctor --repair{library}",
    Remedy.EXPORT: " with: secondlook export FILE{library}",
    Remedy.PRUNE_EMPTY: ": --prune-empty does.",
    Remedy.LATE_INTERACTION: " with: secondlook ingest FILES --token-vectors{library}",
    Remedy.JUDGE: " on the page, or import labels with: secondlook labels import FILE{library}",
    Remedy.LIST_LABELS: " with: secondlook labels{library}",
    Remedy.WEIGH_LABELS: " with: secondlook labels verdict{library}",
    Remedy.CALIBRATE: " on the page, or with: secondlook calibrate --library {folder}",
    Remedy.FETCH: " with: secondlook models prefetch {subject}",
    Remedy.CONVERT: "{conversion}",
    Remedy.TRUST: ": --trust-encoder says so, once.",
    Remedy.ALLOW: " with --allow-services, or for good with SECONDLOOK_ALLOW_SERVICES={subject} in the environment.",
    Remedy.SET_ADDRESS: " as {address} in the environment.",
    Remedy.SET_KEY: " as {key} in the environment, or, for the page, in Streamlit's secrets under that name.",
    Remedy.CHOOSE: " with --{subject}.",
    Remedy.INSTALL: " with: {installation}",
    Remedy.REINSTALL: " with: make clean install",
}
# Where the page has a control of its own, or another way; for the rest it says what to type in a terminal.
_ON_PAGE: Mapping[Remedy, str] = {
    Remedy.INGEST: " by dropping files into the side bar.",
    Remedy.DELETE: " in the side bar.",
    Remedy.LIST: " in the side bar.",
    Remedy.JUDGE: " of an answer, or import labels below it.",
    Remedy.CALIBRATE: " under “Calibration”, below an answer.",
    Remedy.TRUST: ".",  # its button stands below
    Remedy.ALLOW: ".",  # likewise
    Remedy.CHOOSE: "{choice}.",
}


def _how(help: Help, face: Face) -> str:
    words = _HOW[help.remedy]
    if face is Face.PAGE:
        words = _ON_PAGE.get(help.remedy) or words.replace(" with: ", " in a terminal with: ")
    return words.format(**_facts(help))


def _facts(help: Help) -> dict[str, str]:
    """What the words need to know of it."""
    library, subject = str(help.library), help.subject
    address, key = VARIABLES[Service(subject)] if subject in VARIABLES else ("", "")
    return {
        "library": f" --library {library}" if library else "",
        "folder": library or "DIR",
        "subject": subject,
        "files": f"“{subject}”" if subject else "FILES",
        "encoder": f" --encoder {subject}" if subject else "",
        "choice": " in the side bar"
        if subject == "reranker"
        else f" with --{subject}, where the page is started",
        "address": address,
        "key": key,
        "installation": f'pip install "second-look[{subject}]"' if subject else "make install",
        "conversion": conversion(RERANKERS[subject]) if help.remedy is Remedy.CONVERT else "",
    }


# What a face adds to a notice by its kind; what does not begin with a space goes on with the sentence.
_ADDED: Mapping[NoticeKind, str] = {
    NoticeKind.STAND_IN: " With a network, secondlook models prefetch brings the standard one.",
    NoticeKind.UNWINDOWED: ", so that --window, or SECONDLOOK_WINDOW, says nothing to it.",
    NoticeKind.LANGUAGE: " A multilingual encoder and reranker (secondlook models lists them) would read it.",
    NoticeKind.UNSTOPPABLE: ": neither a time budget nor --stop-when-stable ends that early.",
    NoticeKind.WINDOWED: "; --window whole, or SECONDLOOK_WINDOW=whole, has it read as much as it has room for.",
    NoticeKind.NOT_RERANKED: " The first look's order stands.",
    NoticeKind.UNSCORED: " The first look's order stands.",
}
# Where the page has a control of its own. It has none for windows and for what must be downloaded.
_ADDED_ON_PAGE: Mapping[NoticeKind, str] = {
    NoticeKind.UNSTOPPABLE: ": the time for the second look does not end that early.",
}


def notice_text(notice: Notice, face: Face = Face.COMMAND_LINE) -> str:
    """A notice whole, as a face says it."""
    text = with_help(notice.text, notice.help, face)
    more = (_ADDED_ON_PAGE.get(notice.kind) if face is Face.PAGE else None) or _ADDED.get(notice.kind, "")
    if not more:
        return text
    return text.removesuffix(".") + ("." if more.startswith(" ") else "") + more


def failure_text(notice: Notice | None) -> str | None:
    """Why there is no result, for a report; ``None`` where there is one."""
    return None if notice is None else notice_text(notice)
