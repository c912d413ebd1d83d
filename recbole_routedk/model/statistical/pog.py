"""POG: a bidirectional transformer that completes bundles (Chen et al. 2019, arXiv 1905.01866)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recbole_routedk.data.session import LabelledSession
from recbole_routedk.model.statistical.completion import BundleCompletion, completion_cross_entropy, mean_inside
from recbole_routedk.model.statistical.item_batches import ItemBatch, Lesson, PartialBatch
from recbole_routedk.model.statistical.title_space import TitleSpace, zeroed

_INITIAL_SCALE = 8.0  # of similarities in [-1, 1], so that their softmax can be sharp from the start


class POG(BundleCompletion):
    """Predicts the masked item of a bundle among the items of the session, without positions, item by item.

    Chen et al. 2019: a transformer encoder reads the user's clicked items, a decoder reads the bundle with one item
    masked and predicts it; neither knows positions, and generation adds one item at a time. Here

    - items are projected title vectors, since most items of test sessions were never seen;
    - there is no click history: the encoder reads the session instead (``session_context``; without it the decoder
      sees the partial bundle alone, as POG without personalisation);
    - the masked item is told from the other items of the session rather than from sampled ones of the whole shop,
      because that is what has to be decided. An end is one of the choices, so that a score is how much likelier an
      item is than the end of the bundle; partial bundles of all sizes are learnt from, not only those that lack one;
    - the decoder corrects the mean of the partial bundle's title vectors, instead of learning it from few sessions;
    - generation goes on to further bundles of the session among the items left (``growing``), starting from the pair
      of items that choose each other; how good pairs and items must be is chosen on the valid sessions.
    """

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        width, shared = config["width"], config["title_width"]
        self.titles = TitleSpace(self.content.width, shared, config["title_dropout"])
        self.inputs = nn.Linear(shared, width)
        self.mask = nn.Parameter(0.02 * torch.randn(width))
        shape: dict[str, Any] = {
            "d_model": width,
            "nhead": config["heads"],
            "dim_feedforward": 2 * width,
            "dropout": config["dropout"],
            "activation": "gelu",
            "batch_first": True,
            "norm_first": True,
        }
        layers = config["layers"]
        self.reader = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(**shape), layers, nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.decoder = (
            nn.TransformerDecoder(nn.TransformerDecoderLayer(**shape), layers, nn.LayerNorm(width))
            if config["session_context"]
            else None
        )
        self.query = zeroed(nn.Linear(width, shared))
        self.end = zeroed(nn.Linear(width, 1))
        self.log_scale = nn.Parameter(torch.tensor(_INITIAL_SCALE).log())

    def prepare(self, train: Sequence[LabelledSession]) -> None:
        """Start from the principal components of the training titles."""
        self.titles.fit(self.training_items())

    def checkpoint_buffers(self) -> tuple[str, ...]:
        """The mean title."""
        return ("titles.mean",)

    def encode(self, batch: ItemBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return of S sessions titles [S, n, shared], items and their context [S, n, width], presence [S, n]."""
        shared = self.titles(batch.vectors)
        # Unit vectors have small numbers: this brings them to about 1.
        items = self.inputs(shared * shared.shape[-1] ** 0.5)
        context = items if self.decoder is None else self.reader(items, src_key_padding_mask=~batch.present)
        return shared, items, context, batch.present

    def join_logits(self, encoded: Any, partials: PartialBatch) -> Tensor:
        """Return by how much each item is likelier than the end of the bundle, in logits."""
        shared, items, context, present = (each[partials.session] for each in encoded)
        inside = partials.inside
        masked = mean_inside(items, inside) + self.mask
        tokens = torch.cat([items, masked.unsqueeze(1)], 1)
        hidden = torch.cat([~inside, inside.new_zeros(len(inside), 1)], 1)
        if self.decoder is None:
            states = self.reader(tokens, src_key_padding_mask=hidden)
        else:
            states = self.decoder(tokens, context, tgt_key_padding_mask=hidden, memory_key_padding_mask=~present)
        predicted = states[:, -1]
        query = mean_inside(shared, inside) + self.query(predicted)
        similarity = (query.unsqueeze(1) * shared).sum(-1)
        logits: Tensor = similarity * self.log_scale.exp() - self.end(predicted)
        return logits

    def completion_loss(self, batch: ItemBatch, examples: Lesson) -> Tensor:
        """Cross-entropy of the items that complete each partial bundle, or of its end, among those outside."""
        logits = self.join_logits(self.encode(batch), examples.partials)
        return completion_cross_entropy(logits, batch.present[examples.partials.session], examples)
