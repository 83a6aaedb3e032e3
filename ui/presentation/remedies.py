"""What the faces add to the words of the stages below: what to type, or which control of the page to use. Pure."""

from __future__ import annotations

from enum import StrEnum

from ingest.notices import Notice, NoticeKind, Remedy


class Face(StrEnum):
    """Where it is read. A file that is taken along from the page says what the command line does."""

    COMMAND_LINE = "command line"
    PAGE = "page"


# What comes behind a notice's sentence, by its remedy and its kind; what does not begin with a space goes on with it.
_ADDED: dict[Remedy | NoticeKind, str] = {
    Remedy.CALIBRATE: " Scores are shown uncalibrated; fit it again on the page, or with: secondlook calibrate "
    "--library {library}",
    NoticeKind.STAND_IN: " With a network, secondlook models prefetch brings the standard one.",
    NoticeKind.UNWINDOWED: ", so that --window, or SECONDLOOK_WINDOW, says nothing to it.",
    NoticeKind.LANGUAGE: " A multilingual encoder and reranker (secondlook models lists them) would read it.",
    NoticeKind.UNSTOPPABLE: ": neither a time budget nor --stop-when-stable ends that early.",
    NoticeKind.WINDOWED: "; --window whole, or SECONDLOOK_WINDOW=whole, has it read as much as it has room for.",
    NoticeKind.NOT_RERANKED: " The first look's order stands.",
    NoticeKind.UNSCORED: " The first look's order stands.",
}
# Where the page has a control of its own. It has none for windows and for what must be downloaded.
_ADDED_ON_PAGE: dict[Remedy | NoticeKind, str] = {
    Remedy.CALIBRATE: " Scores are shown uncalibrated; fit it again under “Calibration”.",
    NoticeKind.UNSTOPPABLE: ": the time for the second look does not end that early.",
}


def notice_text(notice: Notice, face: Face = Face.COMMAND_LINE) -> str:
    """A notice whole, as a face says it."""
    added = _ADDED | _ADDED_ON_PAGE if face is Face.PAGE else _ADDED
    text = notice.text
    if notice.help is not None and notice.help.remedy in added:
        text += added[notice.help.remedy].format(library=notice.help.library)
    more = added.get(notice.kind, "")
    return (text if more[:1] in ("", " ") else text.removesuffix(".")) + more


def failure_text(notice: Notice | None) -> str | None:
    """Why there is no result, for a report; ``None`` where there is one."""
    return None if notice is None else notice_text(notice)
