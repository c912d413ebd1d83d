"""Local search against an objective small enough to try every bundle."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest

from recbole_routedk.data.session import Bundle
from recbole_routedk.model.statistical.bundle_search import (
    BundleObjective,
    annealed_search,
    disjoint_bundles,
    greedy_search,
)


def random_objective(seed: int, length: int = 7) -> BundleObjective:
    generator = np.random.default_rng(seed)
    half = np.triu(generator.normal(size=(length, length)), 1)
    return BundleObjective(generator.normal(size=length), half + half.T, generator.normal(size=length + 1))


def every_bundle(free: np.ndarray) -> Iterator[Bundle]:
    inside = np.flatnonzero(free).tolist()
    return (frozenset(each) for size in range(2, len(inside) + 1) for each in combinations(inside, size))


def all_free(length: int = 7) -> np.ndarray:
    return np.ones(length, dtype=bool)


def flags(*positions: int, length: int = 7) -> np.ndarray:
    return np.isin(np.arange(length), positions)


def test_the_value_is_mean_item_plus_mean_pair_plus_size() -> None:
    pairs = np.array([[0.0, 3.0, 6.0], [3.0, 0.0, 9.0], [6.0, 9.0, 0.0]])
    objective = BundleObjective(np.array([1.0, 2.0, 6.0]), pairs, np.array([0.0, 0.0, 10.0, 20.0]))
    assert objective.value(frozenset({0, 1})) == pytest.approx(1.5 + 3 + 10)
    assert objective.value(frozenset({0, 1, 2})) == pytest.approx(3 + 6 + 20)


@pytest.mark.parametrize("inside", [(0, 1), (2, 4, 5), (0, 1, 2, 3, 4, 5)])
def test_neighbours_have_the_values_of_the_bundles_they_lead_to(inside: tuple[int, ...]) -> None:
    objective, free = random_objective(3), all_free()
    free[6] = False  # taken by an earlier bundle
    values = objective.neighbours(flags(*inside), free)
    for leaves in range(8):
        for joins in range(8):
            moved = (set(inside) - {leaves}) | ({joins} - {7})
            possible = (leaves in inside or leaves == 7) and (joins in {*range(6)} - set(inside) or joins == 7)
            if possible and len(moved) >= 2 and not leaves == joins == 7:
                assert values[leaves, joins] == pytest.approx(objective.value(frozenset(moved)))
            else:
                assert values[leaves, joins] == -np.inf


@pytest.mark.parametrize("seed", range(8))
def test_greedy_search_from_all_items_finds_the_best_bundle_of_all(seed: int) -> None:
    objective, free = random_objective(seed), all_free()
    free[seed % 7] = False
    best = max(every_bundle(free), key=objective.value)
    assert greedy_search(objective, free, starts=7) == best


@pytest.mark.parametrize("seed", range(4))
def test_annealing_finds_it_where_one_climb_does_not(seed: int) -> None:
    # Climbing leaves neither the best pair nor all five items for the best bundle, the other three.
    objective = BundleObjective(
        np.zeros(5),
        np.array(
            [
                [0.0, 5.0, -9.0, -9.0, -9.0],
                [5.0, 0.0, -9.0, -9.0, -9.0],
                [-9.0, -9.0, 0.0, 4.0, 4.0],
                [-9.0, -9.0, 4.0, 0.0, 4.0],
                [-9.0, -9.0, 4.0, 4.0, 0.0],
            ]
        ),
        np.array([0.0, 0.0, 0.0, 2.0, -10.0, 6.0]),
    )
    free = all_free(5)
    assert greedy_search(objective, free, starts=1) == {0, 1}
    assert annealed_search(objective, free, steps=300, heat=20.0, seed=seed) == {2, 3, 4}
    assert annealed_search(objective, free, steps=300, heat=20.0, seed=seed) == {2, 3, 4}


def test_search_goes_on_among_the_items_that_are_left() -> None:
    pairs = np.zeros((5, 5))
    pairs[0, 3] = pairs[3, 0] = 5.0
    pairs[1, 4] = pairs[4, 1] = 3.0
    objective = BundleObjective(np.zeros(5), pairs, np.zeros(6))
    found = disjoint_bundles(objective, lambda each, free: greedy_search(each, free, 5))
    assert found == [(frozenset({0, 3}), 5.0), (frozenset({1, 4}), 3.0)]


@pytest.mark.parametrize("length", [0, 1])
def test_one_item_is_no_bundle(length: int) -> None:
    objective = BundleObjective(np.zeros(length), np.zeros((length, length)), np.zeros(length + 1))
    assert disjoint_bundles(objective, lambda each, free: greedy_search(each, free, 5)) == []


def test_two_items_are_one_bundle_for_either_search() -> None:
    objective = random_objective(0, 2)
    assert greedy_search(objective, all_free(2), 5) == {0, 1}
    assert annealed_search(objective, all_free(2), 20, 1.0, 0) == {0, 1}
