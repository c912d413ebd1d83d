"""The game of writing an answer: what is allowed, what an action does, and what an answer is worth."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_routedk.evaluation.metrics import matched_f1
from recbole_routedk.model.statistical.bundle_episodes import CLOSE, END, FIRST_ITEM, Episodes, answer_scores
from recbole_routedk.model.statistical.session_tensors import gold_rows, padded, present_flags


def episode(length: int, *actions: int, padding: int = 0) -> Episodes:
    """One answer to one session of ``length`` items after some actions."""
    present = torch.tensor([[True] * length + [False] * padding])
    episodes = Episodes.begin(present, 1)
    for action in actions:
        assert allowed(episodes)[action], "a test may do only what is allowed"
        episodes.step(torch.tensor([[action]]))
    return episodes


def allowed(episodes: Episodes) -> list[bool]:
    return [bool(flag) for flag in episodes.allowed()[0, 0]]


def item(position: int) -> int:
    return FIRST_ITEM + position


def test_an_empty_answer_can_only_take_an_item() -> None:
    assert allowed(episode(3)) == [False, False, True, True, True]


def test_a_bundle_of_one_item_has_to_grow_by_another() -> None:
    assert allowed(episode(3, item(1))) == [False, False, True, False, True]


def test_a_bundle_of_two_may_be_closed_but_the_answer_not_ended() -> None:
    assert allowed(episode(3, item(1), item(2))) == [True, False, True, False, False]


def test_after_a_bundle_the_answer_may_end_and_a_single_item_starts_nothing() -> None:
    assert allowed(episode(3, item(0), item(1), CLOSE)) == [False, True, False, False, False]
    assert allowed(episode(4, item(0), item(1), CLOSE)) == [False, True, False, False, True, True]


def test_a_session_of_one_item_or_none_can_only_end() -> None:
    assert allowed(episode(1)) == [False, True, False]
    assert allowed(episode(0, padding=2)) == [False, True, False, False]


def test_padding_is_never_taken() -> None:
    assert allowed(episode(2, padding=2)) == [False, False, True, True, False, False]


def test_what_has_ended_only_ends_again() -> None:
    episodes = episode(4, item(0), item(1), CLOSE, END)
    assert allowed(episodes) == [False, True, False, False, False, False]
    assert bool(episodes.done.all())


def test_actions_write_bundles_in_order() -> None:
    episodes = episode(5, item(4), item(0), CLOSE, item(1), item(3), CLOSE, END)
    assert episodes.answers() == [[(frozenset({0, 4}), frozenset({1, 3}))]]
    assert episodes.free[0, 0].tolist() == [False, False, True, False, False]


@given(st.integers(0, 9), st.lists(st.floats(0, 0.999), min_size=20, max_size=20))
def test_whatever_is_chosen_of_what_is_allowed_ends_in_a_valid_answer(length: int, choices: list[float]) -> None:
    episodes = episode(length, padding=1)
    for choice in choices:
        possible = [action for action, flag in enumerate(allowed(episodes)) if flag]
        episodes.step(torch.tensor([[possible[int(choice * len(possible))]]]))
    assert bool(episodes.done.all()), "an answer to 9 items has at most 9 items, 4 ends of bundles and one end"
    (bundles,) = episodes.answers()[0]
    taken = [position for bundle in bundles for position in bundle]
    assert len(taken) == len(set(taken))
    assert set(taken) <= set(range(length))
    assert all(len(bundle) >= 2 for bundle in bundles)
    assert bool(bundles) == (length >= 2)


def test_an_answer_is_worth_its_matched_f1() -> None:
    gold = [frozenset({0, 1, 2}), frozenset({3, 4})]
    owner = torch.tensor([[1, 1, 0, 2, 2, 0], [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
    rows = gold_rows(6, gold).expand(4, -1, -1)
    # Jaccards 2/3 and 1 of two bundles each; one exact of one against two; 1/3 of a bundle begun; nothing.
    expected = [2 * (2 / 3 + 1) / 4, 2 * 1 / 3, 2 * (1 / 3) / 3, 0.0]
    assert answer_scores(owner, rows).tolist() == pytest.approx(expected)


@given(st.integers(0, 10_000))
def test_worth_is_that_of_the_metric(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    owner = torch.randint(0, 4, (3, 7), generator=generator)
    golds = [[frozenset({0, 1}), frozenset({1, 2, 5})], [frozenset(range(7))], [frozenset({5, 6})]]
    bundles = [[b for k in (1, 2, 3) if (b := frozenset(i for i in range(7) if row[i] == k))] for row in owner.tolist()]
    expected = [matched_f1(gold, answer) for gold, answer in zip(golds, bundles, strict=True)]
    rows = padded([gold_rows(7, gold) for gold in golds])
    # A number without items would be an empty bundle, which the episodes never write.
    complete = [all(row.count(k) for k in range(1, max(row) + 1)) for row in owner.tolist()]
    for each, whole, value in zip(answer_scores(owner, rows).tolist(), complete, expected, strict=True):
        assert not whole or each == pytest.approx(value)


def test_tensors_of_sessions_of_unlike_length() -> None:
    assert present_flags([2, 0, 3]).tolist() == [[True, True, False], [False] * 3, [True] * 3]
    stacked = padded([torch.ones(1, 2), torch.ones(2, 1)])
    assert stacked.tolist() == [[[1, 1], [0, 0]], [[1, 0], [1, 0]]]
    assert gold_rows(3, [frozenset({2, 0})]).tolist() == [[True, False, True]]
