"""What all models share that answer with one small student: prompts, lessons, losses, answers, artefacts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_routedk.data.files import write_json
from recbole_routedk.data.prompts import PromptEncoder
from recbole_routedk.data.session import Generation, LabelledSession, Session, first_items, first_labelled, within_limit
from recbole_routedk.distill.knowledge import FORMATS
from recbole_routedk.distill.statistical.drawing import DRAWS, draw_groupings
from recbole_routedk.evaluation.bayes_risk import Answer
from recbole_routedk.evaluation.utility import mean_utility
from recbole_routedk.measure import free_memory
from recbole_routedk.model.bundle_generator import OWN, BundleGenerator
from recbole_routedk.model.language.answering import Answerer, AnswerSettings
from recbole_routedk.model.language.fingerprints import student_fingerprints
from recbole_routedk.model.language.item_orders import item_order
from recbole_routedk.model.language.lessons import Lesson, LessonEncoder
from recbole_routedk.model.language.reader import Reader
from recbole_routedk.model.views import Example, ViewSettings, knowledge, knowledge_text
from recbole_routedk.student.adapters import LoraSettings, save_expert
from recbole_routedk.student.backbone import configured_student
from recbole_routedk.student.consensus import NO_ADVICE, Advice
from recbole_routedk.student.decoding import SamplingSettings
from recbole_routedk.student.room import Appetite, portions
from recbole_routedk.student.routed_student import Prefill, RoutedStudent
from recbole_routedk.student.router import constant_gates

logger = getLogger(__name__)

ANSWERING = frozenset(
    {
        "answer_tokens",
        "consensus",
        "consensus_samples",
        "consensus_utility",
        "decoding",
        "item_orders",
        "teacher_votes",
        "temperature",
        "vote_share",
    }
)
"""Settings of how a trained student answers."""


class StudentModel(BundleGenerator):
    """A frozen student with LoRA experts, each with lessons of its own.

    A subclass says which experts there are, what each learns, and by ``inference`` how the student is asked.
    """

    answering_settings = ANSWERING

    divides_batches = True

    def __init__(
        self,
        config: Any,
        dataset: Any,
        experts: Mapping[str, tuple[Lesson, ...]],
        inference: Lesson,
        rank: int,
    ) -> None:
        """``rank`` is that of each expert; its scale is that of an expert of ``lora_rank``."""
        super().__init__(config, dataset)
        self.lessons = [(number, each) for number, lessons in enumerate(experts.values()) for each in lessons]
        self.inference = inference
        student = configured_student(config)
        self._fits = student_fingerprints(student)  # now: experts will be built into it
        lora = LoraSettings(
            rank=rank,
            alpha=config["lora_alpha"] * rank / config["lora_rank"],
            target_modules=tuple(config["lora_target_modules"]),
            first_layer=config["first_adapted_layer"],
        )
        self.prompts = PromptEncoder(student.tokenizer, config["title_tokens"], config["max_items"])
        self.view_settings = ViewSettings(
            config["max_patterns"], config["max_rules"], config["pairs_per_item"], config["least_affinity"]
        )
        self.encoder = LessonEncoder(self.prompts, self.view_settings, config["knowledge_weight"])
        self.student = RoutedStudent(student, tuple(experts), lora)
        self._appetite = Appetite.of(student.model)
        settings = AnswerSettings(
            config["decoding"],
            config["consensus"],
            mean_utility(config["consensus_utility"]),
            config["vote_share"],
            config["thought_tokens"],
        )
        self.answerer = Answerer(self.student, student.tokenizer, self.prompts, settings)
        self.reader: Reader | None = None
        self.examples: list[Example] = []
        self._epoch = 0
        self._told_of_portions = False

    # Training -----------------------------------------------------------------------------------

    def prepare(self, train: Sequence[LabelledSession]) -> None:
        """Distil: take the out-of-fold knowledge of each training session."""
        self.reader = self._reader(train, [lesson for _, lesson in self.lessons])
        self.examples = self.reader.for_training()
        budget = self.config["answer_tokens"]
        too_long = sum(len(self.prompts.answer(example.bundles)) > budget for example in self.examples)
        if too_long:
            logger.warning(f"answer_tokens={budget} is too short for the answers of {too_long} training sessions")

    def _reader(self, train: Sequence[LabelledSession], learnt: Sequence[Lesson]) -> Reader:
        return Reader(self.config, [self._shortened(labelled) for labelled in train], learnt, self.inference)

    def _shortened(self, labelled: LabelledSession) -> LabelledSession:
        """The first ``max_items`` items and the bundles that lie within them."""
        within_limit(labelled.session, self.prompts.max_items)
        return first_labelled(labelled, self.prompts.max_items)

    def begin_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Mean negative log-likelihood a token of what is to be written, over sessions and lessons."""
        return torch.stack(list(self.loss_parts(interaction))).sum()

    def loss_parts(self, interaction: Any) -> Iterator[Tensor]:
        """The weighted loss of each lesson.

        The items are read once for all lessons. Each lesson is its own pass, because they differ in length: in one
        padded batch a third of the tokens would be padding.
        """
        index = interaction["session_index"].tolist()
        own = interaction[OWN].tolist() if OWN in interaction else [True] * len(index)
        learnt = [(each, mine) for each, mine in zip(index, own, strict=True) if self.examples[each].bundles]
        examples = [self._training_example(each) for each, mine in learnt if mine]
        if examples:
            prefill = self.student.read_prefix([self.prompts.prefix(example.session) for example in examples])
            yield from self.batch_losses(prefill, examples, [self.examples[each] for each, _ in learnt])
        else:
            yield torch.zeros((), requires_grad=True)

    def batch_losses(self, prefill: Prefill, examples: Sequence[Example], batch: Sequence[Example]) -> Iterator[Tensor]:
        """The weighted lessons of examples whose items are read; a lesson leaves out sessions it lacks knowledge for.

        ``batch`` is all that is learnt from in this step, by this process and others: a lesson's loss is the mean over
        it, of which the part of ``examples`` is returned. ``prefill`` is left as it is.
        """
        counts = [sum(example.has(lesson.needs) for example in batch) for _, lesson in self.lessons]
        weights = [1.0 if lesson.answers else self.config["knowledge_weight"] for _, lesson in self.lessons]
        whole = max(sum(weight for weight, count in zip(weights, counts, strict=True) if count), 1e-9)
        for (expert, lesson), count, weight in zip(self.lessons, counts, weights, strict=True):
            rows = [row for row, example in enumerate(examples) if example.has(lesson.needs)]
            if rows:
                read = prefill.repeat(1)
                read = read.select(rows) if len(rows) < len(examples) else read
                loss = self.lesson_loss(read, [examples[row] for row in rows], lesson, self.one_hot(expert, read))
                yield loss * (weight / whole) * (len(rows) / count)
        if not any(counts):
            yield torch.zeros((), requires_grad=True)

    def lesson_loss(self, prefill: Prefill, examples: Sequence[Example], lesson: Lesson, gates: Tensor) -> Tensor:
        """The mean loss of one lesson; ``prefill`` is used up."""
        return self.row_losses(prefill, examples, lesson, gates).mean()

    def row_losses(self, prefill: Prefill, examples: Sequence[Example], lesson: Lesson, gates: Tensor) -> Tensor:
        """The loss of one lesson for each example: [batch]; ``prefill`` is used up."""
        suffixes = [self.encoder.suffix(example, lesson) for example in examples]
        targets = [self.encoder.target(example, lesson) for example in examples]
        tokens, weights = [tokens for tokens, _ in targets], [weights for _, weights in targets]
        return self.student.answer_loss(prefill, suffixes, tokens, gates, weights)

    def _training_example(self, index: int) -> Example:
        example = self.examples[index]
        if not self.config["shuffle_items"]:
            return example
        # From seed, epoch and session alone, so that a resumed run sees the same orders.
        generator = np.random.default_rng([self.config["seed"], self._epoch, index])
        return example.reordered(generator.permutation(len(example.session)).tolist())

    def one_hot(self, expert: int, prefill: Prefill) -> Tensor:
        weights = [float(number == expert) for number in range(len(self.student.experts))]
        return constant_gates(weights, len(prefill.mask), prefill.mask.device)

    def save_artefacts(self, folder: Path) -> None:
        """Write each trained expert as a PEFT adapter folder (``experts/``) and what was known (``knowledge.json``)."""
        student = self.student
        for index, expert in enumerate(student.experts if self.gradient_trained else ()):
            target = folder / "experts" / expert
            save_expert(target, student.fused, index, student.settings, self.prompts.start_ids, student.name)
        if self.reader is not None and self.examples:
            sessions = {}
            if self.lessons:
                sessions = {each.session.session_id: self._knowledge_texts(each) for each in self.examples}
            write_json(folder / "knowledge.json", {**self.reader.general(), "training_sessions": sessions})

    def _knowledge_texts(self, example: Example) -> dict[str, str]:
        needed = {each for _, lesson in self.lessons for each in lesson.needs}
        return {
            each: knowledge_text(knowledge(example, (each,), self.view_settings), self.prompts.labels)
            for each in (*FORMATS, "similar")
            if each in needed
        }

    def teacher_dollars(self) -> float | None:
        """What the knowledge cost that was read."""
        return self.reader.dollars() if self.reader is not None else 0.0

    def fits(self) -> dict[str, str]:
        """The student and its tokenizer."""
        return self._fits

    # Inference ----------------------------------------------------------------------------------

    @torch.no_grad()
    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """Answer each session; a session with fewer than two items has no bundle.

        They are answered all at once, or as many at a time as free memory has room for.
        """
        asked = [within_limit(session, self.prompts.max_items) for session in sessions if len(session) >= 2]
        examples = self._inference_reader().for_sessions(asked) if asked else []
        answers = [answer for portion in self._portions(examples) for answer in self._answer(portion)]
        generations = iter(answers)
        return [next(generations) if len(session) >= 2 else Generation(bundles=()) for session in sessions]

    def read_ahead(self, sessions: Sequence[Session]) -> None:
        """What a teacher whose answers are kept knows about the sessions."""
        limit = self.prompts.max_items
        self._inference_reader().read_ahead([first_items(each, limit) for each in sessions if len(each) >= 2])

    def _inference_reader(self) -> Reader:
        if self.reader is None:
            self.reader = self._reader(self.dataset.labelled_sessions, [])
        return self.reader

    def _portions(self, examples: Sequence[Example]) -> list[list[Example]]:
        config, free = self.config, free_memory(self.student.model.device)
        budget = config["answer_tokens"] + (config["thought_tokens"] if self.inference.writes is not None else 0)
        tokens = [
            len(self.prompts.prefix(each.session)) + len(self.encoder.suffix(each, self.inference)) + budget
            for each in examples
        ]
        orders, sampling = self._orders_and_sampling()
        parts = list(portions(examples, [orders * each for each in tokens], self._appetite, sampling.samples, free))
        if len(parts) > 1 and not self._told_of_portions:
            self._told_of_portions = True
            logger.warning(
                f"free memory ({free >> 20} MiB) has no room for {len(examples)} sessions at once: they are answered "
                f"in {len(parts)} portions, and answers may differ where rounding decides; lower eval_batch_size"
            )
        return parts

    def _orders_and_sampling(self) -> tuple[int, SamplingSettings]:
        """In how many orders the items are read, and how answers are drawn from each; no more orders than samples."""
        sampling = self.sampling()
        orders = min(self.config["item_orders"], sampling.samples)
        return orders, replace(sampling, samples=math.ceil(sampling.samples / orders))

    def _answer(self, examples: Sequence[Example]) -> list[Generation]:
        times, sampling = self._orders_and_sampling()
        seed = self.config["seed"]
        orders = [item_order(each.session, number, seed) for each in examples for number in range(times)]
        rows = [each for each in examples for _ in range(times)]
        rows = [each.reordered(order) if times > 1 else each for each, order in zip(rows, orders, strict=True)]
        prefill = self.student.read_prefix([self.prompts.prefix(each.session) for each in rows])
        return self.answerer.answer(
            [each.session for each in examples],
            prefill,
            [self.encoder.suffix(each, self.inference) for each in rows],
            self.gates(prefill),
            sampling,
            self.inference.writes is not None,
            self.advice(examples),
            orders,
        )

    def advice(self, examples: Sequence[Example]) -> list[Advice]:
        """Groupings drawn from the affinities of the thoughts that are read, with ``teacher_votes`` of the votes."""
        share = self.config["teacher_votes"]
        return [Advice(self._drawn(each), share) for each in examples] if share else [NO_ADVICE] * len(examples)

    def _drawn(self, example: Example) -> list[Answer]:
        thought = example.known.thought
        if thought is None:
            return []
        return draw_groupings(example.session, thought.affinities, DRAWS, self.config["seed"])

    def gates(self, prefill: Prefill) -> Tensor:
        """The experts' weights [batch, E] at inference for prompts of which the items are read; equal ones here."""
        experts = len(self.student.experts)
        return constant_gates([1.0 / experts] * experts, len(prefill.mask), prefill.mask.device)

    def sampling(self) -> SamplingSettings:
        """How answers are drawn."""
        config = self.config
        return SamplingSettings(
            config["consensus_samples"], config["temperature"], config["answer_tokens"], config["seed"]
        )
