"""A teacher on this machine: any causal language model that transformers loads, in batches."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList

from recbole_routedk.distill.teachers.conversation import ConversationEncoder
from recbole_routedk.distill.teachers.fingerprint import files_fingerprint
from recbole_routedk.distill.teachers.protocol import Identity, Request, Response, Usage, request_key
from recbole_routedk.distill.teachers.sampling_noise import GumbelNoise
from recbole_routedk.errors import UserError
from recbole_routedk.student.backbone import EMBEDDED_ALIAS, Student, embedded_folder, load_student

Prompt = tuple[Request, list[int]]
"""A request and its tokens."""

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_LOOK_AHEAD = 4
"""Batches that are read at once, so that each holds prompts of about the same length."""


class LocalTeacher:
    """Continues conversations with a model that is loaded when the first request comes.

    Even what it draws comes from the request alone: the same request is always answered, or cut off, in the same way.
    """

    deterministic = True

    def __init__(
        self,
        model: str,
        revision: str | None = None,
        *,
        batch_size: int = 8,
        dtype: str = "float32",
        device: str | torch.device = "cpu",
    ) -> None:
        """``model`` is what ``student.backbone.load_student`` takes; nothing is loaded yet.

        Raises:
            UserError: ``dtype`` is none of float32, bfloat16 and float16.
        """
        if dtype not in _DTYPES:
            raise UserError(f"teacher_dtype: has to be one of {', '.join(_DTYPES)}, not {dtype!r}")
        self._model, self._revision, self._dtype = model, revision, dtype
        self._batch_size, self._device = batch_size, torch.device(device)

    @classmethod
    def from_settings(cls, settings: Any) -> LocalTeacher:
        """Make the teacher that properties/teacher/local.yaml and the user describe."""
        return cls(
            settings["teacher_model"],
            settings["teacher_revision"],
            batch_size=settings["teacher_batch_size"],
            dtype=settings["teacher_dtype"],
            device=settings["device"],
        )

    @cached_property
    def identity(self) -> Identity:
        """The model's name, with the revision of a hub id or a fingerprint of its files, and how it computes."""
        place = embedded_folder() if self._model == EMBEDDED_ALIAS else Path(self._model).expanduser()
        if self._model != EMBEDDED_ALIAS and not place.exists():
            return Identity("local", self._model, f"{self._revision or ''}/{self._dtype}")
        # A folder may move and keeps its answers: its name and its files say what it is.
        name = EMBEDDED_ALIAS if self._model == EMBEDDED_ALIAS else place.resolve().name
        return Identity("local", name, f"{files_fingerprint(place)}/{self._dtype}")

    @property
    def requests_at_once(self) -> int:
        """How many requests are read ahead, to be sorted into batches."""
        return _LOOK_AHEAD * self._batch_size

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield responses batch by batch; at most four batches are read ahead.

        Raises:
            UserError: the model cannot be loaded, or a batch does not fit into the device's memory.
        """
        source = iter(requests)
        while ahead := list(islice(source, self.requests_at_once)):
            prompts = []
            for request in ahead:
                ids, failure = self._encoded(request)
                if failure:
                    yield Response(request, None, failure)
                else:
                    prompts.append((request, ids))
            for batch in _batches(prompts, self._batch_size):
                yield from self._answered(batch)

    def count_tokens(self, request: Request) -> int:
        """Return a request's length in the model's own tokens, 0 for one that it cannot read; loads the model."""
        return len(self._encoded(request)[0])

    @cached_property
    def _loaded(self) -> Student:
        return load_student(self._model, revision=self._revision, dtype=_DTYPES[self._dtype], device=str(self._device))

    @cached_property
    def _encoder(self) -> ConversationEncoder:
        return ConversationEncoder(self._loaded.tokenizer)

    @cached_property
    def _ends(self) -> list[int]:
        """The tokens that end an answer: a chat model may name them in either place."""
        named = self._loaded.model.generation_config.eos_token_id
        ends = [named] if isinstance(named, int) else list(named or [])
        own = self._loaded.tokenizer.eos_token_id
        return ends if own is None or own in ends else [*ends, own]

    def _encoded(self, request: Request) -> tuple[list[int], str]:
        """Return a request's tokens, and why they cannot be answered ("" where they can)."""
        try:
            for message in request.messages:
                message.content.encode()
        except UnicodeEncodeError:
            return [], "the request holds text that is no valid Unicode"
        ids = self._encoder.encode(request.messages)
        context = getattr(self._loaded.model.config.get_text_config(), "max_position_embeddings", None)
        if context is not None and len(ids) + request.sampling.max_tokens > context:
            return [], (
                f"a prompt of {len(ids)} tokens and an answer of up to {request.sampling.max_tokens} "
                f"(teacher_max_tokens) are more than the {context} that the model reads"
            )
        return ids, ""

    def _answered(self, batch: Sequence[Prompt]) -> Iterator[Response]:
        start = time.perf_counter()
        try:
            answers = self._generated(batch)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"teacher_batch_size: the memory of {self._device} does not hold {self._batch_size} requests at once; "
                "set a smaller one"
            ) from error
        share = (time.perf_counter() - start) / len(batch)
        for (request, prompt), ids in zip(batch, answers, strict=True):
            usage = Usage(len(prompt), len(ids))
            text: Any = self._loaded.tokenizer.decode(ids, skip_special_tokens=True)
            failure = ""
            if not ids or ids[-1] not in self._ends:
                failure = "the answer was cut off at teacher_max_tokens"
            elif not text.strip():
                failure = "the answer holds no text"
            yield Response(request, None if failure else text, failure, usage, share)

    @torch.inference_mode()
    def _generated(self, batch: Sequence[Prompt]) -> list[list[int]]:
        """Return the tokens of each answer, its end included."""
        width, pad = max(len(ids) for _, ids in batch), self._loaded.tokenizer.pad_token_id
        padded = torch.tensor([[pad] * (width - len(ids)) + ids for _, ids in batch], device=self._device)
        mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for _, ids in batch], device=self._device)
        samplings = [request.sampling for request, _ in batch]
        # Of the key the first 63 bits: it tells seed, sample and conversation apart.
        seeds = [int(request_key(self.identity, request)[:16], 16) >> 1 for request, _ in batch]
        noise = GumbelNoise([sampling.temperature for sampling in samplings], seeds)
        model: Any = self._loaded.model
        generated = model.generate(
            input_ids=padded,
            attention_mask=mask,
            generation_config=GenerationConfig(
                do_sample=False,
                max_new_tokens=samplings[0].max_tokens,
                pad_token_id=pad,
                eos_token_id=self._ends or None,
            ),
            logits_processor=LogitsProcessorList([noise]),
        )
        return [self._to_end(row) for row in generated[:, width:].tolist()]

    def _to_end(self, ids: list[int]) -> list[int]:
        ends = [place for place, token in enumerate(ids) if token in self._ends]
        return ids[: ends[0] + 1] if ends else ids


def _batches(prompts: list[Prompt], size: int) -> Iterator[list[Prompt]]:
    """Batches of one longest answer each, of prompts of about the same length."""
    prompts = sorted(prompts, key=lambda prompt: (prompt[0].sampling.max_tokens, len(prompt[1])))
    for _, alike in groupby(prompts, key=lambda prompt: prompt[0].sampling.max_tokens):
        while batch := list(islice(alike, size)):
            yield batch
