"""Proximal policy optimization (Schulman et al. 2017): advantages and the clipped objective, as pure functions."""

from __future__ import annotations

import torch
from torch import Tensor


def advantages(rewards: Tensor, values: Tensor, alive: Tensor, decay: float) -> Tensor:
    """Generalized advantage estimates without discount (Schulman et al. 2016), [..., T].

    ``rewards`` [..., T] follow the action of each step, ``values`` [..., T] are estimated before it, ``alive``
    [..., T] tells steps from what follows the end, ``decay`` is GAE's lambda. After the last step the value is 0.
    """
    rewards, values = rewards * alive, values * alive
    found = torch.zeros_like(rewards)
    following = torch.zeros_like(rewards[..., 0])
    for step in reversed(range(rewards.shape[-1])):
        after = values[..., step + 1] if step + 1 < rewards.shape[-1] else torch.zeros_like(following)
        error = rewards[..., step] + after - values[..., step]
        following = error + decay * following
        found[..., step] = following
    return found * alive


def clipped_objective(log_now: Tensor, log_then: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """PPO's surrogate of each step, to be raised: min(r A, clamp(r, 1 - clip, 1 + clip) A) with r = now / then."""
    ratio = (log_now - log_then).exp()
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def entropy(log_probabilities: Tensor) -> Tensor:
    """The entropy of each distribution, in nats; ``log_probabilities`` [..., A] may be very low but not -inf."""
    return -(log_probabilities.exp() * log_probabilities).sum(-1)
