"""Worse bundles: no gold bundle among them, near and far ones both."""

from __future__ import annotations

import torch

from recbole_routedk.model.statistical.corruption import worse_bundles
from recbole_routedk.model.statistical.session_tensors import gold_rows, padded, present_flags


def drawn(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A thousand bundles for each of {0, 1, 2} and {3, 4} of six items, and for the only bundle of two items."""
    gold = padded([gold_rows(6, [frozenset({0, 1, 2}), frozenset({3, 4})]), gold_rows(2, [frozenset({0, 1})])])
    return gold, *worse_bundles(gold, present_flags([6, 2]), 1000, torch.Generator().manual_seed(seed))


def test_no_worse_bundle_is_a_gold_one_or_too_small() -> None:
    gold, bundles, worse = drawn()
    assert bundles.shape == (2, 2, 1000, 6)
    assert worse.shape == (2, 2, 1000)
    found = {tuple(row) for row in bundles[worse].int().tolist()}
    assert not found & {tuple(row) for row in gold[0].int().tolist()}
    assert min(map(sum, found)) == 2


def test_worse_bundles_are_near_and_far() -> None:
    _, bundles, worse = drawn()
    found = {frozenset(torch.nonzero(row).flatten().tolist()) for row in bundles[0, 0][worse[0, 0]]}
    near = [{0, 1}, {0, 1, 2, 3}, {0, 1, 5}]  # removed, added, replaced
    far = [{3, 5}, {0, 1, 2, 3, 4, 5}]
    assert all(frozenset(each) in found for each in near + far)


def test_two_items_have_no_worse_bundle_and_padding_has_none() -> None:
    _, bundles, worse = drawn()
    assert not worse[1].any()
    assert not bundles[1, :, :, 2:].any()


def test_the_same_generator_draws_the_same() -> None:
    assert torch.equal(drawn(1)[1], drawn(1)[1])
    assert not torch.equal(drawn(1)[1], drawn(2)[1])
