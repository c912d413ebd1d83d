"""What training bundles near two items say about the pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.distill.encoder import SentenceEncoder, title_encoder
from recbole_routedk.distill.statistical import neighbours
from recbole_routedk.distill.statistical.neighbours import BundledItems, BundleNeighbours
from recbole_routedk.distill.statistical.pairs import PairTable, pair_table

ALL = np.array([True, True, True])


def table_of(*vectors: list[float]) -> PairTable:
    """One session whose titles have these vectors."""
    session = Session("asked", tuple(Item(f"i{place}", f"title {place}") for place in range(len(vectors))))
    return pair_table([session], np.array(vectors, dtype=np.float32))


def known(intents: list[list[float]]) -> BundledItems:
    """Three bundles of one session each: items along the first axis, the second, and between both."""
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0.6, 0.8]], dtype=np.float32)
    return BundledItems(vectors, np.array([0, 0, 1, 1, 2]), np.array(intents, dtype=np.float32), np.array([0, 1, 2]))


def test_two_items_are_as_close_as_the_bundles_and_intents_near_them() -> None:
    found = BundleNeighbours(known([[1, 0], [0, 1], [0, 0]])).transform(table_of([1, 0], [0.8, 0.6]), np.array([0]))

    # Weights are cosines to the fourth. Of (1, 0): 1, 1, 0, 0, .6^4; of (.8, .6): .8^4 twice, .6^4 twice, .96^4.
    one, two = np.array([2, 0, 0.6**4]), np.array([2 * 0.8**4, 2 * 0.6**4, 0.96**4])
    assert found[0, 0] == pytest.approx(one @ two / np.linalg.norm(one) / np.linalg.norm(two), abs=1e-6)
    # Less their mean the two known intents are (.5, -.5) and (-.5, .5): those of both items point to the first.
    assert found[0, 1] == pytest.approx(1.0)


def test_intents_that_contradict_each_other_are_told() -> None:
    found = BundleNeighbours(known([[1, 0], [0, 1], [0, 0]])).transform(table_of([1, 0], [0, 1]), np.array([0]))
    assert found[0, 1] == pytest.approx(-1.0)


def test_nothing_known_is_zero() -> None:
    asked = table_of([1, 0], [-1, 0])
    assert BundleNeighbours(known([[1, 0], [0, 1], [0, 0]])).transform(asked, np.array([0])).tolist() == [[0, 0]]
    without_intents = BundleNeighbours(known([[0, 0]] * 3)).transform(table_of([1, 0], [1, 0]), np.array([0]))
    assert without_intents[0] == pytest.approx([1.0, 0.0])
    nobody = known([[1, 0], [0, 1], [0, 0]]).of_sessions(~ALL)
    assert BundleNeighbours(nobody).transform(asked, np.array([0])).tolist() == [[0, 0]]


def test_only_the_nearest_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_NEIGHBOURS", 2)
    monkeypatch.setattr(neighbours, "_CHUNK", 1)
    found = BundleNeighbours(known([[1, 0], [0, 1], [0, 0]])).transform(table_of([1, 0], [0, 1]), np.array([0]))
    assert found[0, 0] == 0  # the bundle between both is no neighbour of either any more


def test_bundles_of_other_sessions_are_left_out() -> None:
    kept = known([[1, 0], [0, 1], [0.5, 0.5]]).of_sessions(np.array([True, False, True]))
    assert kept.vectors.tolist() == pytest.approx(np.array([[1, 0], [1, 0], [0.6, 0.8]]))
    assert kept.bundle.tolist() == [0, 0, 1]
    assert kept.intents.tolist() == [[1, 0], [0.5, 0.5]]
    assert kept.session.tolist() == [0, 2]


def test_very_many_bundles_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_MOST_MEMBERS", 3)
    kept = known([[1, 0], [0, 1], [0, 0]]).of_sessions(ALL)
    assert kept.bundle.tolist() == [0, 0, 1]  # the first and the third bundle
    assert kept.session.tolist() == [0, 2]


@settings(deadline=None)  # the first example loads the encoder
@given(st.lists(st.lists(st.sets(st.integers(0, 3), min_size=2), max_size=2), min_size=1, max_size=4))
def test_every_item_of_every_bundle_is_laid_out_with_its_intent(bundles: list[list[set[int]]]) -> None:
    items = tuple(Item(f"i{place}", title) for place, title in enumerate(("tea", "rope", "tent", "mat")))
    train = [
        LabelledSession(Session(str(place), items), tuple(map(frozenset, own)), ("camping",))
        for place, own in enumerate(bundles)
    ]
    encoder: SentenceEncoder = title_encoder()
    table = pair_table([each.session for each in train], encoder.encode([item.text for item in items] * len(train)))
    laid = BundledItems.of(train, table, encoder)

    flat = [(place, bundle, rank) for place, own in enumerate(bundles) for rank, bundle in enumerate(own)]
    assert laid.session.tolist() == [place for place, _, _ in flat]
    assert laid.bundle.tolist() == [row for row, (_, bundle, _) in enumerate(flat) for _ in bundle]
    assert laid.intents.any(axis=1).tolist() == [rank == 0 for _, _, rank in flat]  # one intent was given a session
    expected = [table.vectors[4 * place + item] for place, bundle, _ in flat for item in sorted(bundle)]
    assert np.array_equal(laid.vectors, np.array(expected).reshape(-1, encoder.width))
