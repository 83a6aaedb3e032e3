"""How an unfinished answer is watched between two drawings: news are drawn at once, and nothing else is drawn often."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep

from ui.jobs.search import second_looks_under_way
from ui.page.state import current

# The browser asks for a look this often. One that comes while the last is still watching is taken up after it.
POLL_SECONDS = 0.4
# So long an answer is watched for news before it is drawn again without any. Drawing costs some 20 ms with the
# interpreter's lock held; where more tabs than four wait, each is drawn less often, so that together they take no more.
WATCH_SECONDS = 1.0
TABS_AT_FULL_RATE = 4
NEWS_SECONDS = (
    0.03  # from one glance at the job to the next: nothing is drawn, so it costs nothing to speak of
)


def has_news(news: Callable[[], object], seen: object) -> bool:
    """Wait until ``news()`` is another thing than what was ``seen``, for `watch_seconds` at most; whether it is."""
    until = monotonic() + watch_seconds()
    while news() == seen and monotonic() < until:
        sleep(NEWS_SECONDS)
        current()  # reads the session's state, where Streamlit takes up what was clicked or closed meanwhile
    return news() != seen


def watch_seconds() -> float:
    """Seconds from one drawing of an unfinished answer to the next without news, by how many answers there are."""
    return WATCH_SECONDS * max(1.0, second_looks_under_way() / TABS_AT_FULL_RATE)
