"""StockBundler: any of RecBole's own recommenders, its item-item similarity clustered inside the session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array

from recbole_routedk.data.session import Generation, Item, LabelledSession, Session
from recbole_routedk.distill.encoder import Vectors
from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.errors import UserError
from recbole_routedk.model.bundle_generator import BundleGenerator
from recbole_routedk.model.content import Content, content_of
from recbole_routedk.model.statistical.clustering import Cut, CutChooser
from recbole_routedk.model.statistical.stock_models import stock_model_class, stock_settings
from recbole_routedk.model.statistical.stock_training import item_score_vectors
from recbole_routedk.model.statistical.title_cluster import title_similarities
from recbole_routedk.progress import progress_bar

WEIGHTS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_PASSED_ON = ("epochs", "learner", "learning_rate", "reproducibility", "seed", "train_batch_size", "weight_decay")


class StockBundler(BundleGenerator):
    """A stock RecBole recommender (``base_model``) made a bundle generator by clustering.

    Not in the papers. Training bundles (or whole training sessions, ``interactions``) are the recommender's users. It
    is trained by RecBole's own trainer with its own loss, for ``epochs``, without early stopping. An item's vector are
    its scores for all those users, which every recommender can give, and two items are as similar as these are by
    cosine. Recommenders score items they have seen, and most items of a new session are not among them: such an item
    borrows the mean vector of the ``neighbours`` seen items with the nearest titles, each weighted by the cosine to
    the power of ``neighbour_sharpness``. The similarity that is clustered, as TitleCluster does, is
    w * collaborative + (1 - w) * that of the titles; w, linkage and threshold are those with the best MatchedF1 on
    the valid sessions. With w = 0 this is TitleCluster. A checkpoint keeps the vectors, so nothing is trained again.
    """

    gradient_trained = False
    named_settings = ("base_model",)
    item_vectors: torch.Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self._base = stock_model_class(config["base_model"])
        self._base_settings = stock_settings(self._base.__name__, config["base_settings"])
        self._linkages = tuple(config["linkages"])
        self.register_buffer("item_vectors", torch.zeros(0, 0))
        self._content: Content | None = None
        self._seen: SeenItems | None = None
        self._weight, self._cut = 0.0, Cut()

    def fit_sessions(self, train: Sequence[LabelledSession], valid: Sequence[LabelledSession]) -> None:
        """Train the recommender, then choose blend and cut on the valid sessions (the training ones without any)."""
        self._content = content_of(self.config, train)
        groups = TrainingGroups.of(train, self.config["interactions"])
        settings = {key: self.config[key] for key in _PASSED_ON} | self._base_settings
        vectors = item_score_vectors(self._base, groups.groups, settings, torch.device(self.device))
        self.item_vectors = torch.from_numpy(_unit(vectors)).to(self.device)
        self._seen = self._seen_items(groups)
        self._choose(valid or train)

    def _choose(self, labelled: Sequence[LabelledSession]) -> None:
        sessions = [each.session for each in labelled]
        chooser = CutChooser([each.bundles for each in labelled])
        titles, borrowed = self._title_similarities(sessions), self._collaborative(sessions)
        best = -1.0
        with progress_bar(len(WEIGHTS), "StockBundler blends", "weight") as bar:
            for weight in WEIGHTS:
                cut, score = chooser.choose(_blended(weight, borrowed, titles), self._linkages)
                if score > best:
                    best, self._weight, self._cut = score, weight, cut
                bar.update()

    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """Answer each session with the clusters of its blended similarities."""
        similarities = self._title_similarities(sessions)
        if self._weight:
            similarities = _blended(self._weight, self._collaborative(sessions), similarities)
        return [Generation(self._cut.bundles(matrix)) for matrix in similarities]

    def checkpoint_buffers(self) -> tuple[str, ...]:
        """What the recommender has learnt."""
        return ("item_vectors",)

    def extra_state(self) -> dict[str, Any]:
        """Blend, cut and the size of the vectors; their items are those of the training sessions."""
        return {"weight": self._weight, "cut": asdict(self._cut), "size": list(self.item_vectors.shape)}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what ``extra_state`` gave, and make room for the vectors."""
        self._weight, self._cut, self._seen = float(state["weight"]), Cut(**state["cut"]), None
        self.item_vectors = torch.zeros(state["size"], device=self.device)

    def _title_similarities(self, sessions: Sequence[Session]) -> list[Floats]:
        return title_similarities(self._title_content(), sessions)

    def _collaborative(self, sessions: Sequence[Session]) -> list[Floats]:
        if self._seen is None:
            groups = TrainingGroups.of(self.dataset.labelled_sessions, self.config["interactions"])
            self._seen = self._seen_items(groups)
        vectors = self._title_content().vectors([item.text for session in sessions for item in session.items])
        matrices, start = [], 0
        for session in sessions:
            end = start + len(session)
            own = self._seen.vectors_for(session.items, vectors[start:end])
            matrices.append(own @ own.T)
            start = end
        return matrices

    def _title_content(self) -> Content:
        if self._content is None:
            self._content = content_of(self.config, self.dataset.labelled_sessions)
        return self._content

    def _seen_items(self, groups: TrainingGroups) -> SeenItems:
        titles = self._title_content().vectors([item.text for item in groups.items])
        rows = {item.item_id: row for row, item in enumerate(groups.items)}
        vectors = self.item_vectors.cpu().numpy()
        return SeenItems(rows, titles, vectors, self.config["neighbours"], self.config["neighbour_sharpness"])


