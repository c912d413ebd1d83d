"""Answers written by a policy, and the steps of many answers as what a loss reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from recbole_routedk.model.statistical.bundle_episodes import END, Episodes, answer_scores
from recbole_routedk.model.statistical.imitation import write_gold
from recbole_routedk.model.statistical.pointer_policy import PointerPolicy, masked_log_probabilities
from recbole_routedk.model.statistical.ppo import advantages
from recbole_routedk.model.statistical.session_tensors import padded

Noise = Callable[[int, torch.Size], Tensor]
"""``noise(step, shape)`` is added to the log probabilities [B, R, actions] before the highest is done."""


class GoldSteps(NamedTuple):
    """Steps towards a gold answer, K of one session: current, free [K, n], closed [K], right actions [K, n + 2]."""

    current: Tensor
    free: Tensor
    closed: Tensor
    right: Tensor


class PlayedSteps(NamedTuple):
    """Steps that a policy took, K of one session.

    current, free [K, n] and closed [K] before the step; the action, its log probability then, its advantage and
    the return that followed, all [K].
    """

    current: Tensor
    free: Tensor
    closed: Tensor
    action: Tensor
    log_then: Tensor
    advantage: Tensor
    follows: Tensor


AnySteps = TypeVar("AnySteps", GoldSteps, PlayedSteps)


class Played(NamedTuple):
    """R finished answers to each of B sessions: per step, and at the end the episodes."""

    steps: list[tuple[Tensor, ...]]
    owners: list[Tensor]
    episodes: Episodes


def gumbel(generator: torch.Generator, shape: Sequence[int]) -> Tensor:
    """Noise that turns the highest of log probabilities into a draw from them."""
    uniform = torch.rand(tuple(shape), generator=generator).clamp(1e-9, 1 - 1e-7)
    return -(-uniform.log()).log()


@torch.no_grad()
def play(policy: PointerPolicy, vectors: Tensor, present: Tensor, rollouts: int, noise: Noise) -> Played:
    """Let the policy write ``rollouts`` answers a session; ``vectors`` is [B, n, width], ``present`` bool [B, n].

    A step is (current, free, closed, action, log probability, value, whether the answer went on until then).
    """
    read = policy.encode(vectors, present)
    episodes = Episodes.begin(present, rollouts)
    steps: list[tuple[Tensor, ...]] = []
    owners: list[Tensor] = []
    while not bool(episodes.done.all()):
        state = (episodes.current, episodes.free, episodes.closed)
        logits, value = policy(read, *state)
        log = masked_log_probabilities(logits, episodes.allowed())
        action = (log + noise(len(steps), log.shape)).argmax(-1)
        chosen = log.gather(-1, action.unsqueeze(-1)).squeeze(-1)
        steps.append((*state, action, chosen, value, ~episodes.done))
        episodes.step(action)
        owners.append(episodes.owner)
    return Played(steps, owners, episodes)


def played_steps(played: Played, gold: Tensor, lengths: Sequence[int], dense: bool, decay: float) -> list[PlayedSteps]:
    """Reward played answers by ``gold`` bool [B, G, n]; returns the steps of each session.

    The reward of an answer is its MatchedF1. ``dense`` pays after every step how much it rose, the unfinished
    bundle taking part; otherwise it is paid at the end. Both sum to the same. ``decay`` is GAE's lambda.
    """
    current, free, closed, action, log_then, value, alive = _stacked(played.steps)
    owners = torch.stack(played.owners, 2)  # [B, R, T, n]
    of_step = gold[:, None, None].expand(*owners.shape[:3], *gold.shape[1:])
    scores = torch.zeros_like(value)
    scores[alive] = answer_scores(owners[alive], of_step[alive])
    if dense:
        rewards = torch.diff(scores, prepend=torch.zeros_like(scores[..., :1]), dim=-1)
    else:
        rewards = scores * (action == END)
    advantage = advantages(rewards, value, alive, decay)
    parts = (current, free, closed, action, log_then, advantage, advantage + value)
    return [PlayedSteps(*each) for each in _by_session(parts, alive, lengths)]


def gold_steps(
    present: Tensor, gold: Tensor, lengths: Sequence[int], times: int, generator: torch.Generator
) -> list[GoldSteps]:
    """Write each gold answer ``times`` times in random order; returns the steps of each session."""
    parts = _stacked(write_gold(present, gold, times, generator))
    return [GoldSteps(*each) for each in _by_session(parts, parts[-1].any(-1), lengths)]


def collated(steps: Sequence[AnySteps]) -> tuple[AnySteps, Tensor]:
    """Put the steps of sessions into one batch, [B, K, ...]; the flags, bool [B, K], tell steps from padding."""
    counts = torch.tensor([len(each.closed) for each in steps])
    flags = torch.arange(int(counts.max())) < counts[:, None]
    parts = [padded(part) for part in zip(*steps, strict=True)]
    return type(steps[0])(*parts), flags


def _stacked(steps: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Turn tuples of [B, R, ...], one a step, into [B, R, T, ...]."""
    return tuple(torch.stack(part, 2) for part in zip(*steps, strict=True))


def _by_session(parts: Sequence[Tensor], alive: Tensor, lengths: Sequence[int]) -> list[list[Tensor]]:
    """Keep what was alive, [K, ...] for each session, and of it the columns of the session's own items."""
    absent = [parts[0].shape[-1] - length for length in lengths]
    return [[_trimmed(part[row][alive[row]], absent[row]) for part in parts] for row in range(len(lengths))]


def _trimmed(part: Tensor, absent: int) -> Tensor:
    return part[:, : part.shape[1] - absent] if part.dim() > 1 else part
