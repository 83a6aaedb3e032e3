"""What services bill: counted on the thread that asked for it, in the service's own units."""

from __future__ import annotations

import threading

import pytest

from ingest.services.billing import Bill, billing, charge


def test_a_bill_holds_what_was_charged_inside_it_on_its_own_thread() -> None:
    charge("cohere:a", "search unit", 9)  # nobody counts: nothing happens
    with billing() as whole:
        charge("cohere:a", "search unit", 1)
        with billing() as part:
            charge("cohere:a", "search unit", 2)
            other = threading.Thread(target=charge, args=("cohere:a", "search unit", 50))
            other.start()
            other.join()
        for none in (0, -5, None, True, "9", float("nan"), float("inf"), 10**400):  # what services may say
            charge("openai:b", "token", none)
    assert part.amounts == {("cohere:a", "search unit"): 2}
    assert whole.amounts == {("cohere:a", "search unit"): 3}
    assert str(Bill()) == ""


@pytest.mark.parametrize(
    ("model", "unit", "amount", "sentence"),
    [
        ("openai:text-embedding-3-small@256", "token", 1_234_567,
         "Services counted 1,234,567 tokens of openai:text-embedding-3-small@256."),
        ("server:bge-m3", "token", 1, "Services counted 1 token of server:bge-m3."),
        ("cohere:rerank-v4.0-pro", "search unit", 2, "Services counted 2 search units of cohere:rerank-v4.0-pro."),
    ],
)  # fmt: skip
def test_a_bill_says_what_was_counted(model: str, unit: str, amount: int, sentence: str) -> None:
    with billing() as bill:
        charge(model, unit, amount)
    assert str(bill) == sentence
    assert bill.rows() == [{"model": model, "unit": unit, "amount": amount}]
