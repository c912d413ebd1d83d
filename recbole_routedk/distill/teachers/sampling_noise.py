"""Sampling in which every answer has a random generator of its own, so that none depends on its batch mates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor


class GumbelNoise(LogitsProcessor):
    """Adds temperature * Gumbel noise to the logits, row by row; the argmax of the sum is a sample of the softmax.

    A row with temperature 0 stays as it is: greedy.
    """

    def __init__(self, temperatures: Sequence[float], seeds: Sequence[int]) -> None:
        self._temperatures = temperatures
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Return noisy scores [rows, vocabulary]; the noise is drawn on the CPU, the same on every device."""
        noisy = scores.clone()
        for row, (temperature, generator) in enumerate(zip(self._temperatures, self._generators, strict=True)):
            if temperature > 0:
                noise = torch.empty(scores.shape[-1], dtype=torch.float32).exponential_(generator=generator).log_()
                noisy[row] -= temperature * noise.to(scores.device, scores.dtype)
        return noisy  # type: ignore[return-value]
