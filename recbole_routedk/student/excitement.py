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


class Excitement:
    """Listens to the fused layers while a prefix is read."""

    def __init__(self, fused: Mapping[str, FusedExpertLinear], layers: int) -> None:
        self._directions = {name: prototypes(layer) for name, layer in fused.items()}
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
