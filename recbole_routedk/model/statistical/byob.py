"""BYOB: a pointer policy that writes the answer item by item, trained by PPO on the reward of its bundles."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from recbole_routedk.data.session import Generation, LabelledSession, Session
from recbole_routedk.evaluation.metrics import matched_f1
from recbole_routedk.model.bundle_generator import BundleGenerator, TrainingStage
from recbole_routedk.model.content import content_of
from recbole_routedk.model.statistical.bundle_episodes import allowed_actions
from recbole_routedk.model.statistical.pointer_policy import PointerPolicy, masked_log_probabilities
from recbole_routedk.model.statistical.ppo import clipped_objective, entropy
from recbole_routedk.model.statistical.rollouts import (
    GoldSteps,
    PlayedSteps,
    collated,
    gold_steps,
    gumbel,
    play,
    played_steps,
)
from recbole_routedk.model.statistical.session_tensors import gold_rows, item_vectors, padded, present_flags
from recbole_routedk.progress import progress_bar
from recbole_routedk.student.consensus import minimum_bayes_risk

_IMITATION, _REINFORCEMENT = "imitation", "ppo"
_PLAYED_AT_ONCE = 64  # sessions


class BYOB(BundleGenerator):
    """A pointer policy over the items of a session, trained by PPO on the MatchedF1 of the answers that it writes.

    Deng et al., "Build Your Own Bundle: A Neural Combinatorial Optimization Method" (ACM Multimedia 2021).
    The original fills one bundle of fixed size from a pool of candidates for a user; its policy attends from (user,
    clicks, bundle so far) to the pool, and is rewarded by models of preference and compatibility and by the metric.
    Adapted to several bundles a session: the session is both user and pool, an episode writes its whole answer
    (add an item, close the bundle, end), what is not allowed is masked, and the reward is MatchedF1 against the
    gold bundles, paid after every step as it rises (``reward: dense``) or at the end. The sum is the same.
    Differs from the original: item vectors come from titles, the encoders are one set encoder, pairs of items are
    compared directly (the original rewards compatibility instead), the policy first imitates gold bundles in any
    order (``imitation_epochs``: .640 on valid Electronic sessions, .625 from 24 epochs of PPO alone), and sampled
    answers are reduced to one (``consensus_samples``).
    PPO is the plain loop of ppo.py: an RL library (the original used RLlib) would bring its own trainer, workers and
    environment protocol for what is one rollout function here, and could not be driven by RecBole's trainer.
    """

    old_policy: Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self._content = content_of(config, dataset.labelled_sessions)
        self.policy = PointerPolicy(
            self._content.width,
            config["hidden_size"],
            config["encoder_layers"],
            config["attention_heads"],
            config["dropout"],
        )
        # The policy that wrote the answers learned from: kept, so that a resumed run learns from the same.
        self.register_buffer("old_policy", parameters_to_vector(self.policy.parameters()).detach().clone())
        self._stage = ""
        self._vectors: list[Tensor] = []
        self._gold: list[Tensor] = []
        self._gold_steps: list[GoldSteps] = []
        self._played_steps: list[PlayedSteps] = []

    def prepare(self, train: Sequence[LabelledSession]) -> None:
        """Read the titles of the training sessions."""
        self._vectors = item_vectors(self._content, [labelled.session for labelled in train])
        self._gold = [gold_rows(len(labelled.session), labelled.bundles) for labelled in train]

    def training_stages(self) -> tuple[TrainingStage, ...]:
        """Imitation of the gold bundles, then PPO; a stage of no epochs is left out."""
        config = self.config
        patience = (config["eval_step"], config["stopping_step"])
        stages = (
            TrainingStage(
                _IMITATION,
                config["imitation_epochs"],
                config["imitation_learning_rate"],
                *patience,
                rate_setting="imitation_learning_rate",
            ),
            TrainingStage(_REINFORCEMENT, config["epochs"], config["learning_rate"], *patience),
        )
        return tuple(stage for stage in stages if stage.epochs)

    def begin_stage(self, name: str) -> None:
        """Forget the steps of the stage before."""
        self._stage = name
        self._gold_steps, self._played_steps = [], []

    def begin_epoch(self, epoch: int) -> None:
        """Write the answers that this epoch learns from: gold ones, or every ``ppo_epochs`` those of the policy."""
        every = 1 if self._stage == _IMITATION else self.config["ppo_epochs"]
        generator = torch.Generator().manual_seed(self.config["seed"] * 1_000_003 + epoch // every)
        if self._stage == _IMITATION:
            self._gold_steps = self._in_chunks("writes gold answers", lambda part: self._write_gold(part, generator))
            return
        if epoch % every == 0:
            self.old_policy.copy_(parameters_to_vector(self.policy.parameters()).detach())
            self._played_steps = []
        if not self._played_steps:
            old = copy.deepcopy(self.policy).eval()
            vector_to_parameters(self.old_policy, old.parameters())
            self._played_steps = self._in_chunks("plays", lambda part: self._play(old, part, generator))

    def _in_chunks(self, title: str, write: Callable[[list[int]], list[Any]]) -> list[Any]:
        """Let ``write`` write the steps of all training sessions, those of like length together."""
        order = sorted(range(len(self._vectors)), key=lambda index: len(self._vectors[index]))
        found: dict[int, Any] = {}
        with progress_bar(len(order), f"{type(self).__name__} {title}", "session") as bar:
            for start in range(0, len(order), _PLAYED_AT_ONCE):
                part = order[start : start + _PLAYED_AT_ONCE]
                found |= zip(part, write(part), strict=True)
                bar.update(len(part))
        return [found[index] for index in range(len(order))]

    def _write_gold(self, part: list[int], generator: torch.Generator) -> list[GoldSteps]:
        lengths = [len(self._vectors[index]) for index in part]
        gold = padded([self._gold[index] for index in part])
        return gold_steps(present_flags(lengths), gold, lengths, self.config["imitation_orders"], generator)

    def _play(self, policy: PointerPolicy, part: list[int], generator: torch.Generator) -> list[PlayedSteps]:
        vectors, present, lengths = self._batch(part)
        gold = padded([self._gold[index] for index in part]).to(self.device)
        rollouts = self.config["rollouts"]
        played = play(policy, vectors, present, rollouts, lambda _, shape: gumbel(generator, shape).to(self.device))
        return played_steps(played, gold, lengths, self.config["reward"] == "dense", self.config["gae_lambda"])

    def _batch(self, index: Sequence[int]) -> tuple[Tensor, Tensor, list[int]]:
        vectors = [self._vectors[each] for each in index]
        lengths = [len(each) for each in vectors]
        return padded(vectors).to(self.device), present_flags(lengths).to(self.device), lengths

    def calculate_loss(self, interaction: Any) -> Tensor | tuple[Tensor, ...]:
        """Imitation: minus the log probability of a right action. PPO: its objective, value and entropy terms."""
        index = interaction["session_index"].tolist()
        vectors, present, _ = self._batch(index)
        if self._stage == _IMITATION:
            return self._imitation_loss(vectors, present, [self._gold_steps[each] for each in index])
        return self._ppo_losses(vectors, present, [self._played_steps[each] for each in index])

    def _imitation_loss(self, vectors: Tensor, present: Tensor, steps: Sequence[GoldSteps]) -> Tensor:
        batch, flags = collated(steps)
        batch, flags = GoldSteps(*(part.to(self.device) for part in batch)), flags.to(self.device)
        log, _ = self._log_probabilities(vectors, present, batch)
        right = log.masked_fill(~batch.right, -1e9).logsumexp(-1)
        return -right[flags].mean()

    def _ppo_losses(self, vectors: Tensor, present: Tensor, steps: Sequence[PlayedSteps]) -> tuple[Tensor, ...]:
        batch, flags = collated(steps)
        batch, flags = PlayedSteps(*(part.to(self.device) for part in batch)), flags.to(self.device)
        self.policy.eval()  # dropout would make another policy of it than the one that played
        log, value = self._log_probabilities(vectors, present, batch)
        log_now = log.gather(-1, batch.action.unsqueeze(-1)).squeeze(-1)[flags]
        advantage = batch.advantage[flags]
        scaled = (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-6)
        objective = clipped_objective(log_now, batch.log_then[flags], scaled, self.config["clip_ratio"])
        return (
            -objective.mean(),
            self.config["value_weight"] * (value - batch.follows)[flags].square().mean(),
            -self.config["entropy_weight"] * entropy(log)[flags].mean(),
        )

    def _log_probabilities(
        self, vectors: Tensor, present: Tensor, steps: GoldSteps | PlayedSteps
    ) -> tuple[Tensor, Tensor]:
        read = self.policy.encode(vectors, present)
        logits, value = self.policy(read, steps.current, steps.free, steps.closed)
        allowed = allowed_actions(steps.current, steps.free, steps.closed)
        return masked_log_probabilities(logits, allowed), value

    def checkpoint_buffers(self) -> tuple[str, ...]:
        """The policy that wrote the answers that training learns from."""
        return ("old_policy",)

    @torch.no_grad()
    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """Answer each session with the most likely actions, or the sampled answer that agrees best with all."""
        vectors = item_vectors(self._content, sessions)
        lengths = [len(each) for each in vectors]
        samples = self.config["consensus_samples"]
        drawn = [self._noise(length, samples) for length in lengths]
        noise = padded(drawn).to(self.device)  # [B, R, T, actions]
        played = play(
            self.policy.eval(),
            padded(vectors).to(self.device),
            present_flags(lengths).to(self.device),
            samples,
            lambda step, _: noise[:, :, step],
        )
        return [_agreed(answers) for answers in played.episodes.answers()]

    def _noise(self, length: int, samples: int) -> Tensor:
        """Noise of a session's sampled answers, whatever sessions are answered with it; none for the first one."""
        generator = torch.Generator().manual_seed(self.config["seed"])
        noise = gumbel(generator, (samples, length + length // 2 + 1, length + 2)) * self.config["temperature"]
        noise[0] = 0
        return noise


def _agreed(answers: Sequence[tuple[frozenset[int], ...]]) -> Generation:
    best, score = minimum_bayes_risk(answers, matched_f1)
    return Generation(best, score=score if any(answers) else 1.0)  # all say that there is none
