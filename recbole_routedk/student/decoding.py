"""Writes answers: constrained to the grammar, greedy or sampled, many samples of a session from one prefill."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
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

    Args:
        prefill: the prompts as read, [sessions]; its cache is copied once a sample.
        last_hidden: hidden states of the prompts' last tokens, [sessions, hidden].
        gates: [sessions, E], kept for the whole completion.
        items: number of items of each session, at least two each.
    """
    samples = settings.samples
    widest = max(items)
    symbol_ids = torch.tensor([*alphabet.labels[:widest], alphabet.separator, alphabet.end], device=last_hidden.device)
    states = [AnswerState(count, settings.budget) for count in items for _ in range(samples)]
    noise = _batch_noise(items, session_ids, settings).to(last_hidden.device)
    rows = prefill.repeat(samples)
    hidden, gates = (value.repeat_interleave(samples, dim=0) for value in (last_hidden, gates))
    ones = rows.mask.new_ones(len(states), 1)
    for step in range(settings.budget):
        logits = student.logits(hidden, symbol_ids).double() / settings.temperature + noise[:, step]
        chosen = _choose(logits, states, widest)
        for state, symbol in zip(states, chosen, strict=True):
            state.advance(symbol)
        if all(state.finished for state in states):
            break
        tokens = [[alphabet.token(symbol, state.items)] for symbol, state in zip(chosen, states, strict=True)]
        ids = torch.tensor(tokens, device=hidden.device)
        hidden = student.extend(rows, ids, ones, gates)[:, -1]
    answers = [state.bundles for state in states]
    return [answers[start : start + samples] for start in range(0, len(answers), samples)]


def _batch_noise(items: Sequence[int], session_ids: Sequence[str], settings: SamplingSettings) -> Tensor:
    """Return the noise of all rows [sessions * samples, steps, columns], each session's symbols in their columns."""
    widest = max(items)
    noise = torch.zeros(len(items), settings.samples, settings.budget, widest + 2, dtype=torch.float64)
    for row, (count, name) in enumerate(zip(items, session_ids, strict=True)):
        columns = [_column(symbol, count, widest) for symbol in range(count + 2)]
        noise[row, :, :, columns] = session_noise(settings.seed, name, settings.samples, settings.budget, count + 2)
    return noise.flatten(0, 1)


def _choose(logits: Tensor, states: Sequence[AnswerState], widest: int) -> list[int]:
    """Pick each row's best allowed symbol; columns are labels up to ``widest``, the separator, the end."""
    blocked = torch.ones_like(logits, dtype=torch.bool)
    for row, state in enumerate(states):
        blocked[row, [_column(symbol, state.items, widest) for symbol in state.allowed()]] = False
    best = logits.masked_fill(blocked, -torch.inf).argmax(dim=-1).tolist()
    return [_symbol(column, state.items, widest) for column, state in zip(best, states, strict=True)]


def _column(symbol: int, items: int, widest: int) -> int:
    return symbol if symbol < items else symbol - items + widest


def _symbol(column: int, items: int, widest: int) -> int:
    return column if column < widest else column - widest + items


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
