"""The sentence encoder, taught by training sessions which titles are bundled together.

A general encoder puts titles close that say alike things. Its upper layers are trained here, so that the cosine of two
titles of one session says whether one bundle holds both: what the encoder has read elsewhere about words and things
is bent to this shop's bundles. What the sessions of a fold are told comes from an encoder that was trained without it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from recbole_routedk.checkpoint import write_tensors
from recbole_routedk.distill.encoder import encoder_version
from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.distill.statistical import title_head
from recbole_routedk.distill.statistical.pairs import Flags, Ints, PairTable
from recbole_routedk.distill.statistical.title_head import LowerEncoder, TitleHead, split_encoder
from recbole_routedk.errors import UserError
from recbole_routedk.schedule import rate_factor

_READ_AT_ONCE = 64
_COSINE_RATE = 0.05  # learning rate of scale and bias
_WARMUP = 0.1


@dataclass(frozen=True)
class TitleTuning:
    """How the encoder is trained."""

    tokens: int = 32  # of a title
    layers: int = 3  # the uppermost, of six
    epochs: int = 2
    learning_rate: float = 1e-4
    batch: int = 16  # sessions
    least_sessions: int = 200  # from fewer nothing is learnt
    most_sessions: int = 2_000  # more are thinned evenly


@dataclass(frozen=True)
class LabelledPairs:
    """Pairs of titles within sessions, whether one bundle holds both [P], and the fold of each session [S]."""

    table: PairTable
    together: Flags
    folds: Ints

    @property
    def pair_fold(self) -> Ints:
        """The fold of each pair, [P]."""
        return self.folds[self.table.pair_session]


class TunedTitles:
    """Logits of pairs of titles from an encoder that was trained on the labelled pairs of training sessions."""

    def __init__(self, tuning: TitleTuning, seed: int, store: Path | None = None) -> None:
        """In the folder ``store`` what was learnt is kept, and taken from where the same was learnt before."""
        self._tuning, self._seed, self._store = tuning, seed, store
        self._head: TitleHead | None = None

    def learns_from(self, sessions: int) -> bool:
        """Whether so many training sessions are enough."""
        return sessions >= self._tuning.least_sessions

    def fit(self, labelled: LabelledPairs, learnt: Callable[[], object] = lambda: None) -> Floats:
        """Train without each fold, and on all; return the out-of-fold logits of the pairs, [P, 0 or 1].

        ``learnt`` is called after each of these trainings. There is no column where sessions are too few.
        """
        sessions, tuning = len(labelled.folds), self._tuning
        if not self.learns_from(sessions):
            return np.zeros((len(labelled.together), 0))
        chosen = np.arange(sessions)[:: -(-sessions // tuning.most_sessions)]
        self._lower, untrained = split_encoder(tuning.layers, tuning.tokens)
        logits = np.zeros(len(labelled.together))
        training: _Training | None = None
        with _one_thread():
            for fold in (*np.unique(labelled.folds).tolist(), None):
                head, file = deepcopy(untrained), self._file(labelled, fold)
                if not _restored(head, file):
                    training = training or _Training(tuning, self._seed, labelled, self._lower, chosen)
                    training.train(head, chosen if fold is None else chosen[labelled.folds[chosen] != fold])
                    _kept(head, file)
                if fold is None:
                    self._head = head
                else:
                    rows = np.flatnonzero(labelled.pair_fold == fold)
                    logits[rows] = self._logits(labelled.table, rows, head)
                learnt()
        return logits[:, None]

    def transform(self, table: PairTable) -> Floats:
        """Return the logits of all pairs of other sessions, [P, 0 or 1]."""
        rows = np.arange(len(table.left))
        return np.zeros((len(rows), 0)) if self._head is None else self._logits(table, rows, self._head)[:, None]

    @torch.no_grad()
    def _logits(self, table: PairTable, rows: Ints, head: TitleHead) -> Floats:
        items, places = np.unique(np.concatenate([table.left[rows], table.right[rows]]), return_inverse=True)
        titles = [table.titles[item] for item in items]
        known = {title: place for place, title in enumerate(_by_length(titles))}
        parts = [head(*self._lower.read(read)) for read in _portions(list(known), _READ_AT_ONCE)]
        vectors = torch.cat(parts)[[known[title] for title in titles]] if parts else torch.zeros(0, 1)
        left, right = places[: len(rows)], places[len(rows) :]
        return np.asarray(head.logits(vectors[left], vectors[right]).numpy(), dtype=np.float64)

    def _file(self, labelled: LabelledPairs, fold: int | None) -> Path | None:
        if self._store is None:
            return None
        table, settings = labelled.table, (encoder_version(), _method(), asdict(self._tuning), self._seed, fold)
        labels = (labelled.together.tolist(), labelled.folds.tolist(), table.lengths().tolist())
        digest = hashlib.sha256(json.dumps([settings, table.titles, labels]).encode()).hexdigest()
        return self._store / f"tuned-{digest[:16]}.safetensors"


class _Training:
    """Trains heads on sessions, whose lower states are read once."""

    def __init__(
        self, tuning: TitleTuning, seed: int, labelled: LabelledPairs, lower: LowerEncoder, sessions: Ints
    ) -> None:
        self._tuning, self._seed = tuning, seed
        self._table = labelled.table
        lengths = self._table.lengths()
        pairs = np.concatenate([[0], np.cumsum(lengths * (lengths - 1) // 2)])
        self._pairs = {
            own: torch.from_numpy(labelled.together[pairs[own] : pairs[own + 1]].astype(np.float32))
            for own in sessions.tolist()
        }
        self._states: dict[str, Tensor] = {}
        for read in _portions(_by_length(title for own in self._pairs for title in self._titles(own)), _READ_AT_ONCE):
            states, present = lower.read(read)
            self._states |= {
                title: own[: int(count)].clone() for title, own, count in zip(read, states, present.sum(1), strict=True)
            }

    def _titles(self, session: int) -> list[str]:
        first = self._table.first_item
        return self._table.titles[first[session] : first[session + 1]]

    def train(self, head: TitleHead, sessions: Ints) -> None:
        """Train ``head`` on the pairs of ``sessions``; no random choice outside depends on it, nor it on any."""
        tuning = self._tuning
        cosine = [head.scale, head.bias]
        groups = [
            {"params": list(head.layers.parameters()), "lr": tuning.learning_rate},
            {"params": cosine, "lr": _COSINE_RATE},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
        order = np.random.default_rng(self._seed)
        steps = tuning.epochs * -(-len(sessions) // tuning.batch)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate_factor("linear", _WARMUP, min(step, steps - 1), steps)
        )
        head.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            for _ in range(tuning.epochs):
                for batch in _portions(order.permutation(sessions).tolist(), tuning.batch):
                    optimizer.zero_grad()
                    self._loss(head, batch).backward()
                    nn.utils.clip_grad_norm_(head.parameters(), 1.0)
                    optimizer.step()
                    schedule.step()
        head.eval()

    def _loss(self, head: TitleHead, sessions: Sequence[int]) -> Tensor:
        """Mean over sessions' pairs; a session weighs as the square root of their number."""
        titles = [title for session in sessions for title in self._titles(session)]
        states = nn.utils.rnn.pad_sequence([self._states[title] for title in titles], batch_first=True)
        counts = torch.tensor([len(self._states[title]) for title in titles])
        vectors = head(states, torch.arange(states.shape[1]) < counts[:, None])
        losses, weights, start = [], [], 0
        for session in sessions:
            together = self._pairs[session]
            count = len(self._titles(session))
            left, right = torch.triu_indices(count, count, 1) + start
            weight = max(1, len(together)) ** -0.5
            logits = head.logits(vectors[left], vectors[right])
            losses.append(binary_cross_entropy_with_logits(logits, together, reduction="sum") * weight)
            weights.append(len(together) * weight)
            start += count
        return torch.stack(losses).sum() / max(1.0, sum(weights))


@cache
def _method() -> str:
    """A digest of the code that trains, so that nothing is taken for what a later state of it would learn."""
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in (__file__, title_head.__file__))).hexdigest()


def _by_length(titles: Iterable[str]) -> list[str]:
    """Return each title once; neighbours are of like length, so that little is padded."""
    return sorted(set(titles), key=lambda title: (len(title), title))


def _portions(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _restored(head: TitleHead, file: Path | None) -> bool:
    """Load what was learnt before, if it is there; a damaged file is as good as none."""
    if file is None or not file.is_file():
        return False
    try:
        head.load_state_dict(load_file(file))
    except (OSError, SafetensorError, RuntimeError):
        return False
    return True


def _kept(head: TitleHead, file: Path | None) -> None:
    """Keep what was learnt; where nothing can be kept, it is learnt again the next time."""
    if file is None:
        return
    with suppress(UserError):
        write_tensors(file, head.state_dict())


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums of several threads differ in their last bits, which training would make large."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
