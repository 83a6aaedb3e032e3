"""What services bill: counted on the thread that asked for it, priced where a price is known."""

from __future__ import annotations

import threading

import pytest

from ingest.services.billing import Bill, billing, charge, dollars


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
    ("model", "tokens", "sentence"),
    [
        ("openai:text-embedding-3-small", 9, "9 tokens of openai:text-embedding-3-small, $0.00000018 at"),
        ("openai:text-embedding-3-small@256", 1_234_567, "1,234,567 tokens of openai:text-embedding-3-small@256"),
        ("openai:text-embedding-3-small@256", 1_234_567, "$0.0247 at the prices of "),
        ("openai:text-embedding-3-large", 1_000_000, "1,000,000 tokens of openai:text-embedding-3-large, $0.13 at"),
        ("openai:text-embedding-3-large", 2_000_000_000, "tokens of openai:text-embedding-3-large, $260 at"),
        ("server:bge-m3", 1, "1 token of server:bge-m3."),
    ],
)  # fmt: skip
def test_a_bill_says_what_it_costs_where_the_price_is_known(model: str, tokens: int, sentence: str) -> None:
    with billing() as bill:
        charge(model, "token", tokens)
    assert sentence in str(bill)
    assert bill.rows()[0]["amount"] == tokens


def test_who_else_answers_by_openais_name_has_no_price() -> None:
    assert dollars("openai:text-embedding-3-small@12", "token", 1e6) == 0.02
    assert dollars("openai:text-embedding-3-small@12 elsewhere", "token", 1e6) is None
    assert dollars("openai:text-embedding-3-small elsewhere", "token", 1e6) is None