@dataclass(frozen=True)
class TrainingGroups:
    """What a recommender learns from: groups of items, and the items that are in any, in order of appearance."""

    items: tuple[Item, ...]
    groups: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, train: Sequence[LabelledSession], kind: str) -> TrainingGroups:
        """The groups of ``kind`` "bundle" or "session"; UserError where there is none with two items."""
        rows: dict[str, int] = {}
        items: list[Item] = []
        groups = []
        for labelled in train:
            own = labelled.session.items
            for group in labelled.bundles if kind == "bundle" else [frozenset(range(len(own)))]:
                members = {own[position].item_id: own[position] for position in sorted(group)}
                for item_id, item in members.items():
                    if item_id not in rows:
                        rows[item_id] = len(items)
                        items.append(item)
                groups.append(tuple(rows[item_id] for item_id in members))
        if not any(len(group) > 1 for group in groups):
            raise UserError(f"interactions: no training {kind} has two items, so that there is nothing to learn")
        return cls(tuple(items), tuple(groups))


class SeenItems:
    """The items that a recommender knows, from which the others borrow.

    ``titles`` [S, W] and ``vectors`` [S, D] are of length 1 (or 0); ``rows`` says which row is whose, by item id.
    """

    def __init__(
        self, rows: Mapping[str, int], titles: Vectors, vectors: Vectors, neighbours: int, sharpness: float
    ) -> None:
        self._rows, self._titles, self._vectors = rows, titles, vectors.astype(float)
        self._neighbours, self._sharpness = min(neighbours, len(rows)), sharpness

    def vectors_for(self, items: Sequence[Item], titles: Vectors) -> Floats:
        """Return the vectors of any items, [n, D], of length 1 (or 0): their own, or else borrowed."""
        closeness = np.clip(titles @ self._titles.T, 0.0, 1.0).astype(float)
        nearest = np.argsort(-closeness, axis=1, kind="stable")[:, : self._neighbours]
        weights = np.take_along_axis(closeness, nearest, axis=1) ** self._sharpness
        for place, item in enumerate(items):
            if item.item_id in self._rows:
                nearest[place], weights[place] = self._rows[item.item_id], 0.0
                weights[place, 0] = 1.0
        starts = np.arange(len(items) + 1) * self._neighbours
        shares = csr_array((weights.ravel(), nearest.ravel(), starts), shape=closeness.shape)
        return _unit(shares @ self._vectors)


def _blended(weight: float, borrowed: Sequence[Floats], titles: Sequence[Floats]) -> list[Floats]:
    return [weight * one + (1 - weight) * other for one, other in zip(borrowed, titles, strict=True)]


def _unit(vectors: Any) -> Any:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-9)
