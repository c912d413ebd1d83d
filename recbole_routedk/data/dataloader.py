"""A RecBole data loader that yields sessions, one a row."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from recbole.data.dataloader.abstract_dataloader import AbstractDataLoader
from recbole.data.interaction import Interaction

from recbole_routedk.data.dataset import BundleDataset

POOL_BATCHES = 16
"""Most batches that share a pool: sessions are sorted by length within a pool, so a batch pads little."""

LEAST_POOLS = 4
"""Pools of a small data set: with one pool, every epoch would have nearly the same batches."""


class BundleDataLoader(AbstractDataLoader):
    """Batches of session indices: ``Interaction({"session_index": LongTensor [B]})``.

    With ``shuffle`` the order of an epoch depends on ``config["seed"]`` and the epoch alone, so that
    a resumed run sees the batches that an unbroken one would have seen. Without, it is the file's.
    """

    def __init__(self, config: Any, dataset: BundleDataset, shuffle: bool = False) -> None:
        self.sample_size = len(dataset.labelled_sessions)
        self._lengths = [len(labelled.session) for labelled in dataset.labelled_sessions]
        self._epoch = 0
        # The stock class hands ``shuffle`` to torch, whose order cannot be resumed.
        super().__init__(config, dataset, sampler=None, shuffle=False)
        self.shuffle = shuffle

    @property
    def bundle_dataset(self) -> BundleDataset:
        """The dataset, whatever RecBole's ``dataset`` attribute stands for at the moment."""
        return self._dataset

    def _init_batch_size_and_step(self) -> None:
        """Take the batch size of training; ``set_batch_size`` changes it for evaluation."""
        self.step = self._batch_size = self.config["train_batch_size"]

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted over the whole run, whose order the next iteration has."""
        self._epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.sample_size / self._batch_size)

    def __iter__(self) -> Iterator[Interaction]:
        for batch in self._batches():
            yield self.collate_fn(batch)

    def collate_fn(self, index: list[int]) -> Interaction:
        """Wrap session indices [B] as a RecBole interaction."""
        return Interaction({"session_index": torch.tensor(index, dtype=torch.int64)})

    def _batches(self) -> list[list[int]]:
        size = self._batch_size
        if not self.shuffle:
            return _chunks(list(range(self.sample_size)), size)
        generator = torch.Generator().manual_seed(self.config["seed"] * 1_000_003 + self._epoch)
        order = torch.randperm(self.sample_size, generator=generator).tolist()
        batches = []
        pool_batches = max(1, min(POOL_BATCHES, len(self) // LEAST_POOLS))
        for pool in _chunks(order, size * pool_batches):
            batches += _chunks(sorted(pool, key=self._lengths.__getitem__), size)
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def _chunks(values: list[int], size: int) -> list[list[int]]:
    return [values[start : start + size] for start in range(0, len(values), size)]
