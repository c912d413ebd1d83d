"""The router starts even, is reached by the answers' loss, and learns which expert fits which prompt."""

from __future__ import annotations

import torch

from recbole_routedk.student.decoding import decode_free
from recbole_routedk.student.routed_student import RoutedStudent
from recbole_routedk.student.router import SoftmaxRouter, constant_gates

SUFFIX = [423, 198, 40]
PREFIXES = [[1000 + kind, 50 + row, 60 + row] for kind in (0, 1) for row in range(4)]


def test_a_new_router_weighs_all_experts_alike() -> None:
    gates = SoftmaxRouter(32, 3)(torch.randn(4, 32))
    torch.testing.assert_close(gates, torch.full((4, 3), 1 / 3))


def test_constant_gates_are_the_same_in_every_row() -> None:
    assert constant_gates([0.25, 0.75], 2, torch.device("cpu")).tolist() == [[0.25, 0.75]] * 2


def test_it_learns_through_frozen_experts_which_one_answers_which_prompt(routed: RoutedStudent) -> None:
    """The right answers to the first kind of prompt are what expert 0 writes, those to the second expert 2's."""
    kinds = torch.tensor([0] * 4 + [2] * 4)
    prefill = routed.read_prefix(PREFIXES)
    gates = torch.eye(3)[kinds]
    with torch.no_grad():
        last_hidden = routed.extend(prefill, *routed.pad_left([SUFFIX] * 8), gates)[:, -1]
    answers = decode_free(routed, prefill, last_hidden, gates, end=2, budget=3)

    frozen = [weight.requires_grad_(False).clone() for weight in routed.expert_parameters()]
    router = SoftmaxRouter(routed.hidden_size, 3)
    optimizer = torch.optim.Adam(router.parameters(), lr=0.1)
    losses = []
    for _ in range(25):
        prefill = routed.read_prefix(PREFIXES)
        loss = routed.answer_loss(prefill, [SUFFIX] * 8, answers, router(prefill.summary)).mean()
        optimizer.zero_grad()
        loss.backward()
        assert router.linear.weight.grad is not None
        assert router.linear.weight.grad.any()
        optimizer.step()
        losses.append(loss.item())

    # Nearly what gates that name the right expert would give.
    known = routed.answer_loss(routed.read_prefix(PREFIXES), [SUFFIX] * 8, answers, gates).mean().item()
    assert losses[-1] - known < 0.1 * (losses[0] - known)
    assert torch.equal(router(routed.read_prefix(PREFIXES).summary).argmax(dim=1), kinds)
    assert all(torch.equal(old, new) for old, new in zip(frozen, routed.expert_parameters(), strict=True))
