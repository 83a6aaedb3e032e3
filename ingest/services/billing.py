"""What services bill: counted while the work goes on, in the units of the service.

    with billing() as bill:
        ...work that may ask services...
    print(bill)

A bill is of the thread that opened it, so that searches side by side are not charged to each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

# No request costs as much; what says so counts otherwise.
MOST_UNITS = 10**12


@dataclass
class Bill:
    """What was billed so far: amounts by (model, unit), the unit in the singular."""

    amounts: dict[tuple[str, str], float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.amounts)

    def __str__(self) -> str:
        """The bill as a sentence; empty where nothing was billed."""
        if not self:
            return ""
        return f"Services counted {'; '.join(_line(*key, amount) for key, amount in self.amounts.items())}."

    def add(self, model: str, unit: str, amount: float) -> None:
        """Add ``amount`` units to what ``model`` is billed for."""
        self.amounts[model, unit] = self.amounts.get((model, unit), 0.0) + amount

    def rows(self) -> list[dict[str, str | float]]:
        """The bill as plain data."""
        return [
            {"model": model, "unit": unit, "amount": amount} for (model, unit), amount in self.amounts.items()
        ]


def _line(model: str, unit: str, amount: float) -> str:
    return f"{amount:,.12g} {unit}{'' if amount == 1 else 's'} of {model}"


_open_bills: ContextVar[tuple[Bill, ...]] = ContextVar("open_bills", default=())


@contextmanager
def billing() -> Iterator[Bill]:
    """A bill of everything that is charged inside, on this thread; bills may stand inside each other."""
    bill = Bill()
    token = _open_bills.set((*_open_bills.get(), bill))
    try:
        yield bill
    finally:
        _open_bills.reset(token)


def charge(model: str, unit: str, amount: object) -> None:
    """Note on every open bill that ``model`` was paid for ``amount`` units, which is what the service says.

    What is no number above 0, or more than any request costs, is no amount.
    """
    if not isinstance(amount, int | float) or isinstance(amount, bool) or not 0 < amount < MOST_UNITS:
        return
    for bill in _open_bills.get():
        bill.add(model, unit, amount)
