"""The answer grammar: every walk ends in a canonical answer, and every canonical answer is a walk."""

from __future__ import annotations

import itertools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_routedk.student.grammar import AnswerState

Tuples = tuple[tuple[int, ...], ...]


def symbols_of(answer: Tuples, items: int) -> list[int]:
    """The answer's symbols by hand: items, ``items`` between bundles, ``items + 1`` at the end."""
    symbols: list[int] = []
    for bundle in answer:
        symbols += [*bundle, items]
    return [*symbols[:-1], items + 1]


@given(st.integers(2, 12), st.integers(3, 30), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_a_random_walk_ends_within_its_budget_in_a_canonical_answer(items: int, budget: int, random: Random) -> None:
    state = AnswerState(items, budget)
    steps = 0
    # Ends are drawn rarely, so that walks come up against the budget.
    while not state.finished:
        allowed = state.allowed()
        assert allowed
        assert len(set(allowed)) == len(allowed)
        others = [symbol for symbol in allowed if symbol != state.end]
        state.advance(random.choice(others) if others and random.random() < 0.95 else random.choice(allowed))
        steps += 1
    answer = [tuple(sorted(bundle)) for bundle in state.bundles]
    assert steps <= budget
    assert steps == sum(map(len, answer)) + len(answer)
    assert answer
    assert all(len(bundle) >= 2 and set(bundle) <= set(range(items)) for bundle in answer)
    assert all(left < right for left, right in itertools.pairwise(answer))


def reachable(items: int, budget: int) -> set[tuple[int, ...]]:
    """Every symbol sequence that the machine lets through."""
    found = set()
    open_walks: list[list[int]] = [[]]
    while open_walks:
        walk = open_walks.pop()
        state = AnswerState(items, budget)
        for symbol in walk:
            state.advance(symbol)
        if state.finished:
            found.add(tuple(walk))
        else:
            open_walks += [[*walk, symbol] for symbol in state.allowed()]
    return found


@pytest.mark.parametrize("items, budget", [(2, 3), (2, 9), (3, 9), (3, 14), (4, 9), (5, 7), (6, 7)])
def test_exactly_the_canonical_answers_within_the_budget_are_reachable(items: int, budget: int) -> None:
    bundles = [bundle for size in range(2, items + 1) for bundle in itertools.combinations(range(items), size)]
    canonical = set()
    for count in range(1, budget // 3 + 1):
        for chosen in itertools.combinations(sorted(bundles), count):
            symbols = symbols_of(chosen, items)
            if len(symbols) <= budget:
                canonical.add(tuple(symbols))
    assert reachable(items, budget) == canonical


@pytest.mark.parametrize(
    "walk, forbidden",
    [
        ([], 4),  # a separator first
        ([], 5),  # the end first
        ([], 3),  # the last item cannot open a bundle
        ([1], 1),  # repeated
        ([2], 0),  # descending
        ([1], 5),  # one item
        ([0, 1, 4, 0, 1], 5),  # a repeated bundle
        ([1, 2, 4], 0),  # a bundle before the one before
        ([2, 3], 4),  # nothing can follow
        ([], 6),  # no symbol
    ],
)
def test_a_forbidden_symbol_raises(walk: list[int], forbidden: int) -> None:
    state = AnswerState(4, 20)
    for symbol in walk:
        state.advance(symbol)
    with pytest.raises(ValueError, match=f"symbol {forbidden} may not follow"):
        state.advance(forbidden)


def test_a_finished_answer_takes_only_its_end() -> None:
    state = AnswerState(2, 3)
    for symbol in (0, 1, 3):
        state.advance(symbol)
    assert state.allowed() == [state.end]
    state.advance(state.end)
    assert state.bundles == (frozenset({0, 1}),)


@pytest.mark.parametrize("items, budget", [(1, 10), (0, 10), (2, 2)])
def test_where_no_answer_fits_it_says_so(items: int, budget: int) -> None:
    with pytest.raises(ValueError, match="no answer fits"):
        AnswerState(items, budget)
