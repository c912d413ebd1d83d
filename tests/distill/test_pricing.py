"""Prices and tokens before anything is asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_routedk.distill.pricing import FREE, Price, estimated_input, estimated_tokens, most_usage, price_of
from recbole_routedk.distill.teachers.protocol import Identity, Message, Request, Sampling, Task, Usage
from recbole_routedk.errors import UserError

PAID = Identity("openai", "a-model", "", "https://host/v1")
HERE = Identity("local", "a-model")


def test_a_price_is_in_dollars_per_million_tokens() -> None:
    price = price_of(PAID, {"a-model": {"input": 0.15, "output": 0.6}})

    assert price == Price(0.15, 0.6)
    assert price.cost(Usage(2_000_000, 500_000)) == pytest.approx(0.30 + 0.30)


def test_what_runs_here_is_free_and_what_does_not_has_no_price_by_chance() -> None:
    assert price_of(HERE, {}) == FREE
    assert price_of(HERE, {"a-model": {"input": 1, "output": 2}}) == Price(1.0, 2.0)
    assert price_of(PAID, {}) is None
    assert price_of(PAID, {"a-model-mini": {"input": 1, "output": 2}}) is None


@pytest.mark.parametrize(
    "table",
    [
        ["a-model"],
        {"a-model": 3},
        {"a-model": {"input": 1}},
        {"a-model": {"input": 1, "output": 2, "outputs": 3}},
        {"a-model": {"input": -1, "output": 2}},
        {"a-model": {"input": float("nan"), "output": 2}},
        {"a-model": {"input": True, "output": 2}},
        {"a-model": {"input": "1", "output": 2}},
    ],
)
def test_a_table_that_is_none_is_refused(table: Any) -> None:
    with pytest.raises(UserError, match="teacher_prices"):
        price_of(PAID, table)


def test_tokens_are_estimated_by_characters() -> None:
    request = Request(Task.RULES, (Message("system", "x" * 40), Message("user", "y" * 41)))

    assert estimated_tokens("x" * 41) == 11
    assert estimated_input(request) == 10 + 11 + 2 * 4


@given(st.lists(st.text(), min_size=1, max_size=4), st.integers(1, 100))
def test_the_worst_case_is_at_least_a_token_a_byte(contents: list[str], longest: int) -> None:
    request = Request(Task.RULES, tuple(Message("user", text) for text in contents), Sampling(0.0, longest))

    most = most_usage(request)

    assert most.output_tokens == longest
    assert most.input_tokens >= sum(len(text.encode("utf-8", "surrogatepass")) for text in contents)
    assert most.input_tokens >= estimated_input(request)
