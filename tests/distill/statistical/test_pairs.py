"""Sessions laid out flat."""

from __future__ import annotations

import numpy as np

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.distill.statistical.features import session_context
from recbole_routedk.distill.statistical.pairs import co_bundled, pair_table, session_folds

ONE = Session("a", tuple(Item(f"a{place}", f"t{place}") for place in range(3)))
TWO = Session("b", tuple(Item(f"b{place}", f"u{place}") for place in range(2)))


def test_pairs_stay_within_their_session() -> None:
    table = pair_table([ONE, TWO], np.zeros((5, 4), dtype=np.float32))
    assert list(zip(table.left.tolist(), table.right.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 2), (3, 4)]
    assert table.pair_session.tolist() == [0, 0, 0, 1]
    assert table.lengths().tolist() == [3, 2]


def test_matrices_are_symmetric_with_an_empty_diagonal() -> None:
    table = pair_table([ONE, TWO], np.zeros((5, 4), dtype=np.float32))
    first, second = table.matrices(np.array([0.1, 0.2, 0.3, 0.4]))
    assert first.tolist() == [[0, 0.1, 0.2], [0.1, 0, 0.3], [0.2, 0.3, 0]]
    assert second.tolist() == [[0, 0.4], [0.4, 0]]


def test_pairs_of_one_bundle_are_together() -> None:
    sessions = [LabelledSession(ONE, (frozenset({0, 2}),)), LabelledSession(TWO, ())]
    assert co_bundled(sessions).tolist() == [False, True, False, False]


def test_folds_are_even_seeded_and_never_more_than_sessions() -> None:
    folds = session_folds(10, 5, 3)
    assert sorted(folds.tolist()) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert np.array_equal(folds, session_folds(10, 5, 3))
    assert sorted(session_folds(2, 5, 0).tolist()) == [0, 1]


def test_context_of_a_pair_in_its_session() -> None:
    table = pair_table([ONE], np.zeros((3, 4), dtype=np.float32))
    context = session_context(table, np.array([0.9, 0.1, 0.2]))
    mean = 0.4
    assert np.allclose(context[:, 0], mean)
    assert np.allclose(context[:, 2], [0.5, -0.3, -0.2])
    # Pair (0, 1): first in both rows; rivals 0.1 and 0.2; rows 0.5 and 0.55; the path over item 2 is min(0.1, 0.2).
    assert np.allclose(context[0, 3:], [0, 0, 0.7, 0.8, 0.5, 0.55, 0.1, 2 / 3])
    assert np.allclose(session_context(pair_table([TWO], np.zeros((2, 4), dtype=np.float32)), np.array([0.4]))[0, 5], 0)
