"""The student with its experts: prefills prompts, routes, and scores answer tokens."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache, PreTrainedModel

from recbole_routedk.errors import UserError
from recbole_routedk.student.adapters import LoraSettings, fuse_experts
from recbole_routedk.student.backbone import Student
from recbole_routedk.student.excitement import Excitement, Prototypes
from recbole_routedk.student.head import Head
from recbole_routedk.student.probe import looking_at, probe_ids

IGNORED = -100
"""Target of a position that takes no part in the loss."""


@dataclass
class Prefill:
    """What the student knows after reading some tokens of each row.

    ``cache`` holds keys and values, ``mask`` [batch, T] is one where a token is real, ``summary``
    [batch, hidden] is the mean of the final hidden states of the prefix, ``excitement`` [batch, layers, E] how much
    the prefix excites each expert (only where the student listens for that).
    """

    cache: DynamicCache
    mask: Tensor
    summary: Tensor
    excitement: Tensor | None = None

    def repeat(self, times: int) -> Prefill:
        """Return a copy in which every row stands ``times`` times in a row; the original is left as it is."""
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(times)
        rows = torch.arange(len(self.mask), device=self.mask.device).repeat_interleave(times)
        return self._of_rows(cache, rows)

    def select(self, rows: Sequence[int]) -> Prefill:
        """Return the given rows, in that order and as often as they are named; the original is used up."""
        index = torch.tensor(rows, device=self.mask.device)
        self.cache.batch_select_indices(index)
        return self._of_rows(self.cache, index)

    def _of_rows(self, cache: DynamicCache, rows: Tensor) -> Prefill:
        excitement = None if self.excitement is None else self.excitement[rows]
        return Prefill(cache, self.mask[rows], self.summary[rows], excitement)


class RoutedStudent(nn.Module):
    """A frozen decoder-only model whose linear layers carry gated LoRA experts; without experts, the model as it is.

    The prefix of a prompt is read with all experts off, so one reading serves every view and expert; from
    the suffix on the experts act, weighted by the gates of the row: [batch, E], or [batch, layers, E] where each layer
    has gates of its own.
    """

    def __init__(self, student: Student, experts: Sequence[str], settings: LoraSettings) -> None:
        super().__init__()
        self.name = student.name
        self.settings = settings
        self.experts = tuple(experts)
        self.listens_for_experts = False
        self.bus, self.fused = fuse_experts(student.model, experts, settings)
        self._prototypes = Prototypes(self.fused)
        self.model = student.model
        self._decoder = student.model.get_decoder()
        self._places = "position_ids" in inspect.signature(self._decoder.forward).parameters
        self._head = Head(student.model)
        self._pad_id = int(student.tokenizer.pad_token_id)
        self._window = _attention_window(student.model)
        self._check_reading()

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states that ``Prefill.summary`` has."""
        return int(self._head.weight.shape[1])

    def expert_parameters(self) -> list[nn.Parameter]:
        """All experts' weights."""
        return [weight for layer in self.fused.values() for weight in (layer.lora_a, layer.lora_b)]

    def pad_left(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return token ids and mask, both [batch, T], with padding at the left."""
        longest = max(len(row) for row in rows)
        ids = [[self._pad_id] * (longest - len(row)) + list(row) for row in rows]
        mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
        return self._there(ids), self._there(mask)

    def _there(self, numbers: list[list[int]]) -> Tensor:
        """Return whole numbers as a tensor beside the model; the way to a GPU holds nothing up."""
        tensor, device = torch.tensor(numbers), self._head.weight.device
        return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)

    @torch.no_grad()
    def read_prefix(self, rows: Sequence[Sequence[int]]) -> Prefill:
        """Read the prefixes with all experts off."""
        ids, mask = self.pad_left(rows)
        self.bus.set(None)
        cache = DynamicCache()
        excitement = None
        if self.listens_for_experts:
            excitement = Excitement(self.fused, self._prototypes.directions(), self.bus.layers)
        with excitement.listening(mask) if excitement else nullcontext():
            hidden = self._run(ids, mask, cache)
        precise = hidden.to(torch.promote_types(hidden.dtype, torch.float32))  # halves cannot count to 257
        weight = mask.unsqueeze(-1).to(precise.dtype)
        summary = (precise * weight).sum(dim=1) / weight.sum(dim=1)
        return Prefill(cache, mask, summary, excitement.measured() if excitement else None)

    def extend(self, prefill: Prefill, ids: Tensor, mask: Tensor, gates: Tensor) -> Tensor:
        """Read more tokens [batch, T] with the experts gated; returns hidden states [batch, T, hidden].

        ``prefill`` is extended in place: its cache and mask then cover the new tokens too.
        """
        gates = gates.to(self._head.weight.dtype)
        lengths = mask.sum(dim=1)
        # Where distance is counted in places, padding between prefix and suffix would count too. What is to be
        # written later is taken to be shorter than what was read.
        if 2 * (prefill.mask.shape[1] + mask.shape[1]) > self._window and len(lengths.unique()) > 1:
            return self._extend_by_length(prefill, ids, lengths, gates)
        self.bus.set(gates)
        prefill.mask = torch.cat([prefill.mask, mask], dim=1)
        return self._run(ids, prefill.mask, prefill.cache)

    def _extend_by_length(self, prefill: Prefill, ids: Tensor, lengths: Tensor, gates: Tensor) -> Tensor:
        """Extend rows of the same length together; afterwards all padding is at the left of its row."""
        longest = ids.shape[1]
        order, parts, states = [], [], []
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero()[:, 0].tolist()
            part = prefill.repeat(1).select(rows)
            self.bus.set(gates[rows])
            part.mask = functional.pad(part.mask, (0, length), value=1)
            hidden = self._run(ids[rows, longest - length :], part.mask, part.cache)
            order += rows
            parts.append((part, longest - length))
            states.append(functional.pad(hidden, (0, 0, longest - length, 0)))
        back = torch.tensor(order, device=ids.device).argsort()
        prefill.mask = torch.cat([functional.pad(part.mask, (gap, 0)) for part, gap in parts])[back]
        for number, layer in enumerate(prefill.cache.layers):
            for name in ("keys", "values"):
                grown = [
                    functional.pad(getattr(part.cache.layers[number], name), (0, 0, gap, 0)) for part, gap in parts
                ]
                setattr(layer, name, torch.cat(grown)[back])
        return torch.cat(states)[back]

    def _run(self, ids: Tensor, mask: Tensor, cache: DynamicCache) -> Tensor:
        # Models without position ids (BLOOM) count the real tokens in the mask themselves.
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        places = {"position_ids": positions} if self._places else {}
        output = self._decoder(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **places)
        hidden: Tensor = output.last_hidden_state
        return hidden

    def logits(self, hidden: Tensor, alphabet: Tensor | None = None) -> Tensor:
        """Return the logits of ``hidden`` [..., hidden] over the vocabulary, or over the token ids in ``alphabet``."""
        return self._head(hidden, alphabet)

    def _check_reading(self) -> None:
        """Compare reading in steps, in a padded batch, with the model's own full pass of each row.

        Raises:
            UserError: they differ, as for models that ignore padding, positions or the cache.
        """
        with looking_at(self.model):
            if self._reads_as_its_own():
                return
            self._window = 0.0  # MPT: position is the place in the cache, whatever its size
            if self._reads_as_its_own():
                return
        raise UserError(
            f"student: {self.name!r} ({type(self.model).__name__}) answers otherwise when it is read in steps, in a "
            "padded batch, than on its own: it has no key-value cache or no token positions that we can set, as "
            "recurrent models; use a decoder-only transformer"
        )

    def _reads_as_its_own(self) -> bool:
        ids = probe_ids(self.model, 9).tolist()
        prefixes, suffixes = [ids[:1], ids[3:6]], [ids[1:3], ids[6:9]]
        gates = torch.full((2, len(self.experts)), 1.0 / max(1, len(self.experts)), device=self.model.device)
        ours = self.logits(self.extend(self.read_prefix(prefixes), *self.pad_left(suffixes), gates))
        self.bus.set(None)
        # Models take norms and positions in single precision, whatever their weights are in.
        precision = max(torch.finfo(ours.dtype).eps, torch.finfo(torch.float32).eps)
        for row, (prefix, suffix) in enumerate(zip(prefixes, suffixes, strict=True)):
            logits = self.model(input_ids=torch.tensor([prefix + suffix], device=ours.device)).logits
            own = logits[0, -len(suffix) :].to(ours.dtype)
            tolerance = precision**0.5 * float(own.abs().max())
            if not torch.allclose(ours[row, -len(suffix) :], own, rtol=0, atol=tolerance):
                return False
        return True

    def answer_loss(
        self,
        prefill: Prefill,
        suffixes: Sequence[Sequence[int]],
        answers: Sequence[Sequence[int]],
        gates: Tensor,
        weights: Sequence[Sequence[float]] | None = None,
    ) -> Tensor:
        """Return each row's mean negative log-likelihood a token of its answer, given its suffix: [batch].

        ``weights``, one a token, make it a weighted mean. Logits are computed only where there is a target.
        ``prefill`` is used up.
        """
        ids, mask = self.pad_left([[*suffix, *answer[:-1]] for suffix, answer in zip(suffixes, answers, strict=True)])
        longest = max(len(answer) for answer in answers)
        targets = self._there([[IGNORED] * (longest - len(answer)) + list(answer) for answer in answers])
        hidden = self.extend(prefill, ids, mask, gates)[:, -longest:]
        wanted = targets != IGNORED
        losses = functional.cross_entropy(self.logits(hidden[wanted]).float(), targets[wanted], reduction="none")
        rows = wanted.nonzero()[:, 0]
        # Targets are right-aligned, so that those of a row follow one another here too.
        weight = torch.ones_like(losses) if weights is None else losses.new_tensor([w for row in weights for w in row])
        total, divisor = (losses.new_zeros(len(answers)).index_add(0, rows, each) for each in (weight * losses, weight))
        return total / divisor


def _attention_window(model: PreTrainedModel) -> float:
    """Return how many places back a token sees in the narrowest layer."""
    config = model.config.get_text_config()
    sizes = [getattr(config, name, None) for name in ("sliding_window", "window_size")]
    return min((float(size) for size in sizes if size), default=math.inf)
