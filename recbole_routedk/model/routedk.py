"""RouteDK: a small student with one LoRA expert a kind of knowledge and a router (Feng et al., arXiv 2508.17250).

The knowledge of the training sessions is taken once (``prepare``). Stage ``experts`` trains all experts together:
each session is read in the view of each of them, gated to that expert. Stage ``router`` freezes the experts and
trains the router through them, on the view that is read at inference. ``predict_bundles`` prefills the items,
routes, adds the knowledge, and answers by consensus over samples, in which groupings drawn from the teacher's
affinities have votes too (``StudentModel.advice``; the paper does not state its inference-time enhancement).

Of the teacher's rules a prompt names those that speak about pairs of its session. Rules of all bundles, which the
paper's context has too, are in ``knowledge.json`` alone: being the same in every prompt they tell no session from
another, and where no rule speaks about a session the view says the two that always hold.

``fusion`` chooses the ablation: ``routed`` (RouteDK), ``uniform`` (all experts, equal weights), ``base``,
``pattern``, ``rule`` or ``thought`` (that one of the experts answers, alone and on its own view). All train the same
experts. The ablation without experts, one LoRA of the same total rank on all views, is the model ``NaiveDK``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from recbole_routedk.distill.knowledge import Format
from recbole_routedk.errors import UserError
from recbole_routedk.model.bundle_generator import TrainingStage
from recbole_routedk.model.language.lessons import Lesson, lessons_of
from recbole_routedk.model.language.student_model import ANSWERING, StudentModel
from recbole_routedk.model.views import Example
from recbole_routedk.student.decoding import SamplingSettings
from recbole_routedk.student.routed_student import Prefill
from recbole_routedk.student.router import best_expert_loss, make_router

EXPERTS: dict[str, tuple[Format, ...]] = {
    "base": (),
    "pattern": ("patterns",),
    "rule": ("rules",),
    "thought": ("thoughts",),
}
"""What each expert reads besides the session."""

_EXPERTS, _ROUTER = "experts", "router"
_AFTER_EXPERTS = frozenset(
    {
        "fusion",
        "inference_view",
        "router",
        "router_epochs",
        "router_gates",
        "router_learning_rate",
        "router_learns",
        "router_share",
        "router_temperature",
        "router_top_k",
    }
)
"""Settings that the experts' lessons do not depend on."""


class RouteDK(StudentModel):
    """Wires student, experts, router and consensus; every part is configured in ``RouteDK.yaml``."""

    def __init__(self, config: Any, dataset: Any) -> None:
        fusion = str(config["fusion"])
        experts = expert_lessons(config)
        super().__init__(config, dataset, experts, inference_lesson(config, fusion), config["lora_rank"])
        self.router = make_router(self.student, config) if fusion == "routed" else None
        self.alone = list(experts).index(fusion) if fusion in EXPERTS else None
        self.stage = ""
        self.answering_settings = ANSWERING | (frozenset() if self._has_stage else _AFTER_EXPERTS)

    def training_stages(self) -> tuple[TrainingStage, ...]:
        """Experts, then (``fusion: routed``) the router, where it has something to learn."""
        config = self.config
        experts = TrainingStage(
            _EXPERTS, config["epochs"], config["learning_rate"], config["eval_step"], config["stopping_step"]
        )
        if not self._has_stage:
            return (experts,)
        router = TrainingStage(
            _ROUTER,
            config["router_epochs"],
            config["router_learning_rate"],
            share=config["router_share"],
            settings=_AFTER_EXPERTS,
            rate_setting="router_learning_rate",
        )
        return (experts, router)

    def begin_stage(self, name: str) -> None:
        self.stage = name
        for weight in self.student.expert_parameters():
            weight.requires_grad_(name == _EXPERTS)
        if self.router is not None:
            self.router.requires_grad_(name == _ROUTER)

    def batch_losses(self, prefill: Prefill, examples: Sequence[Example], batch: Sequence[Example]) -> Iterator[Tensor]:
        """The experts' lessons, or in stage ``router`` the routed answer."""
        share = len(examples) / len(batch)
        if self.router is None or self.stage != _ROUTER:
            yield from super().batch_losses(prefill, examples, batch)
        elif self.config["router_learns"] == "best_expert":
            yield best_expert_loss(self.router.logits(prefill), self._expert_losses(prefill, examples)) * share
        else:
            yield self.lesson_loss(prefill, examples, self.inference, self.gates(prefill)) * share

    @torch.no_grad()
    def _expert_losses(self, prefill: Prefill, examples: Sequence[Example]) -> Tensor:
        """What each expert alone would lose on the answers: [batch, E]."""
        rows = (prefill.repeat(1) for _ in self.student.experts)
        losses = [
            self.row_losses(read, examples, self.inference, self.one_hot(expert, read))
            for expert, read in enumerate(rows)
        ]
        return torch.stack(losses, dim=-1)

    def gates(self, prefill: Prefill) -> Tensor:
        """The router's weights [batch, E] or [batch, L, E]; until it is trained, the experts have equal weights.

        Where ``fusion`` names an expert, that one alone.
        """
        if self.alone is not None:
            return self.one_hot(self.alone, prefill)
        if self.router is None or self._router_waits:
            return super().gates(prefill)
        return self.router.gates(prefill)

    def sampling(self) -> SamplingSettings:
        """Greedy while the experts train: early epochs are compared on that, which ranks them the same way."""
        return replace(super().sampling(), samples=1) if self._router_waits else super().sampling()

    @property
    def _router_waits(self) -> bool:
        """Whether there is a router that is trained after the experts, which are still in training."""
        return self.stage == _EXPERTS and self._has_stage

    @property
    def _has_stage(self) -> bool:
        return self.router is not None and any(True for _ in self.router.parameters())


def expert_lessons(config: Any) -> dict[str, tuple[Lesson, ...]]:
    """Return what each expert learns: base, and one for each format of knowledge that is taken."""
    formats = config["knowledge_format"]
    chosen = {name: view for name, view in EXPERTS.items() if set(view) <= set(formats)}
    return {name: lessons_of(view, config["thought_source"]) for name, view in chosen.items()}


def inference_lesson(config: Any, fusion: str) -> Lesson:
    """Return how sessions are answered; UserError where that needs knowledge that is not taken."""
    view = EXPERTS.get(fusion, config["inference_view"])
    missing = [each for each in view if each not in config["knowledge_format"]]
    if missing:
        raise UserError(f"knowledge_format: {', '.join(missing)} is read at inference and has to be in it")
    return lessons_of(view, config["thought_source"])[0]
