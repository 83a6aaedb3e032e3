"""Whose turn it is where several second looks want one reranker.

A second look takes a turn for each slice. Whoever has no order yet goes first, so that every tab soon has one of its
first ten passages; then second looks are finished one after the other, as they were asked for. Were they to take turns
slice by slice, n of them would all end together, after n times what one takes. One after the other the last ends no
later, and the mean is little more than half of that: the rule of shortest processing time (Smith, "Various optimizers
for single-stage production", Naval Research Logistics Quarterly 3, 1956) for work of equal length. What can wait until
nobody wants an order, as marking sentences can, comes last.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from ingest.notices import Notice, NoticeKind

# Seconds after which somebody who waits is told so, and may give up.
LISTEN_SECONDS = 0.1
# A shorter wait is not worth a word in the answer.
WORTH_A_WORD_MS = 1000

OnWait = Callable[[int], None]


class Scheduler:
    """The turns at one reranker; for any number of threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._tickets: list[Ticket] = []  # by arrival
        self._taken = False

    @contextmanager
    def ticket(self, on_wait: OnWait | None = None, last: bool = False) -> Iterator[Ticket]:
        """A place among the second looks, kept until the last slice is scored, by whatever end; or after them all.

        ``on_wait`` hears ten times a second, while it waits, how many second looks are to be finished before this
        one; what it raises ends the wait, and the others go on.
        """
        ticket = Ticket(self, on_wait, last)
        with self._changed:
            self._tickets.append(ticket)
        try:
            yield ticket
        finally:
            with self._changed:
                self._tickets.remove(ticket)
                self._changed.notify_all()

    def ahead(self, ticket: Ticket) -> int:
        """How many second looks that were asked for before this one are not finished."""
        with self._changed:
            return sum(not other.last for other in self._tickets[: self._tickets.index(ticket)])

    def try_for(self, ticket: Ticket, seconds: float) -> bool:
        """Wait for the turn of ``ticket`` at most so long; whether it has it now."""
        with self._changed:
            mine = self._changed.wait_for(lambda: not self._taken and self._next() is ticket, seconds)
            self._taken = self._taken or mine
            return mine

    def give_back(self) -> None:
        """End the turn that was taken."""
        with self._changed:
            self._taken = False
            self._changed.notify_all()

    def _next(self) -> Ticket:
        # The earliest of equals. A second look between two slices keeps its place: it is back in a millisecond.
        return min(self._tickets, key=lambda ticket: (ticket.last, ticket.turns > 0))


class Ticket:
    """One second look's place: how many ``turns`` it has had, and the milliseconds ``waited_ms`` for them.

    One that is ``last`` has its turns when no second look is there.
    """

    def __init__(self, scheduler: Scheduler, on_wait: OnWait | None, last: bool) -> None:
        self._scheduler, self._on_wait, self.last = scheduler, on_wait, last
        self.turns = 0
        self.waited_ms = 0.0

    @property
    def notices(self) -> tuple[Notice, ...]:
        """That it had to wait; nothing where that was hardly felt."""
        if self.waited_ms < WORTH_A_WORD_MS:
            return ()
        seconds = f"{self.waited_ms / 1e3:.1f} s"
        text = f"The second look waited {seconds} for its turn, because other searches were under way."
        return (Notice(NoticeKind.WAITED, text),)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn, and have it until the end of the block. Raises what ``on_wait`` raises."""
        started = perf_counter()
        while not self._scheduler.try_for(self, LISTEN_SECONDS):
            if self._on_wait is not None:
                self._on_wait(self._scheduler.ahead(self))
        self.waited_ms += (perf_counter() - started) * 1e3
        try:
            yield
        finally:
            self.turns += 1
            self._scheduler.give_back()
