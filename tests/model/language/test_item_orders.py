"""A session read in several orders of its items: what comes back is about the session as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_run import predictions, run, small_splits

from recbole_routedk.data.session import Item, Session
from recbole_routedk.distill.knowledge import SessionKnowledge
from recbole_routedk.evaluation.bayes_risk import Answer
from recbole_routedk.model.language.item_orders import item_order, put_back
from recbole_routedk.model.routedk import RouteDK
from recbole_routedk.model.views import Example


def session_of(count: int, name: str = "s") -> Session:
    return Session(name, tuple(Item(str(place), f"title {place}") for place in range(count)))


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(0, 9), st.text(max_size=5))
def test_every_order_holds_every_item_once(count: int, number: int, name: str) -> None:
    order = item_order(session_of(count, name), number, 2020)

    assert sorted(order) == list(range(count))
    assert order == item_order(session_of(count, name), number, 2020)


def test_the_first_order_is_the_sessions_own_and_the_others_differ() -> None:
    orders = [tuple(item_order(session_of(9), number, 2020)) for number in range(6)]

    assert orders[0] == tuple(range(9))
    assert len(set(orders)) == 6
    assert item_order(session_of(9), 1, 7) != list(orders[1])


@settings(deadline=None)
@given(st.data())
def test_an_answer_put_back_is_about_the_same_items(data: st.DataObject) -> None:
    session = session_of(data.draw(st.integers(2, 9)))
    order = data.draw(st.permutations(range(len(session))))
    bundle = data.draw(st.sets(st.integers(0, len(session) - 1), min_size=2))
    read = Example(session, SessionKnowledge((), (), None)).reordered(order).session.items

    (back,) = put_back((frozenset(bundle),), order)

    assert {session.items[place] for place in back} == {read[place] for place in bundle}


def trained(finished: dict[str, Any], orders: int) -> RouteDK:
    """The finished run, which now reads each session in some orders and draws 8 answers."""
    return RouteDK.from_pretrained(
        finished["run_folder"], consensus_samples=8, teacher_votes=0.0, item_orders=orders, state="ERROR"
    )


def drawn(
    finished: dict[str, Any], monkeypatch: pytest.MonkeyPatch, orders: int
) -> tuple[list[list[Answer]], list[int]]:
    """What the model draws for each test session, and how many rows it reads at once."""
    model = trained(finished, orders)
    samples: list[list[Answer]] = []
    rows: list[int] = []
    agree, read = model.answerer._agree, model.student.read_prefix
    monkeypatch.setattr("recbole_routedk.model.language.student_model.free_memory", lambda device: 2**40)
    monkeypatch.setattr(model.answerer, "_agree", lambda own, advice: samples.append(list(own)) or agree(own, advice))
    monkeypatch.setattr(model.student, "read_prefix", lambda texts: rows.append(len(texts)) or read(texts))
    generations = model.predict_bundles([labelled.session for labelled in small_splits().test])
    for labelled, generation in zip(small_splits().test, generations, strict=True):
        assert all(max(bundle) < len(labelled.session) for bundle in generation.bundles)
        assert sum(generation.gates or ()) == pytest.approx(1.0)
    return samples, rows


def test_samples_are_shared_out_among_the_orders(finished: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    own, one = drawn(finished, monkeypatch, 1)
    shared, three = drawn(finished, monkeypatch, 3)
    single, eight = drawn(finished, monkeypatch, 100)

    assert (one, three, eight) == ([4], [12], [32])  # four sessions
    assert {len(each) for each in own} == {8}
    assert {len(each) for each in shared} == {9}  # 8 among 3, rounded up
    assert {len(each) for each in single} == {8}  # no more orders than samples
    # The session's own order comes first, and its first answer is greedy whatever comes after.
    assert [each[0] for each in own] == [each[0] for each in shared] == [each[0] for each in single]


def test_what_else_is_answered_changes_no_order(finished: dict[str, Any]) -> None:
    model = trained(finished, 4)
    sessions = [labelled.session for labelled in small_splits().test]

    together = model.predict_bundles(sessions)
    alone = [model.predict_bundles([session])[0] for session in sessions]

    assert [each.bundles for each in together] == [each.bundles for each in alone]


def test_each_order_is_put_back_by_itself(finished: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the order, items 0 and 2 of the session are answered, by the labels that they have in it."""
    model = trained(finished, 5)
    session = next(each.session for each in small_splits().test if len(each.session) >= 4)
    orders = [item_order(session, number, model.config["seed"]) for number in range(5)]
    gates = torch.rand(5, 3)
    kept: list[list[Answer]] = []

    def places(*_: Any) -> list[list[Answer]]:
        return [[(frozenset({order.index(0), order.index(2)}),)] * 2 for order in orders]

    monkeypatch.setattr("recbole_routedk.model.language.answering.decode_constrained", places)
    monkeypatch.setattr(model, "gates", lambda prefill: gates)
    monkeypatch.setattr(model.answerer, "_agree", lambda own, advice: kept.append(list(own)) or (own[0], 1.0))
    (generation,) = model.predict_bundles([session])

    assert kept == [[(frozenset({0, 2}),)] * 10]
    assert generation.gates == pytest.approx([sum(gates[:, expert].tolist()) / 5 for expert in range(3)])


def test_a_student_thinks_about_each_order_first(small_data: Path, tiny_student_folder: Path) -> None:
    result = run(small_data, tiny_student_folder, thought_source="written", thought_tokens=5, item_orders=2)

    assert set(predictions(result)) == {labelled.session.session_id for labelled in small_splits().test}
    assert result["test_result"]["invalidrate"] == 0
