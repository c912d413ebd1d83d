"""Sessions as padded tensors: the vectors of their items, partial bundles of them, and what may join those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from numpy.random import Generator
from torch import Tensor

from recbole_routedk.data.session import Bundle, LabelledSession, Session
from recbole_routedk.model.content import Content
from recbole_routedk.model.statistical.growing import Partial
from recbole_routedk.model.statistical.session_tensors import gold_rows, item_vectors, padded, present_flags


@dataclass(frozen=True)
class ItemBatch:
    """The items of S sessions: ``vectors`` [S, n, width], zero where ``present`` [S, n] is false."""

    vectors: Tensor
    present: Tensor

    def rows(self, index: Tensor) -> ItemBatch:
        """Return the sessions at ``index``, in that order, without columns that are empty in all of them."""
        present = self.present[index]
        longest = int(present.sum(1).max()) if len(index) else 0
        return ItemBatch(self.vectors[index, :longest], present[:, :longest])


def item_batch(sessions: Sequence[Session], content: Content, device: torch.device) -> ItemBatch:
    """Read the titles of the sessions."""
    vectors = item_vectors(content, sessions)
    whole = padded(vectors) if vectors else torch.zeros(0, 0, content.width)
    return ItemBatch(whole.to(device), present_flags([len(session) for session in sessions]).to(device))


@dataclass(frozen=True)
class PartialBatch:
    """P partial bundles: ``session`` [P] is the row of each one's session, ``inside`` [P, n] marks its items."""

    session: Tensor
    inside: Tensor


@dataclass(frozen=True)
class Lesson:
    """Partial bundles of training sessions and which items may join each: ``joins`` [P, n], in a row none or some."""

    partials: PartialBatch
    joins: Tensor


def partial_batch(partials: Sequence[Partial], width: int, device: torch.device) -> PartialBatch:
    """Lay partial bundles out for sessions padded to ``width`` items."""
    session = torch.tensor([row for row, _ in partials], dtype=torch.int64, device=device)
    return PartialBatch(session, gold_rows(width, [bundle for _, bundle in partials]).to(device))


def thinned(batch: ItemBatch, share: float, generator: Generator) -> ItemBatch:
    """Leave out items of sessions at random, each with probability ``share``; two items of a session stay at least."""
    kept = torch.from_numpy(generator.random(batch.present.shape) >= share).to(batch.present.device) & batch.present
    enough = kept.sum(1, keepdim=True) > 1
    return replace(batch, present=torch.where(enough, kept, batch.present))


def lesson(sessions: Sequence[LabelledSession], present: Tensor, per_bundle: int, generator: Generator) -> Lesson:
    """Draw partial bundles of training sessions, of the items that are ``present`` [S, n], without repetition.

    Of each session every single item and, ``per_bundle`` times, some of the items of each bundle, from two to all.
    What joins is what shares a gold bundle with all of the partial one: nothing where that is complete.
    """
    partials: list[Partial] = []
    joins: list[Bundle] = []
    for row, (labelled, flags) in enumerate(zip(sessions, present.tolist(), strict=True)):
        items = frozenset(item for item, here in enumerate(flags) if here)
        bundles = [bundle & items for bundle in labelled.bundles]
        for partial in dict.fromkeys(_partials(items, bundles, per_bundle, generator)):
            if partial == items:
                continue  # there is nothing to choose from
            partials.append((row, partial))
            joins.append(frozenset().union(*(bundle for bundle in bundles if partial <= bundle)) - partial)
    width = present.shape[1]
    return Lesson(partial_batch(partials, width, present.device), gold_rows(width, joins).to(present.device))


def _partials(items: Bundle, bundles: Sequence[Bundle], per_bundle: int, generator: Generator) -> Iterator[Bundle]:
    yield from (frozenset((item,)) for item in sorted(items))
    for bundle in bundles:
        if len(bundle) > 1:
            for _ in range(per_bundle):
                size = int(generator.integers(2, len(bundle) + 1))
                yield frozenset(generator.choice(sorted(bundle), size, replace=False).tolist())
