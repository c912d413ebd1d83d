"""CLHE: a hierarchical encoder of items and bundles with contrastive losses (Ma et al. 2024, arXiv 2310.18770)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from recbole_routedk.data.session import LabelledSession, Session
from recbole_routedk.model.statistical.co_bundling import CoBundling, co_bundling
from recbole_routedk.model.statistical.completion import BundleCompletion, completion_cross_entropy, mean_inside
from recbole_routedk.model.statistical.item_batches import ItemBatch, Lesson, PartialBatch, item_batch
from recbole_routedk.model.statistical.title_space import TitleSpace, zeroed

_INITIAL_SCALE = 8.0  # of similarities in [-1, 1], so that their softmax can be sharp from the start
_COLLABORATIVE_SHARE = 0.3  # of the collaborative feature in an item, before training


class CLHE(BundleCompletion):
    """Completes bundles by the similarity of an item and a bundle, each fused from lower features by self-attention.

    Ma et al. 2024: self-attention fuses an item's content and collaborative features, a transformer its bundle's
    items; a contrastive loss over two augmented views of each item and one over two views of each bundle support the
    completion loss. Here

    - content is the title's vector; the original has images and text as well;
    - the collaborative feature is what the nearest training titles were bundled with (``co_bundling``), instead of a
      LightGCN over users' clicks: there are no users, and most items of test sessions were never seen. While
      training, an item's own session is left out of it;
    - both begin as principal components of titles, and the two encoders correct them, instead of learning all of it
      from a few hundred sessions;
    - the missing items are told from the other items of the session and an end, instead of from all items;
    - views of an item differ by dropped and noisy features, those of a bundle by dropped items (the original's
      feature dropout, feature noise and item dropout);
    - completion goes on to further bundles of the session among the items left (``growing``), starting from the pair
      of items that choose each other; how good pairs and items must be is chosen on the valid sessions.
    """

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        width, shared = config["width"], config["title_width"]
        self.titles = TitleSpace(self.content.width, shared, config["title_dropout"])
        self.partners = TitleSpace(self.content.width, shared, config["title_dropout"])
        self.inputs = nn.ModuleList(nn.Linear(shared, width) for _ in ("content", "collaborative"))
        self.item_encoder = self._encoder()
        self.bundle_encoder = self._encoder()
        self.item_correction = zeroed(nn.Linear(width, shared))
        self.bundle_correction = zeroed(nn.Linear(width, shared))
        self.end = zeroed(nn.Linear(width, 1))
        self.share = nn.Parameter(torch.tensor(_COLLABORATIVE_SHARE))
        self.log_scale = nn.Parameter(torch.tensor(_INITIAL_SCALE).log())
        self._co_bundling: CoBundling | None = None

    def _encoder(self) -> nn.TransformerEncoder:
        width, config = self.config["width"], self.config
        layer = nn.TransformerEncoderLayer(
            width,
            config["heads"],
            2 * width,
            config["dropout"],
            "gelu",
            batch_first=True,
            norm_first=True,
        )
        return nn.TransformerEncoder(layer, config["layers"], nn.LayerNorm(width), enable_nested_tensor=False)

    def prepare(self, train: Sequence[LabelledSession]) -> None:
        """Start both features from the principal components of the training titles."""
        for space in (self.titles, self.partners):
            space.fit(self._titles_of([labelled.session for labelled in train]))

    def checkpoint_buffers(self) -> tuple[str, ...]:
        """The mean title, of either feature."""
        return ("titles.mean", "partners.mean")

    def read(self, sessions: Sequence[Session]) -> ItemBatch:
        """Return the items of any sessions: content, then collaborative features."""
        items = self._titles_of(sessions)
        return self._described(items, self._bundled().features(items, self.config["neighbours"]))

    def read_training(self) -> ItemBatch:
        """Return the items of the training sessions, described without their own bundles."""
        items = self._titles_of([labelled.session for labelled in self.dataset.labelled_sessions])
        own = torch.arange(len(items.present), device=items.present.device)
        return self._described(items, self._bundled().features(items, self.config["neighbours"], own))

    def _described(self, items: ItemBatch, features: Tensor) -> ItemBatch:
        return replace(items, vectors=torch.cat([items.vectors, features], -1))

    def _titles_of(self, sessions: Sequence[Session]) -> ItemBatch:
        return item_batch(sessions, self.content, self.device)

    def _bundled(self) -> CoBundling:
        if self._co_bundling is None:
            train = self.dataset.labelled_sessions
            self._co_bundling = co_bundling(self._titles_of([labelled.session for labelled in train]), train)
        return self._co_bundling

    def encode(self, batch: ItemBatch) -> tuple[Tensor, Tensor]:
        """Return the items of S sessions as unit vectors to compare [S, n, shared] and fused [S, n, width]."""
        content, collaborative = batch.vectors.split(self.content.width, -1)
        features = (self.titles(content), self.partners(collaborative))
        # Unit vectors have small numbers: this brings them to about 1.
        tokens = [into(each * each.shape[-1] ** 0.5) for into, each in zip(self.inputs, features, strict=True)]
        stacked = torch.stack(tokens, -2)  # [S, n, 2, width]
        fused = self.item_encoder(stacked.flatten(0, 1)).mean(-2).view_as(tokens[0])
        items = features[0] + self.share * features[1] + self.item_correction(fused)
        return normalize(items, dim=-1), fused

    def join_logits(self, encoded: Any, partials: PartialBatch) -> Tensor:
        """Return by how much each item is likelier than the end of the bundle, in logits."""
        items, fused = (each[partials.session] for each in encoded)
        bundle, end = self._bundle(items, fused, partials.inside)
        similarity = (bundle.unsqueeze(1) * items).sum(-1)
        logits: Tensor = similarity * self.log_scale.exp() - end
        return logits

    def _bundle(self, items: Tensor, fused: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """Return each partial bundle's vector [P, shared] and the logit of its end [P, 1]."""
        states = self.bundle_encoder(fused, src_key_padding_mask=~inside)
        state = mean_inside(states, inside)
        return mean_inside(items, inside) + self.bundle_correction(state), self.end(state)

    def completion_loss(self, batch: ItemBatch, examples: Lesson) -> Tensor:
        """Cross-entropy of completion, and the two contrastive losses by their weights."""
        encoded, partials = self.encode(batch), examples.partials
        logits = self.join_logits(encoded, partials)
        loss = completion_cross_entropy(logits, batch.present[partials.session], examples)
        view = self.encode(self._noisy(batch))
        items = self._contrast(encoded[0][batch.present], view[0][batch.present])
        bundles = self._contrast(
            self._bundle_view(encoded, partials, partials.inside),
            self._bundle_view(view, partials, self._dropped(partials.inside)),
        )
        return loss + self.config["item_contrast"] * items + self.config["bundle_contrast"] * bundles

    def _noisy(self, batch: ItemBatch) -> ItemBatch:
        """Add noise whose length is ``feature_noise`` that of a title's vector."""
        noise = torch.randn_like(batch.vectors) * self.config["feature_noise"] / self.content.width**0.5
        return replace(batch, vectors=batch.vectors + noise)

    def _dropped(self, inside: Tensor) -> Tensor:
        """Drop items of partial bundles; one that would lose all keeps all."""
        kept = inside & (torch.rand(inside.shape, device=inside.device) >= self.config["item_dropout"])
        return torch.where(kept.any(1, keepdim=True), kept, inside)

    def _bundle_view(self, encoded: tuple[Tensor, Tensor], partials: PartialBatch, inside: Tensor) -> Tensor:
        items, fused = (each[partials.session] for each in encoded)
        several = partials.inside.sum(1) > 1  # a single item is contrasted as an item
        bundle, _ = self._bundle(items[several], fused[several], inside[several])
        return normalize(bundle, dim=-1)

    def _contrast(self, one: Tensor, other: Tensor) -> Tensor:
        return info_nce(one, other, self.config["contrast_temperature"])


def info_nce(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding each vector's other view among all of them; unit vectors [N, width], 0 for none."""
    if not len(one):
        return one.sum()
    return cross_entropy(one @ other.T / temperature, torch.arange(len(one), device=one.device))
