"""Bundles of many sessions as the integer tensors that RecBole's DataStruct carries.

A bundle is a run of rows (session, bundle, position), one row an item. Unlike a padded
[sessions, bundles, items] block this concatenates over batches of any shape and its size is that of the
bundles, however long one session or however many the bundles of another.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from recbole.evaluator.collector import DataStruct
from torch import Tensor

from recbole_routedk.data.session import Bundle, Generation

GOLD_ROWS = "bundle.gold"
PREDICTED_ROWS = "bundle.predicted"
REJECTED_COUNTS = "bundle.rejected"
EVALUATION_KEYS = (GOLD_ROWS, PREDICTED_ROWS, REJECTED_COUNTS)


def add_sessions(
    data: DataStruct, first_session: int, gold: Sequence[Sequence[Bundle]], generations: Sequence[Generation]
) -> None:
    """Append the sessions ``first_session``, ``first_session`` + 1, ... with their generations to ``data``.

    Raises ValueError for a bundle without items, which rows cannot hold.
    """
    predicted = [generation.bundles for generation in generations]
    rejected = [len(generation.rejected) for generation in generations]
    data.update_tensor(GOLD_ROWS, _rows(first_session, gold))
    data.update_tensor(PREDICTED_ROWS, _rows(first_session, predicted))
    data.update_tensor(REJECTED_COUNTS, torch.tensor(rejected, dtype=torch.long))


def decode_sessions(data: DataStruct) -> tuple[list[list[Bundle]], list[list[Bundle]], list[int]]:
    """Return (gold, predictions, rejected counts), one entry a session, bundles in their first order."""
    rejected = data.get(REJECTED_COUNTS).tolist()
    gold = _bundles(data.get(GOLD_ROWS), len(rejected))
    return gold, _bundles(data.get(PREDICTED_ROWS), len(rejected)), rejected


def _rows(first_session: int, bundles_of_sessions: Sequence[Sequence[Bundle]]) -> Tensor:
    if not all(bundle for bundles in bundles_of_sessions for bundle in bundles):
        raise ValueError("a bundle to evaluate holds no items; reject it instead of passing it on")
    rows = [
        (first_session + offset, index, position)
        for offset, bundles in enumerate(bundles_of_sessions)
        for index, bundle in enumerate(bundles)
        for position in sorted(bundle)
    ]
    return torch.tensor(rows, dtype=torch.long).reshape(-1, 3)


def _bundles(rows: Tensor, sessions: int) -> list[list[Bundle]]:
    grouped: dict[tuple[int, int], list[int]] = {}
    for session, index, position in rows.tolist():
        grouped.setdefault((session, index), []).append(position)
    bundles: list[list[Bundle]] = [[] for _ in range(sessions)]
    for (session, _), positions in grouped.items():
        bundles[session].append(frozenset(positions))
    return bundles
