"""What a face adds to a notice: the sentences as they were when the stages below knew flags and commands."""

from __future__ import annotations

import pytest

from ingest.notices import Help, Notice, NoticeKind, Remedy
from ui.presentation.remedies import Face, notice_text


@pytest.mark.parametrize(
    ("notice", "text"),
    [
        (
            Notice(NoticeKind.WINDOWED, "1 passage is long, and part of it was read."),
            "1 passage is long, and part of it was read; --window whole, or SECONDLOOK_WINDOW=whole, has it read as "
            "much as it has room for.",
        ),
        (
            Notice(NoticeKind.UNWINDOWED, "x is given passages whole: its tokens cannot be counted here."),
            "x is given passages whole: its tokens cannot be counted here, so that --window, or SECONDLOOK_WINDOW, "
            "says nothing to it.",
        ),
        (
            Notice(NoticeKind.LANGUAGE, "The places may mean little."),
            "The places may mean little. A multilingual encoder and reranker (secondlook models lists them) would read "
            "it.",
        ),
        (
            Notice(
                NoticeKind.NOT_RERANKED, "Not reranked: it is gone. Fetch it.", Help(Remedy.FETCH, "", "{x}")
            ),
            "Not reranked: it is gone. Fetch it with: secondlook models prefetch {x}. The first look's order stands.",
        ),
        (Notice(NoticeKind.COST, "It cost --much."), "It cost --much."),
    ],
)
def test_the_command_line_says_what_to_type(notice: Notice, text: str) -> None:
    assert notice_text(notice) == text


def test_the_page_says_what_it_has_a_control_for() -> None:
    void = Notice(NoticeKind.CALIBRATION, "It is void; fit it again.", Help(Remedy.CALIBRATE, "folder"))
    assert notice_text(void, Face.PAGE) == ("It is void; fit it again under “Calibration”, below an answer.")
