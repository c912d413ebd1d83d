"""How much a text excites each expert: what its tokens give in the direction of the expert's largest gain (Arrow)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from recbole_routedk.student.experts import FusedExpertLinear


@torch.no_grad()
def prototypes(layer: FusedExpertLinear) -> Tensor:
    """Return for each expert the input direction of length 1 that its update B A enlarges most: [E, in]."""
    directions = []
    for expert in range(layer.lora_a.shape[0] // layer.rank):
        weight_a, weight_b = layer.expert_weights(expert)
        # The right singular vectors of B A are those of R A, where B = Q R: r rows instead of all outputs.
        reduced = torch.linalg.qr(weight_b.float(), mode="r").R @ weight_a.float()
        directions.append(torch.linalg.svd(reduced, full_matrices=False).Vh[0])
    return torch.stack(directions).to(layer.base.weight.dtype)


class Prototypes:
    """The prototypes of all fused layers, made anew only when an expert has changed: they take most of a second."""

    def __init__(self, fused: Mapping[str, FusedExpertLinear]) -> None:
        self._fused = fused
        self._made_of: list[tuple[object, ...]] = []
        self._directions: dict[str, Tensor] = {}

    def directions(self) -> dict[str, Tensor]:
        """Return the prototypes of each layer's experts by its name, [E, in] each."""
        now = [
            (layer.base.weight.dtype, *((each.data_ptr(), each._version) for each in (layer.lora_a, layer.lora_b)))
            for layer in self._fused.values()
        ]
        if now != self._made_of:
            self._directions = {name: prototypes(layer) for name, layer in self._fused.items()}
            self._made_of = now
        return self._directions


class Excitement:
    """Listens to the fused layers while a prefix is read."""

    def __init__(self, fused: Mapping[str, FusedExpertLinear], directions: Mapping[str, Tensor], layers: int) -> None:
        """``directions`` are the prototypes of each layer's experts by its name."""
        self._directions = directions
        self._fused = fused
        self._heard: list[list[Tensor]] = [[] for _ in range(layers)]

    @contextmanager
    def listening(self, mask: Tensor) -> Iterator[None]:
        """Within the block the layers' inputs [batch, T, in] are heard, where ``mask`` [batch, T] is one."""
        handles = [
            layer.register_forward_pre_hook(self._hook(layer, self._directions[name], mask))
            for name, layer in self._fused.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(
        self, layer: FusedExpertLinear, directions: Tensor, mask: Tensor
    ) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hear(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            tokens = inputs[0]
            gains = (tokens @ directions.T).abs()  # [batch, T, E]
            gains = gains.to(torch.promote_types(gains.dtype, torch.float32))  # halves cannot count to 257
            weight = mask.unsqueeze(-1).to(gains.dtype)
            gains = gains * weight
            self._heard[layer.layer].append(gains.sum(dim=1) / weight.sum(dim=1))

        return hear

    def measured(self) -> Tensor:
        """Return the mean over tokens and modules, for each decoder layer with experts: [batch, layers, E]."""
        return torch.stack([torch.stack(gains).mean(dim=0) for gains in self._heard], dim=1)
