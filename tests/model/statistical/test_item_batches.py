"""Padded sessions and the partial bundles that completion models learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.distill.encoder import Vectors
from recbole_routedk.model.statistical.item_batches import ItemBatch, Lesson, item_batch, lesson, partial_batch, thinned

CPU = torch.device("cpu")


class Lengths:
    """A title's vector is its length and its number of words."""

    width = 2

    def vectors(self, titles: Sequence[str]) -> Vectors:
        rows = [[len(title), len(title.split())] for title in titles]
        return np.array(rows, dtype=np.float32).reshape(-1, 2)


def session(*titles: str) -> Session:
    return Session("s", tuple(Item(str(place), title) for place, title in enumerate(titles)))


def drawn(lessons: Lesson) -> dict[tuple[int, frozenset[int]], frozenset[int]]:
    """Which items join each partial bundle (row, items)."""

    def marked(flags: torch.Tensor) -> frozenset[int]:
        return frozenset(flags.nonzero().flatten().tolist())

    rows = zip(lessons.partials.session.tolist(), lessons.partials.inside, lessons.joins, strict=True)
    return {(row, marked(inside)): marked(joins) for row, inside, joins in rows}


def test_sessions_are_padded_with_zeros() -> None:
    batch = item_batch([session("ab"), session(), session("a b c", "")], Lengths(), CPU)
    assert batch.vectors.tolist() == [[[2, 1], [0, 0]], [[0, 0], [0, 0]], [[5, 3], [0, 0]]]
    assert batch.present.tolist() == [[True, False], [False, False], [True, True]]


def test_taken_rows_lose_columns_that_all_of_them_pad() -> None:
    batch = item_batch([session("ab"), session("a", "b", "c"), session("abc")], Lengths(), CPU)
    taken = batch.rows(torch.tensor([2, 0]))
    assert taken.vectors.tolist() == [[[3, 1]], [[2, 1]]]
    assert taken.present.all()


def test_no_session_is_no_error() -> None:
    assert item_batch([], Lengths(), CPU).vectors.shape == (0, 0, 2)
    assert partial_batch([], 3, CPU).inside.shape == (0, 3)


def test_partial_bundles_are_marked() -> None:
    partials = partial_batch([(1, frozenset({0, 2})), (0, frozenset({1}))], 3, CPU)
    assert partials.session.tolist() == [1, 0]
    assert partials.inside.tolist() == [[True, False, True], [False, True, False]]


def test_what_joins_shares_a_bundle_with_all_of_the_partial_one() -> None:
    labelled = LabelledSession(session(*"abcde"), (frozenset({0, 1}), frozenset({1, 2, 3})))
    examples = drawn(lesson([labelled], torch.ones(1, 5).bool(), 50, np.random.default_rng(1)))
    assert examples == {
        (0, frozenset({0})): {1},
        (0, frozenset({1})): {0, 2, 3},
        (0, frozenset({2})): {1, 3},
        (0, frozenset({3})): {1, 2},
        (0, frozenset({4})): frozenset(),
        (0, frozenset({0, 1})): frozenset(),
        (0, frozenset({1, 2})): {3},
        (0, frozenset({1, 3})): {2},
        (0, frozenset({2, 3})): {1},
        (0, frozenset({1, 2, 3})): frozenset(),
    }


def test_a_partial_bundle_that_is_the_session_teaches_nothing() -> None:
    labelled = LabelledSession(session("a", "b"), (frozenset({0, 1}),))
    examples = drawn(lesson([labelled, labelled], torch.ones(2, 2).bool(), 3, np.random.default_rng(1)))
    assert set(examples) == {(row, frozenset({item})) for row in (0, 1) for item in (0, 1)}


def test_items_that_are_left_out_belong_to_nothing() -> None:
    labelled = LabelledSession(session(*"abcd"), (frozenset({0, 1, 2}), frozenset({2, 3})))
    present = torch.tensor([[True, True, False, True]])
    examples = drawn(lesson([labelled], present, 9, np.random.default_rng(1)))
    assert examples == {
        (0, frozenset({0})): {1},
        (0, frozenset({1})): {0},
        (0, frozenset({3})): frozenset(),
        (0, frozenset({0, 1})): frozenset(),
    }


def test_a_thinned_session_keeps_two_items_and_no_padding() -> None:
    present = torch.tensor([[True] * 10, [True] * 2 + [False] * 8]).repeat(200, 1)
    kept = thinned(ItemBatch(torch.zeros(400, 10, 1), present), 0.3, np.random.default_rng(1)).present
    assert not (kept & ~present).any()
    assert kept.sum(1).min() >= 2
    assert 0.25 < 1 - kept[::2].float().mean() < 0.35
    assert torch.equal(thinned(ItemBatch(kept, present), 0.0, np.random.default_rng(1)).present, present)
