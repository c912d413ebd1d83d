"""Every kind of router: what its gates are, and that they can be learned."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from recbole_routedk.student.excitement import prototypes
from recbole_routedk.student.routed_student import RoutedStudent
from recbole_routedk.student.router import Router, best_expert_loss, make_router, only_highest, sparsemax

PREFIXES = [[1000, 50, 60, 70], [1001, 51, 61]]
LEARNING = ["softmax", "top_k", "straight_through", "sparsegen", "static"]


def router_of(student: RoutedStudent, router: str, gates: str = "prompt", **settings: Any) -> Router:
    given_settings = {"router_temperature": 1.0, "router_top_k": 2} | settings
    return make_router(student, {"router": router, "router_gates": gates, **given_settings})


@pytest.mark.parametrize("kind", [*LEARNING, "arrow"])
@pytest.mark.parametrize(("granularity", "shape"), [("prompt", (2, 3)), ("layer", (2, 2, 3))])
def test_gates_are_weights_of_the_experts(
    routed: RoutedStudent, kind: str, granularity: str, shape: tuple[int, ...]
) -> None:
    router = router_of(routed, kind, granularity)

    gates = router.gates(routed.read_prefix(PREFIXES))

    assert gates.shape == shape
    assert (gates >= 0).all()
    torch.testing.assert_close(gates.sum(dim=-1), torch.ones(shape[:-1], dtype=gates.dtype))


@pytest.mark.parametrize("kind", LEARNING)
@pytest.mark.parametrize("granularity", ["prompt", "layer"])
def test_the_answers_loss_teaches_it(routed: RoutedStudent, kind: str, granularity: str) -> None:
    """Told to answer what expert 2 would, each router comes closer to it."""
    torch.manual_seed(3)
    router, suffixes = router_of(routed, kind, granularity), [[423, 198, 40]] * 2
    right = torch.eye(3, dtype=torch.float64)[[2, 2]]
    with torch.no_grad():
        for weight in router.parameters():  # off the tie of equal logits
            weight.normal_(std=0.01)
        if kind == "top_k":  # what takes no part learns nothing
            router.linear.bias.copy_(torch.tensor([0.0, -1.0, 0.0]).repeat(len(router.linear.bias) // 3))  # type: ignore[union-attr, operator, arg-type]
        read = routed.read_prefix(PREFIXES)
        hidden = routed.extend(read, *routed.pad_left(suffixes), right)[:, -1]
        answers = routed.logits(hidden).argmax(dim=-1, keepdim=True).tolist()
    for weight in routed.expert_parameters():
        weight.requires_grad_(False)
    optimizer = torch.optim.Adam(router.parameters(), lr=0.1)
    losses = []
    for _ in range(40):
        read = routed.read_prefix(PREFIXES)
        loss = routed.answer_loss(read, suffixes, answers, router.gates(read)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    # Nearly what gates that name the right expert would give.
    known = routed.answer_loss(routed.read_prefix(PREFIXES), suffixes, answers, right).mean().item()
    assert known < losses[0]
    assert min(losses) - known < 0.2 * (losses[0] - known)


@pytest.mark.parametrize("kind", LEARNING)
@pytest.mark.parametrize("granularity", ["prompt", "layer"])
def test_it_can_be_told_which_expert_is_best(routed: RoutedStudent, kind: str, granularity: str) -> None:
    router = router_of(routed, kind, granularity)
    read = routed.read_prefix([PREFIXES[0]] * 2)  # alike, so that a static router can learn it too
    optimizer = torch.optim.Adam(router.parameters(), lr=0.1)
    for _ in range(30):
        loss = best_expert_loss(router.logits(read), torch.tensor([[3.0, 1.0, 2.0]] * 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    assert (router.gates(read).argmax(dim=-1) == 1).all()


def test_the_loss_of_the_best_expert_is_a_cross_entropy() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0], [1.0, 0.0, 0.0]])
    losses = torch.tensor([[0.5, 0.1, 0.9], [0.3, 0.2, 0.4]])

    expected = -(torch.log_softmax(logits, dim=-1)[0, 1] + torch.log_softmax(logits, dim=-1)[1, 1]) / 2

    torch.testing.assert_close(best_expert_loss(logits, losses), expected)
    torch.testing.assert_close(best_expert_loss(logits.unsqueeze(1).expand(2, 4, 3), losses), expected)


def test_only_the_highest_remain() -> None:
    kept = only_highest(torch.tensor([[1.0, 3.0, 2.0], [5.0, 5.0, 5.0]]), 2)
    assert kept.tolist() == [[-torch.inf, 3.0, 2.0], [5.0, 5.0, -torch.inf]]


def test_straight_through_takes_one_expert(routed: RoutedStudent) -> None:
    router = router_of(routed, "straight_through")
    with torch.no_grad():
        for weight in router.parameters():
            weight.normal_()
    gates = router.gates(routed.read_prefix(PREFIXES))
    torch.testing.assert_close(gates.max(dim=-1).values, torch.ones(2))


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=6))
def test_sparsemax_is_the_nearest_point_of_the_simplex(values: list[float]) -> None:
    """Checked against bisection on the threshold, which is another way to solve the same problem."""
    logits = torch.tensor(values, dtype=torch.float64)
    low, high = float(logits.min()) - 1, float(logits.max())
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if (logits - middle).clamp(min=0).sum() > 1 else (low, middle)
    torch.testing.assert_close(sparsemax(logits), (logits - high).clamp(min=0), atol=1e-9, rtol=0)


def test_a_higher_sparsity_leaves_fewer_experts(routed: RoutedStudent) -> None:
    router = router_of(routed, "sparsegen")
    summary = routed.read_prefix(PREFIXES)
    with torch.no_grad():
        router.linear.bias.copy_(torch.tensor([0.0, 0.3, 0.5]))  # type: ignore[union-attr, operator]
        taking_part = []
        for sparsity in (-5.0, 0.0, 5.0):
            router.sparsity.bias.fill_(sparsity)  # type: ignore[union-attr, operator]
            taking_part.append(int((router.gates(summary)[0] > 0).sum()))
    assert taking_part == [3, 3, 1]


def test_a_prototype_is_the_direction_of_largest_gain(routed: RoutedStudent) -> None:
    layer = next(iter(routed.fused.values()))
    for expert, direction in enumerate(prototypes(layer)):
        weight_a, weight_b = layer.expert_weights(expert)
        update = weight_b @ weight_a
        largest = torch.linalg.matrix_norm(update.double(), ord=2)
        torch.testing.assert_close((update.double() @ direction.double()).norm(), largest, rtol=1e-5, atol=0)


def test_arrow_prefers_the_expert_that_the_items_excite(routed: RoutedStudent) -> None:
    """Expert 1 is made to look at what the first token is in each layer; the excitement is computed by hand."""
    inputs: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_pre_hook(lambda _, given, name=name: inputs.__setitem__(name, given[0]))
        for name, layer in routed.fused.items()
    ]
    routed.read_prefix(PREFIXES)
    for hook in hooks:
        hook.remove()
    with torch.no_grad():
        for name, layer in routed.fused.items():
            layer.lora_a[layer.expert_slice(1)] = inputs[name][0, -1] / inputs[name][0, -1].norm()

    router = router_of(routed, "arrow", "layer", router_top_k=3)
    read = routed.read_prefix(PREFIXES[:1])
    by_hand = [[] for _ in range(routed.bus.layers)]  # type: ignore[var-annotated]
    for name, layer in routed.fused.items():
        by_hand[layer.layer].append((inputs[name][0] @ prototypes(layer).T).abs().mean(dim=0))
    expected = torch.stack([torch.stack(each).mean(dim=0) for each in by_hand])

    assert read.excitement is not None
    torch.testing.assert_close(read.excitement[0], expected)
    torch.testing.assert_close(router.gates(read)[0], torch.softmax(expected, dim=-1))


def test_prototypes_are_made_anew_when_an_expert_has_changed_and_only_then(
    routed: RoutedStudent, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr(
        "recbole_routedk.student.excitement.prototypes", lambda layer: made.append(layer) or prototypes(layer)
    )
    router_of(routed, "arrow")

    routed.read_prefix(PREFIXES)
    before = routed.read_prefix(PREFIXES).excitement
    assert len(made) == len(routed.fused)
    with torch.no_grad():
        next(iter(routed.fused.values())).lora_a.copy_(next(iter(routed.fused.values())).lora_a.flip(0))
    after = routed.read_prefix(PREFIXES).excitement

    assert len(made) == 2 * len(routed.fused)
    assert before is not None
    assert after is not None
    assert not torch.equal(before, after)


def test_gates_of_each_layer_reach_that_layer(routed: RoutedStudent) -> None:
    """Expert 0 in the first layer and expert 2 in the second is neither expert in both."""
    gates = torch.eye(3, dtype=torch.float64)[[0, 2]].unsqueeze(0)
    suffix = routed.pad_left([[423, 198, 40]])

    def hidden(weights: Tensor) -> Tensor:
        return routed.extend(routed.read_prefix(PREFIXES[:1]), *suffix, weights)

    layered = hidden(gates)
    with torch.no_grad():
        for layer in routed.fused.values():
            layer.lora_b[:, layer.expert_slice(1)] = 0.0
            wanted = layer.expert_slice(2 * layer.layer)
            weight_a, weight_b = layer.lora_a[wanted].clone(), layer.lora_b[:, wanted].clone()
            layer.load_expert(1, weight_a, weight_b)
    torch.testing.assert_close(hidden(torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)), layered)


def test_gates_that_fit_neither_experts_nor_layers_are_refused(routed: RoutedStudent) -> None:
    with pytest.raises(ValueError, match="do not fit 3 experts in 2 layers"):
        routed.bus.set(torch.ones(1, 5, 3))
