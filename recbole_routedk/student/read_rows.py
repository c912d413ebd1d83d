"""What was read of the latest rows of tokens, so that a row that goes on is read from where it stands."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache

from recbole_routedk.student.routed_student import Prefill

Row = tuple[int, ...]
_MOST_BYTES = 2**30
_HELD = ("keys", "values")  # by a layer of the cache


class ReadRows:
    """Keys and values of rows that were read, each without padding; the oldest go when they take over a GiB."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._rows: dict[Row, Tensor] = {}  # [layers, 2, heads, tokens, width]

    def longest(self, row: Sequence[int]) -> Row:
        """Return the longest row read before that ``row`` goes on from with at least one token; () for none."""
        starts = (known for known in self._rows if len(known) < len(row) and known == tuple(row[: len(known)]))
        return max(starts, key=len, default=())

    def prefill(self, rows: Sequence[Row], hidden_size: int) -> Prefill:
        """Return rows given by ``longest``, at least one of them read before, as one batch padded at the left.

        No router reads it: ``summary`` is zero.
        """
        longest = max(map(len, rows))
        like = next(self._rows[row] for row in rows if row)
        blank = like[..., :0, :]
        parts = [functional.pad(self._rows.get(row, blank), (0, 0, longest - len(row), 0)) for row in rows]
        batch = torch.stack(parts, dim=2)  # [layers, 2, batch, heads, tokens, width]
        cache = DynamicCache()
        for number, (keys, values) in enumerate(batch):
            cache.update(keys, values, number)
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=batch.device)
        return Prefill(cache, mask, like.new_zeros(len(rows), hidden_size))

    def keep(self, rows: Sequence[Sequence[int]], prefill: Prefill) -> None:
        """Keep what was read of each row, in place of what it went on from; ``prefill`` is left as it is."""
        for place, row in enumerate(rows):
            self._rows.pop(self.longest(row), None)
            real = prefill.mask[place].bool()
            read = [[getattr(layer, name)[place][:, real] for name in _HELD] for layer in prefill.cache.layers]
            self._rows.pop(tuple(row), None)  # it counts as new
            self._rows[tuple(row)] = torch.stack([torch.stack(each) for each in read])
        while self._rows and sum(each.nbytes for each in self._rows.values()) > self._most_bytes:
            del self._rows[next(iter(self._rows))]
