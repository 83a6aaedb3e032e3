"""What services bill: counted while the work goes on, in the words and prices of the service.

    with billing() as bill:
        ...work that may ask services...
    print(bill)

A bill is of the thread that opened it, so that searches side by side are not charged to each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

# US dollars a million tokens, from the models' pages at https://developers.openai.com/api/docs/models. Cohere's price
# list (https://cohere.com/pricing) names none for a search unit: its units are shown without a price.
PRICES_OF = "July 2026"
DOLLARS_A_MILLION: Mapping[tuple[str, str], float] = {
    ("openai:text-embedding-3-small", "token"): 0.02,
    ("openai:text-embedding-3-large", "token"): 0.13,
}
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

    def rows(self) -> list[dict[str, str | float | None]]:
        """The bill as plain data; ``dollars`` is ``None`` where no price is known."""
        return [
            {"model": model, "unit": unit, "amount": amount, "dollars": dollars(model, unit, amount)}
            for (model, unit), amount in self.amounts.items()
        ]


def dollars(model: str, unit: str, amount: float) -> float | None:
    """What ``amount`` units cost in US dollars; ``None`` where the price is not known."""
    # Shorter vectors cost the same: the price goes by what is read. Who else answers by the name has prices of its own.
    price = DOLLARS_A_MILLION.get((re.sub(r"@\d+", "", model), unit))
    return None if price is None else price * amount / 1e6


def _line(model: str, unit: str, amount: float) -> str:
    cost = dollars(model, unit, amount)
    price = "" if cost is None else f", ${_significant(cost)} at the prices of {PRICES_OF}"
    return f"{amount:,.12g} {unit}{'' if amount == 1 else 's'} of {model}{price}"


def _significant(number: float) -> str:
    """Three significant digits, without an exponent: a question costs some ten-millionths of a dollar."""
    if number == 0:
        return "0"
    decimals = 0
    while decimals < 12 and number < 10 ** (2 - decimals):
        decimals += 1
    text = f"{number:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


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
