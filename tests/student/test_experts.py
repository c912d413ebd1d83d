"""The fused layer is the mixture of its experts, computed with two matrix products."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from recbole_routedk.student.experts import FusedExpertLinear, GateBus
from recbole_routedk.training_step import fuse_steps

RANK, SCALING = 2, 1.5


def random_layer() -> tuple[GateBus, FusedExpertLinear]:
    torch.manual_seed(0)
    bus = GateBus(("a", "b", "c"), RANK, SCALING)
    layer = FusedExpertLinear(nn.Linear(5, 7, dtype=torch.float64), bus, RANK)
    nn.init.normal_(layer.lora_a)
    nn.init.normal_(layer.lora_b)
    return bus, layer


def mixture(layer: FusedExpertLinear, inputs: Tensor, gates: Tensor) -> Tensor:
    """The definition: base(x) + sum over experts k of gate_k * scaling * B_k A_k x."""
    output = layer.base(inputs)
    for row in range(len(inputs)):
        for k in range(3):
            weight_a, weight_b = layer.expert_weights(k)
            update = gates[row, k] * SCALING * inputs[row] @ weight_a.T @ weight_b.T
            output = output + torch.nn.functional.one_hot(torch.tensor(row), len(inputs))[:, None, None] * update
    return output


def test_it_equals_a_loop_over_the_experts_forward_and_backward() -> None:
    bus, layer = random_layer()
    inputs = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=True)
    gates = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
    wanted = [inputs, gates, layer.lora_a, layer.lora_b]

    bus.set(gates)
    fused = layer(inputs)
    looped = mixture(layer, inputs, gates)

    torch.testing.assert_close(fused, looped)
    upstream = torch.randn_like(fused)
    for mine, theirs in zip(
        torch.autograd.grad(fused, wanted, upstream), torch.autograd.grad(looped, wanted, upstream), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_without_gates_only_the_base_layer_acts() -> None:
    bus, layer = random_layer()
    inputs = torch.randn(2, 3, 5, dtype=torch.float64)
    bus.set(torch.ones(2, 3, dtype=torch.float64))
    bus.set(None)
    assert torch.equal(layer(inputs), layer.base(inputs))


@pytest.mark.parametrize("shape", [(2, 2), (2, 4), (3,), (2, 3, 1)])
def test_gates_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    bus, _ = random_layer()
    with pytest.raises(ValueError, match="do not fit 3 experts"):
        bus.set(torch.ones(shape))


def test_loading_an_expert_leaves_the_others_as_they_are() -> None:
    _, layer = random_layer()
    before = [tuple(weight.clone() for weight in layer.expert_weights(k)) for k in range(3)]
    layer.load_expert(1, torch.full((RANK, 5), 2.0), torch.full((7, RANK), 3.0))
    for k in (0, 2):
        assert torch.equal(layer.expert_weights(k)[0], before[k][0])
        assert torch.equal(layer.expert_weights(k)[1], before[k][1])
    assert bool((layer.expert_weights(1)[0] == 2).all())
    assert bool((layer.expert_weights(1)[1] == 3).all())


def test_beside_a_half_precise_layer_experts_stay_precise_and_learn() -> None:
    torch.manual_seed(0)
    bus = GateBus(("a", "b"), RANK, SCALING)
    layer = FusedExpertLinear(nn.Linear(5, 7, dtype=torch.bfloat16).requires_grad_(False), bus, RANK)
    nn.init.normal_(layer.lora_a)
    nn.init.normal_(layer.lora_b)
    inputs = torch.randn(4, 3, 5, dtype=torch.bfloat16)
    bus.set(torch.full((4, 2), 0.5, dtype=torch.bfloat16))

    learnt = layer(inputs)
    learnt.float().sum().backward()
    with torch.no_grad():
        cast_once = [layer(inputs), layer(inputs)]
        precise = layer.base(inputs).float() + SCALING * 0.5 * inputs.float() @ layer.lora_a.T @ layer.lora_b.T

    assert layer.lora_a.dtype == layer.lora_a.grad.dtype == torch.float32
    assert learnt.dtype == torch.bfloat16
    assert all(torch.equal(each, learnt) for each in cast_once)
    torch.testing.assert_close(learnt.float(), precise, rtol=0.05, atol=0.1)


def test_weights_that_change_are_cast_anew() -> None:
    bus = GateBus(("a",), RANK, SCALING)
    layer = FusedExpertLinear(nn.Linear(5, 7, dtype=torch.bfloat16), bus, RANK)
    inputs = torch.randn(1, 1, 5, dtype=torch.bfloat16)
    bus.set(torch.ones(1, 1, dtype=torch.bfloat16))
    with torch.no_grad():
        layer.lora_a.fill_(1.0)
        assert torch.equal(layer(inputs), layer.base(inputs))  # B is still zero

        layer.load_expert(0, torch.ones(RANK, 5), torch.ones(7, RANK))

        assert not torch.equal(layer(inputs), layer.base(inputs))


def test_fused_steps_and_copies_are_cast_anew_too() -> None:
    """A fused step changes a weight without raising its version; a copy has versions of its own."""
    torch.manual_seed(0)
    bus = GateBus(("a",), RANK, SCALING)
    layer = FusedExpertLinear(nn.Linear(5, 7, dtype=torch.bfloat16).requires_grad_(False), bus, RANK)
    nn.init.normal_(layer.lora_a)
    optimizer = fuse_steps(torch.optim.AdamW([layer.lora_a, layer.lora_b], lr=1.0), devices=("cpu",))
    inputs = torch.randn(1, 2, 5, dtype=torch.bfloat16)
    bus.set(torch.ones(1, 1, dtype=torch.bfloat16))

    for _ in range(3):
        layer(inputs).float().sum().backward()
        optimizer.step()
        with torch.no_grad():
            answered = layer(inputs)
        assert torch.equal(answered, layer(inputs).detach())

    twin = copy.deepcopy(layer)
    twin._bus.set(torch.ones(1, 1, dtype=torch.bfloat16))
    with torch.no_grad():
        twin.lora_b.zero_()
        assert torch.equal(twin(inputs), twin.base(inputs))
