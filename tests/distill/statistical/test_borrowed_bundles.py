"""What titles that were never bundled borrow from the bundles of their nearest titles."""

from __future__ import annotations

import numpy as np

from recbole_routedk.data.session import Item, Session
from recbole_routedk.distill.statistical.borrowed_bundles import BorrowedBundles
from recbole_routedk.distill.statistical.pairs import pair_table

SESSIONS = [
    Session("a", (Item("1", "tent"), Item("2", "stove"), Item("3", "cable"))),
    Session("b", (Item("1", "tent"), Item("4", "lamp"))),
]
VECTORS = np.eye(4, dtype=np.float32)[[0, 1, 2, 0, 3]]
BANK = pair_table(SESSIONS, VECTORS)
TOGETHER = np.array([True, False, False, True])  # tent and stove, tent and lamp
NONE = np.array([], dtype=np.int64)


def test_nearest_titles_lend_what_they_share() -> None:
    borrowed = BorrowedBundles(BANK, BANK.left, BANK.right, TOGETHER)
    asked = np.array([[1, 0, 0, 0], [0, 0.6, 0, 0.8], [0, 0, 1, 0]], dtype=np.float32)
    columns = borrowed.columns(asked, np.array([0, 0]), np.array([1, 2]))
    # The tent is in two bundles, stove and lamp are in one: each shares 1 / sqrt(2 * 1) with the tent.
    assert np.allclose(columns[0, :4], 1 / np.sqrt(2), atol=1e-6)
    assert np.allclose(columns[:, 4:], np.log(np.maximum(columns[:, :4], 1e-6)))
    # The cable was never bundled and is near nothing that was.
    assert columns[1, :4].tolist() == [0.0] * 4


def test_one_and_the_same_bundled_title_counts_as_shared_in_every_second_column() -> None:
    borrowed = BorrowedBundles(BANK, BANK.left, BANK.right, TOGETHER)
    (columns,) = borrowed.columns(VECTORS, np.array([0]), np.array([3]))
    assert np.allclose(columns[:4], [1.0, 0.0, 1.0, 0.0])


def test_no_pair_and_no_bundle() -> None:
    assert BorrowedBundles(BANK, BANK.left, BANK.right, TOGETHER).columns(VECTORS, NONE, NONE).shape == (0, 8)
    nothing = BorrowedBundles(BANK, BANK.left, BANK.right, np.zeros(4, dtype=bool))
    assert nothing.columns(VECTORS, BANK.left, BANK.right).tolist() == [[0.0] * 8] * 4
