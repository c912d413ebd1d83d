"""The student with its experts: prefills prompts, routes, and scores answer tokens."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache

from recbole_routedk.errors import UserError
from recbole_routedk.student.adapters import LoraSettings, fuse_experts
from recbole_routedk.student.backbone import Student

_HEAD_SETTINGS = ("final_logit_softcapping", "logit_scale", "logits_scaling")
"""Settings by which transformers changes logits after the output layer (Gemma 2, Cohere, Granite)."""

IGNORED = -100
"""Target of a position that takes no part in the loss."""


@dataclass
class Prefill:
    """What the student knows after reading some tokens of each row.

    ``cache`` holds keys and values, ``mask`` [batch, T] is one where a token is real, ``summary``
    [batch, hidden] is the mean of the final hidden states of the prefix.
    """

    cache: DynamicCache
    mask: Tensor
    summary: Tensor

    def repeat(self, times: int) -> Prefill:
        """Return a copy in which every row stands ``times`` times in a row; the original is left as it is."""
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(times)
        return Prefill(cache, self.mask.repeat_interleave(times, dim=0), self.summary.repeat_interleave(times, dim=0))

    def select(self, rows: Sequence[int]) -> Prefill:
        """Return the given rows, in that order and as often as they are named; the original is used up."""
        index = torch.tensor(rows, device=self.mask.device)
        self.cache.batch_select_indices(index)
        return Prefill(self.cache, self.mask[index], self.summary[index])


class RoutedStudent(nn.Module):
    """A frozen decoder-only model whose linear layers carry gated LoRA experts.

    The prefix of a prompt is read with all experts off, so one reading serves every view and expert; from
    the suffix on the experts act, weighted by the gates [batch, E] of the row.
    """

    def __init__(self, student: Student, experts: Sequence[str], settings: LoraSettings) -> None:
        super().__init__()
        _check_head(student)
        self.name = student.name
        self.settings = settings
        self.experts = tuple(experts)
        self.bus, self.fused = fuse_experts(student.model, experts, settings)
        self.model = student.model
        self._decoder = student.model.get_decoder()
        self._head = student.model.get_output_embeddings()
        self._pad_id = int(student.tokenizer.pad_token_id)

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
        device = self._head.weight.device
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device)

    @torch.no_grad()
    def read_prefix(self, rows: Sequence[Sequence[int]]) -> Prefill:
        """Read the prefixes with all experts off."""
        ids, mask = self.pad_left(rows)
        self.bus.set(None)
        cache = DynamicCache()
        hidden = self._run(ids, mask, cache)
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        summary = (hidden * weight).sum(dim=1) / weight.sum(dim=1)
        return Prefill(cache, mask, summary)

    def extend(self, prefill: Prefill, ids: Tensor, mask: Tensor, gates: Tensor) -> Tensor:
        """Read more tokens [batch, T] with the experts gated; returns hidden states [batch, T, hidden].

        ``prefill`` is extended in place: its cache and mask then cover the new tokens too.
        """
        self.bus.set(gates.to(self._head.weight.dtype))
        prefill.mask = torch.cat([prefill.mask, mask], dim=1)
        return self._run(ids, prefill.mask, prefill.cache)

    def _run(self, ids: Tensor, mask: Tensor, cache: DynamicCache) -> Tensor:
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        output = self._decoder(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        )
        hidden: Tensor = output.last_hidden_state
        return hidden

    def logits(self, hidden: Tensor, alphabet: Tensor | None = None) -> Tensor:
        """Return the logits of ``hidden`` [..., hidden] over the vocabulary, or over the token ids in ``alphabet``."""
        weight = self._head.weight if alphabet is None else self._head.weight[alphabet]
        return functional.linear(hidden, weight)

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
        targets = torch.full((len(answers), longest), IGNORED, device=ids.device)
        for row, answer in enumerate(answers):
            targets[row, longest - len(answer) :] = torch.tensor(answer, device=ids.device)
        hidden = self.extend(prefill, ids, mask, gates)[:, -longest:]
        wanted = targets != IGNORED
        losses = functional.cross_entropy(self.logits(hidden[wanted]).float(), targets[wanted], reduction="none")
        rows = wanted.nonzero()[:, 0]
        # Targets are right-aligned, so that those of a row follow one another here too.
        weight = torch.ones_like(losses) if weights is None else losses.new_tensor([w for row in weights for w in row])
        total, divisor = (losses.new_zeros(len(answers)).index_add(0, rows, each) for each in (weight * losses, weight))
        return total / divisor


def _check_head(student: Student) -> None:
    """Refuse models whose logits are more than a product with the head's weights: we would score them wrongly."""
    config = student.model.config
    changed = [name for name in _HEAD_SETTINGS if getattr(config, name, None) not in (None, 1, 1.0)]
    if getattr(student.model.get_output_embeddings(), "bias", None) is not None:
        changed.append("a bias of the output layer")
    if changed:
        raise UserError(f"student: {student.name!r} has {', '.join(changed)}, which is not supported; use another")
