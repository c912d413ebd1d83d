"""RecBole's Dataset over our atomic files, which also holds the labelled sessions of its split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.utils import FeatureSource, FeatureType

from recbole_routedk.data.atomic import SPLITS, SplitSessions, join_categories, read_atomic
from recbole_routedk.data.session import Item, LabelledSession, Session, with_counted_bundles
from recbole_routedk.errors import UserError


class BundleDataset(Dataset):
    """Sessions as RecBole users, items with titles, and the gold bundles of one split.

    RecBole's own features (``inter_feat``, ``item_feat``, ``num``) stay usable. Gold bundles are kept
    out of them: RecBole shares its features between the splits, so test labels would reach training.
    ``labelled_sessions`` is empty until ``build``, which returns one dataset a split. The training sessions of the
    data sets of ``knowledge_from`` follow those of the training split, as "electronic:123". ``train_share`` below 1
    leaves a random part of them, in their order; a smaller share of the same seed lies within a larger one. With
    ``test_on``, the test split is that of another data set, named in the same way.
    """

    labelled_sessions: tuple[LabelledSession, ...] = ()

    def __init__(self, config: Any) -> None:
        if tuple(config["benchmark_filename"] or ()) != SPLITS:
            raise UserError(
                f"benchmark_filename is {config['benchmark_filename']}; sessions are split by file, "
                f"so it has to be {list(SPLITS)}"
            )
        fields = config["item_fields"]
        own = read_atomic(Path(config["data_path"]), config["dataset"], fields)
        pooled = _pooled(own, config["knowledge_folders"] or {}, fields)
        share = config["train_share"]
        drawn = _drawn(pooled, 1.0 if share is None else float(share), int(config["seed"]))
        self._by_split = _tested_on(drawn, config["test_on"], config["test_folder"], fields)
        super().__init__(config)

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The sessions of this split, without their labels."""
        return tuple(labelled.session for labelled in self.labelled_sessions)

    def fingerprint(self) -> str:
        """Return a digest of this split's sessions, titles and labels: a run is tied to what it was trained on."""
        content = [
            (
                labelled.session.session_id,
                [_content(item) for item in labelled.session.items],
                [sorted(bundle) for bundle in labelled.bundles],
                labelled.intents,
            )
            for labelled in self.labelled_sessions
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def build(self) -> list[BundleDataset]:
        """Return the train, valid and test datasets, redundant gold bundles dropped."""
        datasets: list[BundleDataset] = super().build()
        for name, dataset in zip(SPLITS, datasets, strict=True):
            dataset.labelled_sessions = tuple(map(with_counted_bundles, self._by_split.split(name)))
        for dataset in datasets:
            del dataset._by_split  # a split holds no label of another one
        return datasets

    def _load_data(self, token: str, dataset_path: str) -> None:
        """Fill RecBole's features from the sessions that are read already.

        The stock reader unquotes titles and turns titles such as "None" or "NA" into padding; one
        reader for features and labels cannot disagree with itself.
        """
        sizes, rows = [], []
        for name in SPLITS:
            sessions = [labelled.session for labelled in self._by_split.split(name)]
            part = [(s.session_id, item.item_id, float(place)) for s in sessions for place, item in enumerate(s.items)]
            sizes.append(len(part))
            rows += part
        self.file_size_list = sizes
        self.inter_feat = self._frame(
            rows,
            {
                self.uid_field: (FeatureType.TOKEN, FeatureSource.USER_ID),
                self.iid_field: (FeatureType.TOKEN, FeatureSource.ITEM_ID),
                "position": (FeatureType.FLOAT, FeatureSource.INTERACTION),
            },
        )
        items = {item.item_id: item for each in self._by_split.all() for item in each.session.items}
        self.item_feat = self._frame(
            [(item.item_id, item.title, join_categories(item.categories)) for item in items.values()],
            {
                self.iid_field: (FeatureType.TOKEN, FeatureSource.ITEM_ID),
                "title": (FeatureType.TOKEN, FeatureSource.ITEM),
                "categories": (FeatureType.TOKEN, FeatureSource.ITEM),
            },
        )
        self.user_feat = None

    def _set_alias(self, alias_name: str, default_value: list[str]) -> None:
        """Alias an id field to itself alone: the aliased fields of the bundle file are not loaded."""
        self.alias[alias_name] = np.array(default_value)

    def _frame(self, rows: list[tuple[Any, ...]], fields: dict[str, tuple[FeatureType, FeatureSource]]) -> pd.DataFrame:
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(fields)
        for field, (kind, source) in fields.items():
            self.field2type[field] = kind
            self.field2source[field] = source
            self.field2seqlen[field] = 1
        # Object columns: pandas 3 would infer its own string type, which RecBole's remapping cannot join.
        return pd.DataFrame(
            {
                field: np.array(column, dtype=np.float64 if kind is FeatureType.FLOAT else object)
                for (field, (kind, _)), column in zip(fields.items(), columns, strict=True)
            }
        )

    def _fill_nan(self) -> None:
        """Give the padding row its zeros: the stock version writes into copies under pandas 3."""
        for feat_name in self.feat_name_list:
            feat = getattr(self, feat_name)
            for field in list(feat):
                kind = np.int64 if self.field2type[field] == FeatureType.TOKEN else np.float64
                feat[field] = feat[field].fillna(0).to_numpy().astype(kind)

    def _dataframe_to_interaction(self, data: pd.DataFrame) -> Interaction:
        """Copy each column into a tensor: the stock version wraps pandas' read-only arrays."""
        kinds = {FeatureType.TOKEN: torch.int64, FeatureType.FLOAT: torch.float32}
        return Interaction(
            {field: torch.tensor(data[field].to_numpy(), dtype=kinds[self.field2type[field]]) for field in data}
        )


def _pooled(own: SplitSessions, folders: Mapping[str, str], item_fields: Sequence[str]) -> SplitSessions:
    """``own`` with the training sessions of other data sets after its training split; their other splits are left."""
    taken = {labelled.session.session_id for labelled in own.all()}
    train = list(own.train)
    for name, folder in folders.items():
        added = [_renamed(labelled, name) for labelled in read_atomic(Path(folder), name, item_fields).train]
        doubled = taken.intersection(labelled.session.session_id for labelled in added)
        if doubled:
            raise UserError(f"knowledge_from: {name} brings a second session {min(doubled)!r}; rename the first")
        train += added
    return SplitSessions(tuple(train), own.valid, own.test)


def _drawn(splits: SplitSessions, share: float, seed: int) -> SplitSessions:
    """The splits with a share of the training sessions, at least one; RecBole's own draw of numbers is left alone."""
    if share >= 1.0:
        return splits
    order = np.random.default_rng(seed).permutation(len(splits.train))
    kept = sorted(order[: max(1, round(share * len(order)))])
    return replace(splits, train=tuple(splits.train[place] for place in kept))


def _tested_on(
    splits: SplitSessions, name: str | None, folder: str | None, item_fields: Sequence[str]
) -> SplitSessions:
    if name is None or folder is None:
        return splits
    test = tuple(_renamed(labelled, name) for labelled in read_atomic(Path(folder), name, item_fields).test)
    return replace(splits, test=test)


def _renamed(labelled: LabelledSession, dataset: str) -> LabelledSession:
    """The session with the data set before its id and those of its items, which two data sets may share."""
    session = labelled.session
    items = tuple(replace(item, item_id=f"{dataset}:{item.item_id}") for item in session.items)
    return replace(labelled, session=Session(f"{dataset}:{session.session_id}", items))


def _content(item: Item) -> tuple[object, ...]:
    """What a digest is made of; fields came later, and leave digests without them as they were."""
    return item.item_id, item.title, item.categories, *([item.fields] if item.fields else ())
