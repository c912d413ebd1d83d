"""RouteDK: a small student with one LoRA expert a kind of knowledge and a router (Feng et al., arXiv 2508.17250).

Training sessions go through the teacher once (``prepare``). Stage ``experts`` trains all experts together: a
batch holds each session in every view, each row gated to the expert of its view. Stage ``router`` freezes the
experts and trains the router through them, on the view that is read at inference. ``predict_bundles`` prefills
the items, routes, adds the knowledge, and answers by consensus over samples.

``fusion`` chooses the ablation: ``routed`` (RouteDK), ``uniform`` (all experts, equal weights), ``base``,
``pattern``, ``rule`` or ``thought`` (that expert alone, on its own view), ``naive`` (one LoRA of the same total rank
on all views: mixed knowledge without experts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_routedk.checkpoint import write_json
from recbole_routedk.data.answers import parse_answer
from recbole_routedk.data.prompts import PromptEncoder
from recbole_routedk.data.session import Generation, LabelledSession, Session
from recbole_routedk.distill.source import KnowledgeSource
from recbole_routedk.errors import UserError
from recbole_routedk.evaluation.metrics import matched_f1
from recbole_routedk.model.bundle_generator import BundleGenerator, TrainingStage
from recbole_routedk.model.views import FORMATS, PLAIN, Example, View, ViewSettings, knowledge, knowledge_text
from recbole_routedk.student.adapters import LoraSettings, save_expert
from recbole_routedk.student.backbone import load_student
from recbole_routedk.student.consensus import Answer, bundle_vote, minimum_bayes_risk
from recbole_routedk.student.decoding import Alphabet, SamplingSettings, decode_constrained, decode_free
from recbole_routedk.student.routed_student import Prefill, RoutedStudent
from recbole_routedk.student.router import SoftmaxRouter, constant_gates

EXPERT_VIEWS: dict[str, View] = {
    "base": PLAIN,
    "pattern": ("patterns",),
    "rule": ("rules",),
    "thought": ("thoughts",),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "fusion": ("routed", "uniform", *EXPERT_VIEWS, "naive"),
    "decoding": ("constrained", "free"),
    "consensus": ("mbr", "vote"),
}
logger = getLogger(__name__)
_EXPERTS, _ROUTER = "experts", "router"


class RouteDK(BundleGenerator):
    """Wires teacher, student, experts, router and consensus; every part is configured in ``RouteDK.yaml``."""

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        _check_choices(config)
        self.fusion: str = config["fusion"]
        student = load_student(config["student"], revision=config["student_revision"])
        self.tokenizer = student.tokenizer
        self.prompts = PromptEncoder(student.tokenizer, config["title_tokens"], config["max_items"])
        self.view_settings = ViewSettings(
            config["max_patterns"], config["max_rules"], config["pairs_per_item"], config["least_affinity"]
        )
        self.training_views = _training_views(self.fusion, config["knowledge_format"])
        experts = ("naive",) if self.fusion == "naive" else tuple(self.training_views)
        rank = config["lora_rank"] * (len(self.training_views) if self.fusion == "naive" else 1)
        lora = LoraSettings(
            rank=rank,
            alpha=config["lora_alpha"] * rank / config["lora_rank"],
            target_modules=tuple(config["lora_target_modules"]),
            first_layer=config["first_adapted_layer"],
        )
        self.student = RoutedStudent(student, experts, lora)
        self.router = SoftmaxRouter(self.student.hidden_size, len(experts)) if self.fusion == "routed" else None
        self.inference_view: View = (
            EXPERT_VIEWS[self.fusion] if self.fusion in EXPERT_VIEWS else tuple(config["inference_view"])
        )
        self.source: KnowledgeSource | None = None
        self.examples: list[Example] = []
        self.stage = ""
        self._epoch = 0

    # Training -----------------------------------------------------------------------------------

    def prepare(self, train: Sequence[LabelledSession]) -> None:
        """Distil: take the out-of-fold knowledge of each training session."""
        train = [self._shortened(labelled) for labelled in train]
        self.source = KnowledgeSource(self.config, train)
        known = zip(train, self.source.for_training(), strict=True)
        self.examples = [Example(labelled.session, each, labelled.bundles) for labelled, each in known]
        budget = self.config["answer_tokens"]
        too_long = sum(len(self.prompts.answer(example.bundles)) > budget for example in self.examples)
        if too_long:
            logger.warning(f"answer_tokens={budget} is too short for the answers of {too_long} training sessions")

    def _shortened(self, labelled: LabelledSession) -> LabelledSession:
        """The first ``max_items`` items and the bundles that lie within them."""
        session = self._within_labels(labelled.session)
        if session is labelled.session:
            return labelled
        kept = [k for k, bundle in enumerate(labelled.bundles) if max(bundle) < len(session)]
        intents = tuple(labelled.intents[k] for k in kept) if labelled.intents else ()
        return LabelledSession(session, tuple(labelled.bundles[k] for k in kept), intents)

    def _within_labels(self, session: Session) -> Session:
        limit = self.prompts.max_items
        if len(session) <= limit:
            return session
        logger.warning(f"session {session.session_id}: only the first {limit} of {len(session)} items (max_items)")
        return replace(session, items=session.items[:limit])

    def training_stages(self) -> tuple[TrainingStage, ...]:
        """Experts, then (``fusion: routed``) the router."""
        config = self.config
        experts = TrainingStage(
            _EXPERTS, config["epochs"], config["learning_rate"], config["eval_step"], config["stopping_step"]
        )
        if self.router is None:
            return (experts,)
        return (experts, TrainingStage(_ROUTER, config["router_epochs"], config["router_learning_rate"]))

    def begin_stage(self, name: str) -> None:
        self.stage = name
        for weight in self.student.expert_parameters():
            weight.requires_grad_(name == _EXPERTS)
        if self.router is not None:
            self.router.requires_grad_(name == _ROUTER)

    def begin_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Mean negative log-likelihood a token of the gold answers, over sessions and views.

        The items are read once for all views. Each view is its own pass, because the views differ in length:
        in one padded batch a third of the tokens would be padding.
        """
        examples = [self._training_example(index) for index in interaction["session_index"].tolist()]
        examples = [example for example in examples if example.bundles]
        if not examples:
            return torch.zeros((), requires_grad=True)
        prefill = self.student.read_prefix([self.prompts.prefix(example.session) for example in examples])
        if self.stage == _ROUTER:
            return self._view_loss(prefill, examples, self.inference_view, self._gates(prefill))
        losses = []
        for number, view in enumerate(self.training_views.values()):
            rows = [row for row, example in enumerate(examples) if example.has(view)]
            if rows:
                known, told = prefill.repeat(1).select(rows), [examples[row] for row in rows]
                losses.append(self._view_loss(known, told, view, self._expert_gates(number, known)))
        return torch.stack(losses).mean()

    def _view_loss(self, prefill: Prefill, examples: Sequence[Example], view: View, gates: Tensor) -> Tensor:
        suffixes = [self._suffix(example, view) for example in examples]
        answers = [self.prompts.answer(example.bundles) for example in examples]
        return self.student.answer_loss(prefill, suffixes, answers, gates).mean()

    def _training_example(self, index: int) -> Example:
        example = self.examples[index]
        if not self.config["shuffle_items"]:
            return example
        # From seed, epoch and session alone, so that a resumed run sees the same orders.
        generator = np.random.default_rng([self.config["seed"], self._epoch, index])
        return example.reordered(generator.permutation(len(example.session)).tolist())

    def _expert_gates(self, view: int, prefill: Prefill) -> Tensor:
        """One-hot gates [batch, E]: each view trains its own expert, or the only one (``naive``)."""
        experts = len(self.student.experts)
        weights = [float(expert == view % experts) for expert in range(experts)]
        return constant_gates(weights, len(prefill.mask), prefill.mask.device)

    def save_artefacts(self, folder: Path) -> None:
        """Write each expert as a PEFT adapter folder (``experts/``) and what the teacher said (``knowledge.json``)."""
        student = self.student
        for index, expert in enumerate(student.experts):
            target = folder / "experts" / expert
            save_expert(target, student.fused, index, student.settings, self.prompts.start_ids, student.name)
        if self.examples:
            patterns = {match.pattern: None for example in self.examples for match in example.known.patterns}
            rules = {match.rule: None for example in self.examples for match in example.known.rules}
            told = {
                "patterns": [asdict(pattern) for pattern in patterns],
                "rules": [asdict(rule) for rule in rules],
                "training_sessions": {each.session.session_id: self._knowledge_texts(each) for each in self.examples},
            }
            write_json(folder / "knowledge.json", told)

    def _knowledge_texts(self, example: Example) -> dict[str, str]:
        formats = [each for each in FORMATS if each in self.config["knowledge_format"]]
        return {
            each: knowledge_text(knowledge(example, (each,), self.view_settings), self.prompts.labels)
            for each in formats
        }

    # Inference ----------------------------------------------------------------------------------

    @torch.no_grad()
    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """Answer each session; a session with fewer than two items has no bundle."""
        if self.source is None:
            train = [self._shortened(labelled) for labelled in self.dataset.labelled_sessions]
            self.source = KnowledgeSource(self.config, train)
        answered = [self._within_labels(session) for session in sessions if len(session) >= 2]
        generations = iter(self._answer(answered) if answered else [])
        return [next(generations) if len(session) >= 2 else Generation(bundles=()) for session in sessions]

    def _answer(self, sessions: Sequence[Session]) -> list[Generation]:
        assert self.source is not None
        known = self.source.for_sessions(sessions)
        examples = [Example(session, each) for session, each in zip(sessions, known, strict=True)]
        prefill = self.student.read_prefix([self.prompts.prefix(session) for session in sessions])
        gates = self._gates(prefill)
        ids, mask = self.student.pad_left([self._suffix(example, self.inference_view) for example in examples])
        last_hidden = self.student.extend(prefill, ids, mask, gates)[:, -1]
        if self.config["decoding"] == "free":
            return self._free(sessions, prefill, last_hidden, gates)
        samples = decode_constrained(
            self.student,
            prefill,
            last_hidden,
            gates,
            [len(session) for session in sessions],
            [session.session_id for session in sessions],
            Alphabet(self.prompts.label_ids, self.prompts.separator_id, self.prompts.end_id),
            self._sampling(),
        )
        return [
            Generation(bundles, gates=tuple(row), score=agreement)
            for (bundles, agreement), row in zip(map(self._agree, samples), gates.tolist(), strict=True)
        ]

    def _gates(self, prefill: Prefill) -> Tensor:
        """The experts' weights [batch, E] for prompts of which the prefix is read."""
        if self.router is not None and self.stage != _EXPERTS:
            weights: Tensor = self.router(prefill.summary)
            return weights
        # Before the router is trained, the experts are looked at with equal weights.
        experts = len(self.student.experts)
        return constant_gates([1.0 / experts] * experts, len(prefill.mask), prefill.mask.device)

    def _suffix(self, example: Example, view: View) -> list[int]:
        return self.prompts.suffix(knowledge(example, view, self.view_settings))

    def _sampling(self) -> SamplingSettings:
        # Early epochs are compared on greedy answers: that is cheaper and ranks them the same way.
        draft = self.stage == _EXPERTS and self.router is not None
        config = self.config
        return SamplingSettings(
            samples=1 if draft else config["consensus_samples"],
            temperature=config["temperature"],
            budget=config["answer_tokens"],
            seed=config["seed"],
        )

    def _agree(self, samples: Sequence[Answer]) -> tuple[Answer, float]:
        if self.config["consensus"] == "vote":
            return bundle_vote(samples, self.config["vote_share"])
        return minimum_bayes_risk(samples, matched_f1)

    def _free(
        self, sessions: Sequence[Session], prefill: Prefill, last_hidden: Tensor, gates: Tensor
    ) -> list[Generation]:
        budget = self.config["answer_tokens"]
        completions = decode_free(self.student, prefill, last_hidden, gates, self.prompts.end_id, budget)
        answers = []
        for session, tokens, row in zip(sessions, completions, gates.tolist(), strict=True):
            text = str(self.tokenizer.decode(tokens))
            bundles, rejected = parse_answer(text, self.prompts.labels[: len(session)])
            answers.append(Generation(bundles, rejected, gates=tuple(row)))
        return answers


def _check_choices(config: Any) -> None:
    for key, choices in CHOICES.items():
        if config[key] not in choices:
            raise UserError(f"{key}: {config[key]!r} is not known; it must be one of {', '.join(choices)}")


def _training_views(fusion: str, formats: Sequence[str]) -> dict[str, View]:
    if fusion in EXPERT_VIEWS:
        return {fusion: EXPERT_VIEWS[fusion]}
    return {name: view for name, view in EXPERT_VIEWS.items() if set(view) <= set(formats)}
