"""The recorded matrix products are those of the work, and are done again in full."""

from __future__ import annotations

import torch
from matrix_products import Factor, Product, recorded, replay
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def work() -> None:
    """Two linear layers of the same shape, forward and backward, and a batched product."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Linear(6, 6))
    layers(torch.randn(4, 6)).sum().backward()
    torch.randn(2, 3, 5) @ torch.randn(2, 5, 7)


def total(counter: FlopCounterMode) -> int:
    return int(counter.get_total_flops())


def test_products_of_both_passes_are_recorded_with_their_operations() -> None:
    seen = recorded(work)
    with FlopCounterMode(display=False) as counter:
        work()
    # Forward two, backward one for each weight and one for the inputs of the second layer; and the batched one.
    assert sum(seen.values()) == 2 + 3 + 1
    assert sum(each.flops * count for each, count in seen.items()) == total(counter)


def test_products_are_done_again_in_full() -> None:
    again = replay(recorded(work), torch.device("cpu"))
    with FlopCounterMode(display=False) as expected:
        work()
    with FlopCounterMode(display=False) as counter:
        again()
    assert total(counter) == total(expected)


def test_a_factor_is_made_with_its_strides() -> None:
    factor = Factor.of(torch.randn(3, 5, dtype=torch.float64).T)
    made = factor.made(torch.device("cpu"))
    assert (tuple(made.shape), made.stride(), made.dtype) == ((5, 3), (1, 5), torch.float64)
    assert Product(factor, Factor.of(torch.randn(3, 2))).flops == 2 * 5 * 3 * 2


def test_right_factors_lie_one_behind_the_other() -> None:
    factor = Factor((2, 3), (3, 1), torch.float32)
    memory = torch.arange(14.0)
    views = factor.views(memory, 3)
    assert factor.places == 6
    assert [view[0, 0].item() for view in views] == [0.0, 6.0, 0.0]
    assert torch.equal(views[1], memory[6:12].reshape(2, 3))
