"""Without any call: what would be asked, and what it would cost."""

from __future__ import annotations

from pathlib import Path

from recorded_teacher import IDENTITY, RecordedTeacher, a_request, the_answer

from recbole_routedk.distill.pricing import Price, estimated_input, estimated_tokens
from recbole_routedk.distill.store.dry_run import DryTeacher
from recbole_routedk.distill.store.meter import MeteredTeacher, Tally, table_lines
from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.teachers.protocol import Response, Task, Usage


def test_hits_come_from_the_store_and_the_rest_from_a_stand_in(tmp_path: Path) -> None:
    known, new = a_request("known"), a_request("some new words")
    with RequestStore(tmp_path / "k.sqlite") as store:
        store.put(IDENTITY, Response(known, "real", usage=Usage(7, 30)))
        dry = DryTeacher(IDENTITY, store, RecordedTeacher())
        metered = MeteredTeacher(dry)

        texts = {r.request: r.text for r in metered.complete([known, new, new])}
        again = [r.text for r in metered.complete([new])]

        assert texts == {known: "real", new: the_answer(new)}
        assert again == [the_answer(new)]
        assert sum(count.answers for count in store.counts()) == 1  # nothing of it was kept
    # Only one of five would be asked: the others are known by then.
    tally = metered.tallies[Task.THOUGHT]
    assert (tally.requests, tally.asked) == (4, 1)
    assert tally.input_tokens == estimated_input(new)


def test_output_is_the_mean_of_the_store_else_the_length_of_the_stand_ins_answer(tmp_path: Path) -> None:
    with RequestStore(tmp_path / "k.sqlite") as store:
        for number, tokens in enumerate((20, 40)):
            store.put(IDENTITY, Response(a_request(str(number)), "real", usage=Usage(1, tokens)))
        dry = DryTeacher(IDENTITY, store, RecordedTeacher())

        thought, rules = a_request("new"), a_request("new", Task.RULES)
        usages = {r.request.task: r.usage.output_tokens for r in dry.complete([thought, rules])}

    assert usages == {Task.THOUGHT: 30, Task.RULES: estimated_tokens(the_answer(rules))}
    assert dry.measured == {Task.THOUGHT}


def test_a_deterministic_teacher_would_not_be_asked_for_what_it_failed_at(tmp_path: Path) -> None:
    with RequestStore(tmp_path / "k.sqlite") as store:
        store.put(IDENTITY, Response(a_request("cut off"), None, "the answer was cut off"))
        asked = {
            deterministic: MeteredTeacher(DryTeacher(IDENTITY, store, RecordedTeacher(), deterministic=deterministic))
            for deterministic in (True, False)
        }
        for teacher in asked.values():
            list(teacher.complete([a_request("cut off"), a_request("new")]))

    assert {deterministic: teacher.total().asked for deterministic, teacher in asked.items()} == {True: 1, False: 2}


def test_no_answer_is_longer_than_it_may_be() -> None:
    (response,) = DryTeacher(IDENTITY, None, RecordedTeacher()).complete([a_request("new", max_tokens=2)])

    assert response.usage.output_tokens == 2


def test_the_table_has_a_line_a_task_one_for_all_and_the_cost() -> None:
    tallies = {Task.RULES: Tally(10, 4, 1, 2_000_000, 100_000), Task.THOUGHT: Tally(5, 5, 0, 0, 0)}

    head, *lines = (line.split() for line in table_lines(tallies, Price(1.0, 10.0), "m"))

    assert head[:4] == ["task", "requests", "cached", "asked"]
    assert lines == [
        ["rules", "10", "4", "6", "1", "2,000,000", "100,000", "$3.0000"],
        ["thought", "5", "5", "0", "0", "0", "0", "$0.0000"],
        ["all", "15", "9", "6", "1", "2,000,000", "100,000", "$3.0000"],
    ]


def test_a_missing_price_is_said_with_the_key_to_set() -> None:
    lines = table_lines({Task.RULES: Tally(1, 0, 0, 5, 5)}, None, "m")

    assert lines[1].split()[-1] == "?"
    assert "--teacher_prices='{m: {input: 0.15, output: 0.60}}'" in lines[-1]
