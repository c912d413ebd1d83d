"""A budget is never passed, whatever is under way, and what was paid for is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_teacher import RecordedTeacher, a_request

from recbole_routedk.distill.pricing import Price, most_usage
from recbole_routedk.distill.store.budget import BudgetedTeacher, BudgetReachedError
from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.store.stored_teacher import StoredTeacher
from recbole_routedk.distill.teachers.protocol import Response
from recbole_routedk.errors import UserError

PRICE = Price(input=10.0, output=100.0)
COST = (10 * 10.0 + 5 * 100.0) / 1e6  # of each answer of RecordedTeacher: 10 tokens in, 5 out
WORST = PRICE.cost(most_usage(a_request("request 10")))  # the longest of the first hundred


def answers(teacher: BudgetedTeacher, count: int) -> tuple[list[Response], str]:
    """What is answered before the budget stops it, and the message ("" where it did not)."""
    responses: list[Response] = []
    try:
        responses.extend(teacher.complete(a_request(f"request {number}") for number in range(count)))
    except BudgetReachedError as error:
        return responses, str(error)
    return responses, ""


def test_a_large_enough_budget_changes_nothing() -> None:
    teacher = BudgetedTeacher(RecordedTeacher(ahead=4), PRICE, 1.0)

    responses, message = answers(teacher, 10)

    assert (len(responses), message) == (10, "")
    assert teacher.spent == pytest.approx(10 * COST)


def test_requests_under_way_count_at_their_worst() -> None:
    inner = RecordedTeacher(ahead=100)
    teacher = BudgetedTeacher(inner, PRICE, 3 * WORST + 1e-9)

    iterator = teacher.complete(a_request(f"request {number}") for number in range(10, 40))
    next(iterator)

    assert inner.asked.total() == 3


@settings(max_examples=40)
@given(st.floats(0, 0.2), st.integers(1, 20), st.integers(0, 60))
def test_the_budget_is_used_but_never_passed(budget: float, ahead: int, count: int) -> None:
    teacher = BudgetedTeacher(RecordedTeacher(ahead=ahead), PRICE, budget)

    responses, message = answers(teacher, count)

    assert teacher.spent == pytest.approx(len(responses) * COST)
    assert teacher.spent <= budget
    assert (len(responses) == count) == (message == "")
    assert message == "" or teacher.spent + WORST > budget  # it did not stop for fear of nothing


def test_a_failure_without_known_usage_may_have_been_billed() -> None:
    class Unlucky(RecordedTeacher):
        def complete(self, requests: object) -> Iterator[Response]:
            for response in super().complete(requests):  # type: ignore[arg-type]
                yield Response(response.request, None, "timed out")

    teacher = BudgetedTeacher(Unlucky(), PRICE, 2.5 * WORST)

    responses, message = answers(teacher, 5)

    assert len(responses) == 2
    assert teacher.spent == 0
    assert "$0.0000 is spent, and at most $" in message


def test_the_message_says_what_was_spent_and_how_to_go_on_and_that_works(tmp_path: Path) -> None:
    inner = RecordedTeacher(ahead=2)
    requests = [a_request(f"request {number}") for number in range(30)]
    with RequestStore(tmp_path / "k.sqlite") as store:
        poor = StoredTeacher(BudgetedTeacher(inner, PRICE, 10 * COST + WORST), store)
        with pytest.raises(BudgetReachedError, match=r"--budget=0.0\d+: \$0.0\d+ is spent; .* goes on"):
            list(poor.complete(requests))
        kept = sum(count.answers for count in store.counts())
        assert kept >= 10

        rich = StoredTeacher(BudgetedTeacher(inner, PRICE, 1.0), store)
        responses = list(rich.complete(requests))

    assert len(responses) == 30
    assert sum(response.cached for response in responses) == kept
    assert set(inner.asked.values()) == {1}


def test_a_budget_needs_a_price_and_an_amount() -> None:
    with pytest.raises(UserError, match=r"price of word-counter is not known; .*--teacher_prices='\{word-counter:"):
        BudgetedTeacher(RecordedTeacher(), None, 5.0)
    for amount in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match="amount in US dollars"):
            BudgetedTeacher(RecordedTeacher(), PRICE, amount)
