"""Selects rules by what training sessions say of them, whoever proposed them.

Proposals of all batches are merged. A rule that is used for sessions of one fold was proposed in batches of the
other folds and is scored on the sessions of the other folds, so no session's own label speaks for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recbole_routedk.data.session import LabelledSession
from recbole_routedk.distill.formats.matching import PairIndex, Sides, normalised_sides
from recbole_routedk.distill.formats.parsing import ProposedRule
from recbole_routedk.distill.knowledge import Floats, RuleMatch, ScoredRule, Verdict
from recbole_routedk.distill.statistical.pairs import Ints
from recbole_routedk.distill.statistical.traits import ItemTraits

_PRIOR_SESSIONS = 2.0
_CLEARLY_ABOVE = 1.25  # times the rate of any pair
_CLEARLY_BELOW = 0.5
_FEWEST_BUNDLED = 3  # sessions in which the sides were bundled, for them to go together
_FEWEST_MEETINGS_OF_A_DENIAL = 8
_LEAST_STRENGTH = 1.64  # z-score, one-sided 5%
_MOST_GENERAL_RULES = 5


@dataclass(frozen=True)
class RuleSelection:
    """The least precision and coverage of a rule; beside them, a rule must differ from any pair significantly."""

    least_precision: float = 0.0
    least_coverage: float = 0.0


@dataclass(frozen=True)
class ProposedBatch:
    """What a teacher proposed for a batch of sessions of one fold."""

    fold: int
    rules: tuple[ProposedRule, ...]


class _Key(NamedTuple):
    """Rules with the same key are the same rule; a general one has its text in place of the first side."""

    verdict: Verdict
    sides: Sides


_Wording = tuple[int, ProposedRule]
"""A fold and what a batch of it proposed."""


class RuleBook:
    """Rules that were selected, looked up by the pairs that they speak about."""

    def __init__(self, general: Sequence[ScoredRule], sided: Sequence[tuple[float, Sides, ScoredRule]]) -> None:
        """``sided`` holds each rule with its strength (negative: apart) and its normalised sides."""
        ordered = sorted(sided, key=lambda entry: (-entry[0], entry[2].text))
        self._general = tuple(general)
        self._sided = tuple(rule for _, _, rule in ordered)
        self._index = PairIndex([sides for _, sides, _ in ordered])

    def rules(self) -> tuple[ScoredRule, ...]:
        """Return every rule: general ones first, then the strongest (what goes together before what does not)."""
        return self._general + self._sided

    def matches(self, traits: ItemTraits) -> tuple[RuleMatch, ...]:
        """Return the rules that speak about pairs of a session, strongest first."""
        pairs = self._index.pairs(traits)
        return tuple(RuleMatch(self._sided[number], tuple(pairs[number])) for number in sorted(pairs))


class RuleScorer:
    """Merges proposals and counts, fold by fold, how training sessions agree with them."""

    def __init__(
        self,
        batches: Sequence[ProposedBatch],
        labelled: Sequence[LabelledSession],
        traits: Sequence[ItemTraits],
        folds: Ints,
        selection: RuleSelection,
    ) -> None:
        """``labelled``, their ``traits`` and ``folds`` [S] are the sessions to score on."""
        self._selection = selection
        self._batches = Counter(batch.fold for batch in batches)
        self._proposals = _merged(batches)
        self._sides = sides = sorted({key.sides for key in self._proposals if key.verdict != "general"})
        index = PairIndex(sides)
        size = int(folds.max(initial=0)) + 1
        self._met, self._joined = (np.zeros((size, len(sides)), dtype=np.int64) for _ in range(2))
        self._share = np.zeros((size, len(sides)))
        self._pairs, self._bundled = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        self._sessions = np.bincount(folds, minlength=size)
        for own, seen, fold in zip(labelled, traits, folds.tolist(), strict=True):
            self._count(own, index.pairs(seen), fold)

    @property
    def different(self) -> int:
        """How many different rules were proposed."""
        return len(self._proposals)

    def _count(self, labelled: LabelledSession, spoken: dict[int, list[tuple[int, int]]], fold: int) -> None:
        items = len(labelled.session)
        bundled = {(i, j) for bundle in labelled.bundles for i in bundle for j in bundle if i < j}
        self._pairs[fold] += items * (items - 1) // 2
        self._bundled[fold] += len(bundled)
        rows = list(spoken)
        hits = np.array([sum(pair in bundled for pair in pairs) for pairs in spoken.values()], dtype=np.int64)
        self._met[fold, rows] += 1
        self._joined[fold, rows] += hits > 0
        self._share[fold, rows] += hits / np.array([len(pairs) for pairs in spoken.values()], dtype=np.int64)

    def book(self, without_fold: int | None = None) -> RuleBook:
        """Return the rules that all folds but one propose and support."""
        counted = np.arange(len(self._pairs)) != (-1 if without_fold is None else without_fold)
        met, joined, share = (table[counted].sum(0) for table in (self._met, self._joined, self._share))
        sessions = int(self._sessions[counted].sum())
        base_rate = float(self._bundled[counted].sum()) / max(1, int(self._pairs[counted].sum()))
        strengths = _strengths(met, joined, share, base_rate)
        sided = []
        for row in np.flatnonzero(strengths).tolist():
            verdict: Verdict = "together" if strengths[row] > 0 else "apart"
            proposed = _most_proposed(self._proposals.get(_Key(verdict, self._sides[row]), {}), without_fold)
            if proposed is not None:
                rule = _scored(proposed[0], int(met[row]), int(joined[row]), float(share[row]), sessions)
                if self._good_enough(rule):
                    sided.append((float(strengths[row]), self._sides[row], rule))
        return RuleBook(self._general(without_fold), sided)

    def _good_enough(self, rule: ScoredRule) -> bool:
        selection = self._selection
        return rule.precision >= selection.least_precision and rule.coverage >= selection.least_coverage

    def _general(self, without_fold: int | None) -> list[ScoredRule]:
        """Return the general rules that most batches state; nothing else can be counted of a free sentence."""
        batches = sum(count for fold, count in self._batches.items() if fold != without_fold)
        rules = []
        for key, wordings in self._proposals.items():
            proposed = _most_proposed(wordings, without_fold) if key.verdict == "general" else None
            if proposed is not None:
                proposal, stated = proposed
                share = stated / batches
                text = f"{proposal.text} (stated by {stated} of {batches} batches)"
                rules.append(ScoredRule(text, stated, share, "", "", "general", 1.0, share))
        rules.sort(key=lambda rule: (-rule.support, rule.text))
        return [rule for rule in rules if self._good_enough(rule)][:_MOST_GENERAL_RULES]


def _merged(batches: Iterable[ProposedBatch]) -> dict[_Key, dict[_Wording, int]]:
    """Return the different rules with how often each wording was proposed in each fold, once a batch."""
    keys: dict[ProposedRule, _Key] = {}
    merged: dict[_Key, dict[_Wording, int]] = {}
    for batch in batches:
        seen: set[_Key] = set()
        for rule in batch.rules:
            key = keys.get(rule)
            if key is None:
                key = keys[rule] = _key(rule)
            if key not in seen:
                seen.add(key)
                wordings = merged.setdefault(key, {})
                wordings[batch.fold, rule] = wordings.get((batch.fold, rule), 0) + 1
    return merged


def _key(rule: ProposedRule) -> _Key:
    if rule.verdict == "general":
        return _Key("general", (" ".join(rule.text.casefold().strip(" .!").split()), ""))
    return _Key(rule.verdict, normalised_sides(rule.left, rule.right))


def _most_proposed(wordings: dict[_Wording, int], without_fold: int | None) -> tuple[ProposedRule, int] | None:
    """Return the most frequent wording outside a fold and how many batches there proposed the rule.

    None where only that fold's batches did.
    """
    counts: Counter[ProposedRule] = Counter()
    for (fold, rule), count in wordings.items():
        if fold != without_fold:
            counts[rule] += count
    if not counts:
        return None
    return min(counts, key=lambda rule: (-counts[rule], rule.text, rule.left)), counts.total()


def _strengths(met: Ints, joined: Ints, share: Floats, base_rate: float) -> Floats:
    """Return how surely each pair of sides differs from any pair (z-score; negative: apart), 0 where it does not."""
    smoothed = (share + _PRIOR_SESSIONS * base_rate) / (met + _PRIOR_SESSIONS)
    spread = np.sqrt(max(base_rate * (1.0 - base_rate), 1e-6) / np.maximum(met, 1))
    score = (smoothed - base_rate) / spread
    together = (smoothed >= min(0.9, _CLEARLY_ABOVE * base_rate)) & (score > _LEAST_STRENGTH)
    together &= joined >= _FEWEST_BUNDLED
    apart = (smoothed <= _CLEARLY_BELOW * base_rate) & (score < -_LEAST_STRENGTH)
    apart &= met >= _FEWEST_MEETINGS_OF_A_DENIAL
    return np.where(together | apart, score, 0.0)


def _scored(proposal: ProposedRule, met: int, joined: int, share: float, sessions: int) -> ScoredRule:
    confidence = share / met
    together = proposal.verdict == "together"
    counted = f"support {joined}, {confidence:.0%}" if together else f"{joined} of {met} sessions"
    return ScoredRule(
        text=f"{proposal.text.rstrip('.')} ({counted})",
        support=joined,
        confidence=confidence,
        left=proposal.left,
        right=proposal.right,
        verdict=proposal.verdict,
        coverage=met / sessions,
        precision=confidence if together else 1.0 - confidence,
    )
