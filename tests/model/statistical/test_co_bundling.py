"""What alike titles were bundled with, worked out by hand in two dimensions."""

from __future__ import annotations

import math

import torch

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.model.statistical.co_bundling import co_bundling
from recbole_routedk.model.statistical.item_batches import ItemBatch

EAST, NORTH, WEST, SOUTH = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]


def batch(*sessions: list[list[float]]) -> ItemBatch:
    longest = max(map(len, sessions))
    vectors = torch.tensor([session + [[0.0, 0.0]] * (longest - len(session)) for session in sessions])
    return ItemBatch(vectors, vectors.norm(dim=-1) > 0)


def labelled(length: int, *bundles: set[int]) -> LabelledSession:
    items = tuple(Item(str(place), "") for place in range(length))
    return LabelledSession(Session("s", items), tuple(map(frozenset, bundles)))


TRAIN = batch([EAST, NORTH, WEST], [SOUTH, WEST])
LABELS = [labelled(3, {0, 1}, {0, 2}), labelled(2, {0, 1})]


def test_the_partners_of_an_item_are_those_of_all_its_bundles() -> None:
    found = co_bundling(TRAIN, LABELS)
    assert found.titles.tolist() == [EAST, NORTH, WEST, SOUTH, WEST]
    assert found.partners.tolist() == [[-0.5, 0.5], EAST, EAST, WEST, SOUTH]
    assert found.session.tolist() == [0, 0, 0, 1, 1]


def test_an_item_takes_the_partners_of_its_nearest_titles() -> None:
    features = co_bundling(TRAIN, LABELS).features(batch([EAST, NORTH]), neighbours=1)
    assert torch.allclose(features, torch.tensor([[[-0.5, 0.5], EAST]]))


def test_nearer_titles_weigh_more() -> None:
    north_east = [math.cos(1), math.sin(1)]  # its similarities to north and east are sin 1 and cos 1
    features = co_bundling(TRAIN, LABELS).features(batch([north_east]), neighbours=2)
    to_north = 1 / (1 + math.exp((math.cos(1) - math.sin(1)) / 0.05))
    expected = to_north * torch.tensor(EAST) + (1 - to_north) * torch.tensor([-0.5, 0.5])
    assert torch.allclose(features[0, 0], expected, atol=1e-4)


def test_a_training_item_does_not_see_the_bundles_of_its_session() -> None:
    own = torch.tensor([0, 1])
    features = co_bundling(TRAIN, LABELS).features(TRAIN, 1, own)
    assert features[0, 2].tolist() == SOUTH  # as bundled in the second session, not east as in its own
    assert features[1, 1].tolist() == EAST
    changed = co_bundling(TRAIN, [labelled(3, {0, 1, 2}), LABELS[1]]).features(TRAIN, 1, own)
    assert torch.equal(changed[0], features[0])


def test_without_bundles_of_others_nothing_is_known() -> None:
    alone = co_bundling(TRAIN.rows(torch.tensor([0])), LABELS[:1])
    assert not alone.features(TRAIN.rows(torch.tensor([0])), 5, torch.tensor([0])).any()
    assert not co_bundling(TRAIN, [labelled(3), labelled(2)]).features(TRAIN, 5).any()
