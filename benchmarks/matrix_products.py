"""The matrix products of some work, by shape, to be done again alone: the limit of what the machine can reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_PRODUCTS = {
    torch.ops.aten.mm.default: (0, 1),
    torch.ops.aten.addmm.default: (1, 2),
    torch.ops.aten.bmm.default: (0, 1),
}
"""Operators, and where their two factors stand among the arguments."""


_MEMORY = 2**25
"""Numbers from which the right factors are taken: more than caches hold."""


@dataclass(frozen=True)
class Factor:
    """Size, strides and type of a matrix: a transposed one has other strides."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    @staticmethod
    def of(tensor: Tensor) -> Factor:
        """Return those of a tensor."""
        return Factor(tuple(tensor.shape), tensor.stride(), tensor.dtype)

    def made(self, device: torch.device) -> Tensor:
        """Return such a matrix, filled with small random numbers."""
        # By way of its memory: of an expanded matrix, whose strides are 0, several places are one.
        memory = torch.empty(self.places, dtype=self.dtype, device=device).normal_(std=0.1)
        return memory.as_strided(self.size, self.stride)

    @property
    def places(self) -> int:
        """How many numbers it spans in memory."""
        return 1 + sum((size - 1) * step for size, step in zip(self.size, self.stride, strict=True))

    def views(self, memory: Tensor, count: int) -> list[Tensor]:
        """Return so many such matrices out of ``memory``, one behind the other, from its beginning again at its end."""
        room = max(1, len(memory) // self.places)
        return [memory.as_strided(self.size, self.stride, number % room * self.places) for number in range(count)]


@dataclass(frozen=True)
class Product:
    """Two factors that are multiplied."""

    left: Factor
    right: Factor

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        *batch, rows, inner = self.left.size
        count = 2 * rows * inner * self.right.size[-1]
        for size in batch:
            count *= size
        return count


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[Product] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _PRODUCTS:
            left, right = (args[place] for place in _PRODUCTS[func])
            self.seen[Product(Factor.of(left), Factor.of(right))] += 1
        return func(*args, **(kwargs or {}))


def recorded(work: Callable[[], object]) -> Counter[Product]:
    """Do the work; returns its matrix products and how often each was done, those of the backward pass too."""
    with _Recorder() as recorder:
        work()
    return recorder.seen


def replay(products: Mapping[Product, int], device: torch.device) -> Callable[[], None]:
    """Return what does these products again and nothing else.

    The left factor, mostly what flows through the model, is one matrix for each shape. The right factors, mostly
    weights, are taken from one place after the other of a large memory, so that they come from there and not from a
    cache, as a model's weights do.
    """
    memories: dict[torch.dtype, Tensor] = {}
    prepared = []
    for dtype in {each.right.dtype for each in products}:
        largest = max(each.right.places for each in products if each.right.dtype == dtype)
        memories[dtype] = torch.empty(max(largest, _MEMORY), dtype=dtype, device=device).normal_(std=0.1)
    for each, count in products.items():
        left = each.left.made(device)
        rights = each.right.views(memories[each.right.dtype], count)
        prepared.append((left, rights, torch.matmul(left, rights[0])))

    def work() -> None:
        for left, rights, output in prepared:
            for right in rights:
                torch.matmul(left, right, out=output)

    return work
