"""PPO's pieces against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from recbole_routedk.model.statistical.ppo import advantages, clipped_objective, entropy

REWARDS = torch.tensor([[0.0, 0.5, 1.0, 9.0]])
VALUES = torch.tensor([[0.2, 0.4, 0.6, 9.0]])
ALIVE = torch.tensor([[True, True, True, False]])


def test_advantages_with_full_decay_are_one_step_errors() -> None:
    # r + V(next) - V: 0 + .4 - .2, .5 + .6 - .4, 1 + 0 - .6; what follows the end counts nothing.
    assert advantages(REWARDS, VALUES, ALIVE, 0.0).tolist()[0] == pytest.approx([0.2, 0.7, 0.4, 0.0])


def test_advantages_without_decay_are_returns_less_values() -> None:
    assert advantages(REWARDS, VALUES, ALIVE, 1.0).tolist()[0] == pytest.approx([1.5 - 0.2, 1.5 - 0.4, 1 - 0.6, 0.0])


def test_advantages_in_between_add_decayed_errors() -> None:
    expected = [0.2 + 0.5 * (0.7 + 0.5 * 0.4), 0.7 + 0.5 * 0.4, 0.4, 0.0]
    assert advantages(REWARDS, VALUES, ALIVE, 0.5).tolist()[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("now", "advantage", "expected"),
    [
        (0.55, 1.0, 1.1),  # a small step counts as it is
        (0.9, 1.0, 1.2),  # a good action is raised no further than the clip
        (0.1, 1.0, 0.2),  # one that became too rare is raised again
        (0.1, -1.0, -0.8),  # a bad action is lowered no further
        (0.9, -1.0, -1.8),  # one that became too frequent is lowered again
    ],
)
def test_the_ratio_is_clipped_where_that_is_worse(now: float, advantage: float, expected: float) -> None:
    then = torch.tensor(math.log(0.5))
    value = clipped_objective(torch.tensor(math.log(now)), then, torch.tensor(advantage), 0.2)
    assert value.item() == pytest.approx(expected)


def test_no_gradient_beyond_the_clip() -> None:
    now = torch.tensor(math.log(0.9), requires_grad=True)
    clipped_objective(now, torch.tensor(math.log(0.5)), torch.tensor(1.0), 0.2).backward()
    assert now.grad is not None
    assert now.grad.item() == 0


def test_entropy_of_masked_distributions() -> None:
    log = torch.log_softmax(torch.tensor([[0.0, 0.0, -1e9], [5.0, -1e9, -1e9]]), dim=-1)
    assert entropy(log).tolist() == pytest.approx([math.log(2), 0.0])
