"""The teacher that remembers: who is asked, when, how often, and what of it lasts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded_teacher import IDENTITY, RecordedTeacher, a_request, the_answer

from recbole_routedk.distill.pricing import Price
from recbole_routedk.distill.store.budget import BudgetedTeacher
from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.store.rows import row_of
from recbole_routedk.distill.store.stored_teacher import LOOK_AHEAD, NO_ANSWER, StoredTeacher
from recbole_routedk.distill.teachers.protocol import Request, Response


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RequestStore]:
    """An empty store."""
    with RequestStore(tmp_path / "knowledge.sqlite") as opened:
        yield opened


@pytest.mark.parametrize("ahead", [1, 4, 100])
def test_each_request_is_asked_once_and_then_comes_from_the_store(store: RequestStore, ahead: int) -> None:
    teacher = RecordedTeacher(ahead=ahead)
    requests = [a_request(f"some words {number}") for number in range(20)]

    first = list(StoredTeacher(teacher, store).complete(requests))
    again = list(StoredTeacher(teacher, store).complete(iter(requests)))

    assert set(teacher.asked.values()) == {1}
    assert {response.request for response in first} == set(requests)
    assert not any(response.cached for response in first)
    assert [(r.request, r.text, r.cached) for r in again] == [(q, the_answer(q), True) for q in requests]


def test_requests_with_another_sample_seed_or_length_are_others(store: RequestStore) -> None:
    teacher = RecordedTeacher()

    list(StoredTeacher(teacher, store).complete([a_request("a"), a_request("a", sample=1)]))
    list(StoredTeacher(teacher, store).complete([a_request("a", max_tokens=9)]))

    assert teacher.asked["a"] == 3


@pytest.mark.parametrize("ahead", [1, 2, 10])
def test_equal_requests_in_one_call_are_asked_once_and_all_answered(store: RequestStore, ahead: int) -> None:
    teacher = RecordedTeacher(ahead=ahead)
    requests = [a_request(text) for text in ("a", "a", "b", "a", "fail", "fail", "b")]

    responses = list(StoredTeacher(teacher, store).complete(requests))

    assert teacher.asked == {"a": 1, "b": 1, "fail": 1}
    assert sorted(r.request.messages[-1].content for r in responses) == ["a", "a", "a", "b", "b", "fail", "fail"]
    assert {id(r.request) for r in responses} == {id(request) for request in requests}
    assert sum(not r.cached for r in responses if r.text is not None) == 2  # two were paid for


def test_a_failure_is_kept_but_asked_again_and_counted(store: RequestStore) -> None:
    teacher = RecordedTeacher()

    for _ in range(3):
        (response,) = StoredTeacher(teacher, store).complete([a_request("fail")])
        assert (response.text, response.failure, response.cached) == (None, "refused", False)

    (row,) = store.rows(failures=True)
    assert teacher.asked["fail"] == 3
    assert row.attempts == 3


def test_a_failure_of_a_deterministic_teacher_is_final(store: RequestStore) -> None:
    class Deterministic(RecordedTeacher):
        deterministic = True

    teacher = Deterministic()
    store.expect(IDENTITY, [a_request("fail later")])  # noted for a batch file, never asked

    for turn in range(3):
        budgeted = BudgetedTeacher(teacher, Price(1.0, 1.0), 1.0)
        responses = list(StoredTeacher(budgeted, store).complete([a_request("fail"), a_request("fail later")]))
        assert [(r.text, r.failure, r.cached) for r in responses] == [(None, "refused", turn > 0)] * 2

    assert teacher.asked == {"fail": 1, "fail later": 1}


def test_an_answer_lasts_before_it_is_handed_out(store: RequestStore) -> None:
    requests = [a_request(str(number)) for number in range(3)]

    for response in StoredTeacher(RecordedTeacher(), store).complete(requests):
        with RequestStore(store.path) as other:
            assert other.get(IDENTITY, response.request) is not None


def test_requests_are_read_no_further_than_the_teacher_needs(store: RequestStore) -> None:
    read = 0

    def endless() -> Iterator[Request]:
        nonlocal read
        while True:
            read += 1
            yield a_request(str(read))

    responses = StoredTeacher(RecordedTeacher(ahead=2), store).complete(endless())
    for _ in range(5):
        next(responses)

    assert read <= 5 + 2


def test_stored_answers_do_not_pile_up_beside_a_slow_teacher(store: RequestStore) -> None:
    known = [a_request(f"known {number}") for number in range(3 * LOOK_AHEAD)]
    store.put_rows(row_of(IDENTITY, Response(request, the_answer(request)), 1, 0.0) for request in known)
    read = 0

    def counted() -> Iterator[Request]:
        nonlocal read
        for request in [a_request("new 1"), *known, a_request("new 2"), *known]:
            read += 1
            yield request

    teacher = RecordedTeacher(ahead=8)
    responses = StoredTeacher(teacher, store).complete(counted())
    next(responses)
    assert read <= LOOK_AHEAD + 2

    assert len(list(responses)) == 6 * LOOK_AHEAD + 1
    assert teacher.asked == {"new 1": 1, "new 2": 1}


def test_a_teacher_is_not_called_at_all_where_everything_is_known(store: RequestStore) -> None:
    class Absent(RecordedTeacher):
        def complete(self, requests: object) -> Iterator[Response]:
            raise AssertionError("called")

    list(StoredTeacher(RecordedTeacher(), store).complete([a_request("a")]))

    (response,) = StoredTeacher(Absent(), store).complete([a_request("a")])
    assert response.text == the_answer(a_request("a"))


def test_a_teacher_that_drops_requests_is_answered_for(store: RequestStore) -> None:
    class Forgetful(RecordedTeacher):
        def complete(self, requests: object) -> Iterator[Response]:
            yield from list(super().complete(requests))[:1]  # type: ignore[arg-type]

    responses = list(StoredTeacher(Forgetful(), store).complete([a_request("a"), a_request("b")]))

    assert [(r.request.messages[-1].content, r.failure) for r in responses] == [("a", ""), ("b", NO_ANSWER)]


def test_the_faster_of_two_processes_decides_the_answer(store: RequestStore) -> None:
    class Slow(RecordedTeacher):
        def complete(self, requests: object) -> Iterator[Response]:
            for response in super().complete(requests):  # type: ignore[arg-type]
                with RequestStore(store.path) as other:
                    other.put(IDENTITY, Response(response.request, "theirs"))
                yield response

    (response,) = StoredTeacher(Slow(), store).complete([a_request("a")])

    assert response.text == "theirs"
