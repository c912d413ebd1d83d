"""The upper layers of the sentence encoder, which can be trained, above the lower ones, which stay."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from recbole_routedk.distill.encoder import TITLE_CHARACTERS, SentenceEncoder

_SCALE, _BIAS = 8.0, -4.0  # of a cosine: logits that are about right before anything is learnt


class TitleHead(nn.Module):
    """Upper layers, mean over tokens, and the scale and bias that make a cosine of two titles a logit."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.scale = nn.Parameter(torch.tensor(_SCALE))
        self.bias = nn.Parameter(torch.tensor(_BIAS))

    def forward(self, states: Tensor, present: Tensor) -> Tensor:
        """Return unit vectors of titles [B, d], from lower states [B, T, d] and which tokens are theirs [B, T]."""
        hidden = torch.zeros(present.shape, dtype=states.dtype).masked_fill_(~present, torch.finfo(states.dtype).min)
        top = self.layers(states, attention_mask=hidden[:, None, None, :]).last_hidden_state
        weights = present.unsqueeze(-1).to(top.dtype)
        return normalize((top * weights).sum(1) / weights.sum(1), dim=-1)

    def logits(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the logit of each pair of unit vectors [P, d], [P]."""
        return (left * right).sum(-1) * self.scale + self.bias


@dataclass(frozen=True)
class LowerEncoder:
    """The tokenizer and the layers below a head."""

    tokenizer: Any
    model: nn.Module
    tokens: int

    @torch.no_grad()
    def read(self, titles: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return the lower states of titles [B, T, d] and which tokens are theirs [B, T], T at most ``tokens``."""
        short = [title[:TITLE_CHARACTERS] for title in titles]
        given = self.tokenizer(short, padding=True, truncation=True, max_length=self.tokens, return_tensors="pt")
        return self.model(**given).last_hidden_state, given["attention_mask"].bool()


def split_encoder(layers: int, tokens: int) -> tuple[LowerEncoder, TitleHead]:
    """Return the embedded sentence encoder below its ``layers`` uppermost layers, and a head of those.

    Raises UserError where its package is not installed.
    """
    tokenizer, whole = SentenceEncoder.load()
    lower, upper = deepcopy(whole), deepcopy(whole.encoder)
    lower.encoder.layer = lower.encoder.layer[:-layers]
    upper.layer = upper.layer[-layers:]
    return LowerEncoder(tokenizer, lower.eval(), tokens), TitleHead(upper).eval()
