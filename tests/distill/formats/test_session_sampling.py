"""Which training sessions are chosen: each strategy, and that a larger ratio holds the smaller."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.distill.encoder import SentenceEncoder
from recbole_routedk.distill.formats.sampling import STRATEGIES, chosen_sessions, farthest_first
from recbole_routedk.errors import UserError

TITLES = ["camping tent", "dome tent", "hiking tent", "usb cable", "frying pan"]
QUALITY = [0.9, 0.1, 0.5, 0.7, 0.3]


def labelled(number: int) -> LabelledSession:
    """A session of number + 1 items of one title."""
    items = tuple(Item(str(place), TITLES[number]) for place in range(number + 1))
    return LabelledSession(Session(str(number), items), ())


TRAIN = [labelled(number) for number in range(5)]


def chosen(strategy: str, ratio: float, seed: int = 0) -> set[int]:
    flags = chosen_sessions(TRAIN, ratio, strategy, seed, SentenceEncoder(), lambda: QUALITY)
    return set(np.flatnonzero(flags).tolist())


def test_the_longest_and_the_hardest_come_first() -> None:
    assert chosen("length", 0.4) == {3, 4}
    assert chosen("difficulty", 0.4) == {1, 4}


def test_the_diverse_ones_come_from_different_departments() -> None:
    assert len(chosen("diversity", 0.6) & {0, 1, 2}) == 1


def test_farthest_first_counted_by_hand() -> None:
    # Row 0 is the most central; row 3 points away from it, then row 2 is farther from both than row 1.
    rows = np.array([[1.0, 0.0], [0.9, 0.4], [0.6, 0.8], [-0.2, -1.0]])
    assert farthest_first(rows, 4).tolist() == [0, 3, 2, 1]


def test_random_is_seeded() -> None:
    assert chosen("random", 0.4, seed=1) == chosen("random", 0.4, seed=1)
    assert len({frozenset(chosen("random", 0.4, seed)) for seed in range(8)}) > 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_larger_ratio_chooses_the_same_and_more(strategy: str) -> None:
    nested = [chosen(strategy, ratio) for ratio in (0.0, 0.2, 0.5, 0.6, 1.0)]
    assert [len(own) for own in nested] == [0, 1, 3, 3, 5]
    assert all(small <= large for small, large in pairwise(nested))


def test_what_is_unknown_is_an_error() -> None:
    with pytest.raises(UserError, match="knowledge_sampling: 'best' is not known"):
        chosen("best", 0.5)
    with pytest.raises(UserError, match=r"knowledge_ratio: 1\.5"):
        chosen("random", 1.5)
