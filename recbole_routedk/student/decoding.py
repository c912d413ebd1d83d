"""Writes answers: constrained to the grammar, greedy or sampled, many samples of a session from one prefill."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recbole_routedk.data.session import Bundle
from recbole_routedk.student.grammar import AnswerState
from recbole_routedk.student.routed_student import Prefill, RoutedStudent


@dataclass(frozen=True)
class Alphabet:
    """Token ids of the answer's symbols: labels by position, the separator and the end."""

    labels: Sequence[int]
    separator: int
    end: int

    def token(self, symbol: int, items: int) -> int:
        """Return the token id of a grammar symbol for a session of ``items`` items."""
        if symbol < items:
            return self.labels[symbol]
        return self.separator if symbol == items else self.end


@dataclass(frozen=True)
class SamplingSettings:
    """How answers are drawn. The first sample of a session is greedy, the others are drawn at ``temperature``."""

    samples: int
    temperature: float
    budget: int
    seed: int


def session_noise(seed: int, session_id: str, samples: int, steps: int, symbols: int) -> Tensor:
    """Return Gumbel noise [samples, steps, symbols] for a session with that many grammar symbols.

    Zero for the first sample, which is therefore greedy. The batch that a session is in has no part in it.
    """
    generator = np.random.default_rng([seed, zlib.crc32(session_id.encode("utf-8", "surrogatepass"))])
    noise = generator.gumbel(size=(samples, steps, symbols))
    noise[0] = 0.0
    return torch.from_numpy(noise)


@dataclass
class _Branch:
    """Samples of one session that have written the same symbols so far: they share one row of the batch."""

    session: int
    state: AnswerState
    samples: list[int]


@torch.no_grad()
def decode_constrained(
    student: RoutedStudent,
    prefill: Prefill,
    last_hidden: Tensor,
    gates: Tensor,
    items: Sequence[int],
    session_ids: Sequence[str],
    alphabet: Alphabet,
    settings: SamplingSettings,
) -> list[list[tuple[Bundle, ...]]]:
    """Write ``settings.samples`` answers for each session: result[session][sample] is a tuple of bundles.

    Samples take a row of their own only from where they differ, and leave the batch when they end, so many
    samples that agree cost little more than one.

    Args:
        prefill: the prompts as read, [sessions]; left as it is.
        last_hidden: hidden states of the prompts' last tokens, [sessions, hidden].
        gates: [sessions, E] or [sessions, layers, E], kept for the whole completion.
        items: number of items of each session, at least two each.
    """
    widest = max(items)
    symbol_ids = torch.tensor([*alphabet.labels[:widest], alphabet.separator, alphabet.end], device=last_hidden.device)
    noise = _batch_noise(items, session_ids, settings)
    everyone = list(range(settings.samples))
    branches = [_Branch(row, AnswerState(count, settings.budget), everyone) for row, count in enumerate(items)]
    answers: list[list[tuple[Bundle, ...]]] = [[()] * settings.samples for _ in items]
    rows, hidden = prefill.repeat(1), last_hidden
    for step in range(settings.budget):
        # Samples choose one by one, which a GPU would wait for each time: a step's logits come over together.
        logits = student.logits(hidden, symbol_ids).cpu().double() / settings.temperature
        parents, tokens, grown = [], [], []
        for row, symbol, branch in _grow(branches, logits, noise[:, :, step], widest):
            if branch.state.finished:
                for sample in branch.samples:
                    answers[branch.session][sample] = branch.state.bundles
                continue
            parents.append(row)
            tokens.append([alphabet.token(symbol, branch.state.items)])
            grown.append(branch)
        if not grown:
            break
        if parents != list(range(len(branches))):
            rows, gates = rows.select(parents), gates[parents]
        branches = grown
        ids = torch.tensor(tokens, device=hidden.device)
        hidden = student.extend(rows, ids, rows.mask.new_ones(len(tokens), 1), gates)[:, -1]
    return answers


def _grow(
    branches: Sequence[_Branch], logits: Tensor, noise: Tensor, widest: int
) -> Iterator[tuple[int, int, _Branch]]:
    """Let every sample choose its next symbol; yields (row of the parent, symbol, branch of those who chose it).

    Columns of ``logits`` [branches, widest + 2] and ``noise`` [sessions, samples, widest + 2] are the labels up to
    ``widest``, the separator, the end.
    """
    for row, branch in enumerate(branches):
        state = branch.state
        allowed = state.allowed()
        columns = [_column(symbol, state.items, widest) for symbol in allowed]
        scores = logits[row, columns] + noise[branch.session][branch.samples][:, columns]
        chosen: dict[int, list[int]] = {}
        for sample, best in zip(branch.samples, scores.argmax(dim=-1).tolist(), strict=True):
            chosen.setdefault(allowed[best], []).append(sample)
        for symbol, samples in chosen.items():
            grown = _Branch(branch.session, state.copy(), samples)
            grown.state.advance(symbol)
            yield row, symbol, grown


def _batch_noise(items: Sequence[int], session_ids: Sequence[str], settings: SamplingSettings) -> Tensor:
    """Return the noise [sessions, samples, steps, columns], each session's symbols in their columns."""
    widest = max(items)
    noise = torch.zeros(len(items), settings.samples, settings.budget, widest + 2, dtype=torch.float64)
    for row, (count, name) in enumerate(zip(items, session_ids, strict=True)):
        columns = [_column(symbol, count, widest) for symbol in range(count + 2)]
        noise[row, :, :, columns] = session_noise(settings.seed, name, settings.samples, settings.budget, count + 2)
    return noise


def _column(symbol: int, items: int, widest: int) -> int:
    return symbol if symbol < items else symbol - items + widest


@torch.no_grad()
def decode_free(
    student: RoutedStudent, prefill: Prefill, last_hidden: Tensor, gates: Tensor, end: int, budget: int
) -> list[list[int]]:
    """Write one greedy, unconstrained completion of at most ``budget`` tokens for each row, without its end."""
    rows = prefill.repeat(1)
    hidden = last_hidden
    written: list[list[int]] = [[] for _ in range(len(hidden))]
    finished = torch.zeros(len(hidden), dtype=torch.bool, device=hidden.device)
    for _ in range(budget):
        ids = student.logits(hidden).argmax(dim=-1)
        finished = finished | (ids == end)
        if bool(finished.all()):
            break
        for row, token in enumerate(ids.tolist()):
            if not finished[row]:
                written[row].append(token)
        hidden = student.extend(rows, ids.unsqueeze(1), rows.mask.new_ones(len(written), 1), gates)[:, -1]
    return written
