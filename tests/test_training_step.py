"""Fused steps of an optimizer are its own steps."""

from __future__ import annotations

import pytest
import torch

from recbole_routedk.checkpoint import optimizer_tensors, restore_optimizer
from recbole_routedk.training_step import fuse_steps


def trained(name: str, *, fused: bool) -> list[torch.Tensor]:
    """Two weights after three steps."""
    torch.manual_seed(0)
    weights = [torch.nn.Parameter(torch.randn(3, 4)), torch.nn.Parameter(torch.randn(5))]
    optimizer = getattr(torch.optim, name)(weights, lr=0.1)
    if fused:
        assert fuse_steps(optimizer, devices=("cpu",)) is optimizer
        assert all(group["fused"] for group in optimizer.param_groups)
    for _ in range(3):
        optimizer.zero_grad()
        sum(weight.pow(2).sum() for weight in weights).backward()
        optimizer.step()
    return weights


@pytest.mark.parametrize("name", ["AdamW", "Adam", "SGD"])
def test_fused_steps_lead_to_the_same_weights(name: str) -> None:
    for own, other in zip(trained(name, fused=True), trained(name, fused=False), strict=True):
        torch.testing.assert_close(own, other)


def test_a_cpu_keeps_its_steps_and_so_its_last_digits() -> None:
    optimizer = fuse_steps(torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))]))

    assert not optimizer.param_groups[0]["fused"]


@pytest.mark.parametrize("name", ["RMSprop", "Adagrad"])
def test_an_optimizer_that_cannot_be_told_is_left_as_it_is(name: str) -> None:
    optimizer = getattr(torch.optim, name)([torch.nn.Parameter(torch.ones(2))])

    assert not fuse_steps(optimizer, devices=("cpu",)).param_groups[0].get("fused")


def test_a_fused_optimizer_goes_on_where_it_was_stopped() -> None:
    def made() -> tuple[torch.nn.Parameter, torch.optim.Optimizer]:
        weight = torch.nn.Parameter(torch.arange(4.0))
        return weight, fuse_steps(torch.optim.AdamW([weight], lr=0.1), devices=("cpu",))

    def step(weight: torch.nn.Parameter, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        (weight**2).sum().backward()
        optimizer.step()

    whole, optimizer = made()
    step(whole, optimizer)
    kept, state = whole.detach().clone(), optimizer_tensors(optimizer)
    step(whole, optimizer)

    resumed, other = made()
    resumed.data.copy_(kept)
    restore_optimizer(other, state)
    step(resumed, other)

    assert torch.equal(resumed, whole)
