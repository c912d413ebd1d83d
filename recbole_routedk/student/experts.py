"""Several LoRA experts fused into one low-rank update whose rows are gated (RouteDK, dynamic fusion).

For experts k with A_k [r, in], B_k [out, r] and gates g_k the mixture sum_k g_k B_k A_k x equals
B_cat (g * (A_cat x)) with A_cat [E*r, in] and B_cat [out, E*r]: two matrix products whatever the number of
experts, so the mixture costs what one LoRA of rank E*r costs, in training and in decoding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D


class GateBus:
    """Carries the gates of the current batch to every fused layer of one student.

    Kept outside the layers' arguments because transformers' decoder layers have no place for them.
    """

    def __init__(self, experts: Sequence[str], rank: int, scaling: float, layers: int = 1) -> None:
        """``layers`` is the number of decoder layers with experts."""
        self.experts = tuple(experts)
        self.layers = layers
        self._rank = rank
        self._scaling = scaling
        self._rows: Tensor | None = None

    def rows(self, layer: int) -> Tensor | None:
        """Scaled gates of a decoder layer, one column a rank: [batch, 1, E*r]; None switches all experts off."""
        if self._rows is None or self._rows.dim() == 3:
            return self._rows
        return self._rows[:, layer]

    def set(self, gates: Tensor | None) -> None:
        """Set the gates that hold until the next call: [batch, E] for all layers, [batch, layers, E], or None for off.

        Raises:
            ValueError: the gates do not fit the experts or the layers.
        """
        if gates is None:
            self._rows = None
            return
        if gates.shape[1:] not in ((len(self.experts),), (self.layers, len(self.experts))):
            raise ValueError(
                f"gates of shape {tuple(gates.shape)} do not fit {len(self.experts)} experts in {self.layers} layers"
            )
        self._rows = (gates * self._scaling).repeat_interleave(self._rank, dim=-1).unsqueeze(-2)


class FusedExpertLinear(nn.Module):
    """A frozen linear layer plus the gated low-rank updates of all experts (input and output: [batch, T, *])."""

    def __init__(self, base: nn.Linear | Conv1D, bus: GateBus, rank: int, layer: int = 0) -> None:
        """``layer`` counts the decoder layers with experts from 0: the one that this belongs to."""
        super().__init__()
        self.base = base
        self.rank = rank
        self.layer = layer
        self._bus = bus
        width = rank * len(bus.experts)
        # GPT-2's Conv1D is a linear layer whose weight is [in, out].
        inputs, outputs = base.weight.shape if isinstance(base, Conv1D) else reversed(base.weight.shape)
        # The steps of training are too small for a half precision of the student.
        precise = torch.promote_types(base.weight.dtype, torch.float32)
        self.lora_a = nn.Parameter(base.weight.new_empty(width, inputs, dtype=precise))
        self.lora_b = nn.Parameter(base.weight.new_zeros(outputs, width, dtype=precise))
        self._cast: dict[str, tuple[tuple[int, int], Tensor]] = {}

    def forward(self, inputs: Tensor) -> Tensor:
        output = self.base(inputs)
        rows = self._bus.rows(self.layer)
        if rows is None:
            return output
        hidden = functional.linear(inputs, self._as("lora_a", inputs)) * rows
        return output + functional.linear(hidden, self._as("lora_b", inputs))

    def _as(self, name: str, like: Tensor) -> Tensor:
        """Return a weight in the type of ``like``; where it does not learn it is cast once, not for every token."""
        weight: Tensor = getattr(self, name)
        if weight.dtype == like.dtype:
            return weight
        if torch.is_grad_enabled() and weight.requires_grad:
            self._cast.clear()  # the step that follows may be a fused one, which raises no version
            return weight.to(like.dtype)
        now = (weight._version, weight.data_ptr())
        made, cast = self._cast.get(name, ((-1, -1), weight))
        if made != now or cast.dtype != like.dtype:
            cast = weight.detach().to(like.dtype)
            self._cast[name] = (now, cast)
        return cast

    def expert_slice(self, index: int) -> slice:
        """Return the columns of ``lora_b`` (rows of ``lora_a``) that belong to expert ``index``."""
        return slice(index * self.rank, (index + 1) * self.rank)

    def expert_weights(self, index: int) -> tuple[Tensor, Tensor]:
        """Return views of expert ``index``: A [r, in] and B [out, r]."""
        part = self.expert_slice(index)
        return self.lora_a[part], self.lora_b[:, part]

    @torch.no_grad()
    def load_expert(self, index: int, weight_a: Tensor, weight_b: Tensor) -> None:
        """Copy A [r, in] and B [out, r] into expert ``index``."""
        part = self.expert_slice(index)
        self.lora_a[part].copy_(weight_a)
        self.lora_b[:, part].copy_(weight_b)
