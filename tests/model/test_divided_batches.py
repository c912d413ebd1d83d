"""A batch that several processes learn from: their losses and gradients sum to those of the whole batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from recbole_routedk.distill.knowledge import SessionKnowledge
from recbole_routedk.model.bundle_generator import OWN
from recbole_routedk.model.routedk import RouteDK
from recbole_routedk.quick_start import load_data_and_model

BATCH = torch.arange(6)


@pytest.fixture(scope="module")
def model(finished: dict[str, Any]) -> RouteDK:
    """A trained RouteDK; of its training sessions one has no bundle, and of another nothing is known."""
    _, generator, _, train, _, _ = load_data_and_model(finished["run_folder"])
    assert isinstance(generator, RouteDK)
    generator.prepare(train.bundle_dataset.labelled_sessions)
    generator.examples[1] = replace(generator.examples[1], bundles=())
    generator.examples[2] = replace(generator.examples[2], known=SessionKnowledge())
    return generator


def learnt(model: RouteDK, own: list[bool] | None) -> tuple[float, list[torch.Tensor]]:
    """The loss of a process that learns from some sessions of the batch, and its gradients."""
    model.zero_grad(set_to_none=True)
    loss = 0.0
    for part in model.loss_parts({"session_index": BATCH} | ({} if own is None else {OWN: torch.tensor(own)})):
        part.backward()
        loss += part.item()
    trained = [value for value in model.parameters() if value.requires_grad]
    return loss, [torch.zeros_like(each) if each.grad is None else each.grad.clone() for each in trained]


@pytest.mark.parametrize(
    "stage, router_learns", [("experts", "answer"), ("router", "answer"), ("router", "best_expert")]
)
@pytest.mark.parametrize(
    "first",
    [
        [True, False, True, False, True, False],
        [False, True, False, False, False, False],  # all that the first process has is a session without bundles
        [False, False, True, False, False, False],  # ... or a session of which nothing is known
        [False] * 6,
    ],
)
def test_the_parts_of_two_processes_sum_to_the_whole(
    model: RouteDK, stage: str, router_learns: str, first: list[bool]
) -> None:
    model.begin_stage(stage)
    model.config["router_learns"] = router_learns
    whole, gradients = learnt(model, None)

    one, of_one = learnt(model, first)
    two, of_two = learnt(model, [not each for each in first])

    assert whole > 0
    assert one + two == pytest.approx(whole, rel=1e-5)
    assert any(gradient.abs().max() > 0 for gradient in gradients)
    for expected, *parts in zip(gradients, of_one, of_two, strict=True):
        torch.testing.assert_close(sum(parts), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()) + 1e-9)
