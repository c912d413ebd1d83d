"""Patterns put into words: rules with their support and confidence, and the rules that fire on a session."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from recbole_routedk.data.session import LabelledSession
from recbole_routedk.distill.knowledge import Rule, RuleMatch
from recbole_routedk.distill.statistical.pair_patterns import ItemTraits, Pattern, PatternKind, Tally, patterns_of_pair

_PRIOR_SESSIONS = 2.0
_CLEARLY_ABOVE = 1.25  # times the rate of any pair
_CLEARLY_BELOW = 0.5
_FEWEST_MEETINGS_OF_A_DENIAL = 8
_LEAST_STRENGTH = 1.64  # z-score, one-sided 5%


class RuleBook:
    """The rules that tallies support, looked up by pattern."""

    def __init__(
        self, tallies: Mapping[Pattern, Tally], base_rate: float, min_support: int, phrases: Mapping[str, str]
    ) -> None:
        """``phrases`` says how a category is called in a rule."""
        self._rules: dict[Pattern, tuple[float, Rule]] = {}
        for pattern, tally in tallies.items():
            strength = _strength(tally, base_rate)
            if strength is not None and (strength < 0 or tally.joined >= min_support):
                self._rules[pattern] = (strength, _verbalise(pattern, tally, strength > 0, phrases))

    def all_rules(self) -> tuple[Rule, ...]:
        """Return every rule, strongest first (what goes together before what does not)."""
        ordered = sorted(self._rules.values(), key=lambda entry: (-entry[0], entry[1].text))
        return tuple(rule for _, rule in ordered)

    def matches(self, traits: ItemTraits) -> tuple[RuleMatch, ...]:
        """Return the rules that fire on a session's items, strongest first."""
        pairs: dict[Pattern, list[tuple[int, int]]] = defaultdict(list)
        for left in range(len(traits.categories)):
            for right in range(left + 1, len(traits.categories)):
                for pattern in patterns_of_pair(traits, left, right):
                    if pattern in self._rules:
                        pairs[pattern].append((left, right))
        ordered = sorted(pairs, key=lambda pattern: (-self._rules[pattern][0], self._rules[pattern][1].text))
        return tuple(RuleMatch(self._rules[pattern][1], tuple(pairs[pattern])) for pattern in ordered)


def _strength(tally: Tally, base_rate: float) -> float | None:
    """Return how surely a pattern differs from any pair (z-score; negative: apart), None when it does not."""
    smoothed = (tally.joined + _PRIOR_SESSIONS * base_rate) / (tally.met + _PRIOR_SESSIONS)
    spread = math.sqrt(max(base_rate * (1.0 - base_rate), 1e-6) / tally.met)
    score = (smoothed - base_rate) / spread
    if smoothed >= min(0.9, _CLEARLY_ABOVE * base_rate) and score > _LEAST_STRENGTH:
        return score
    often_met = tally.met >= _FEWEST_MEETINGS_OF_A_DENIAL
    if often_met and smoothed <= _CLEARLY_BELOW * base_rate and score < -_LEAST_STRENGTH:
        return score
    return None


def _verbalise(pattern: Pattern, tally: Tally, together: bool, phrases: Mapping[str, str]) -> Rule:
    left, right = pattern.left, pattern.right
    if pattern.kind is PatternKind.CATEGORIES:
        left, right = phrases[left], phrases[right]
        subject = f"items of '{left}'" if pattern.left == pattern.right else f"'{left}' and '{right}'"
    elif pattern.kind is PatternKind.SHARED_WORD:
        subject = f"titles that share '{left}'"
    else:
        subject = f"titles with '{left}' and titles with '{right}'"
    confidence = tally.joined / tally.met
    verb = "go together" if together else "rarely go together"
    counted = f"support {tally.joined}, {confidence:.0%}" if together else f"{tally.joined} of {tally.met} sessions"
    return Rule(f"{subject} {verb} ({counted})", tally.joined, confidence, left, right)


def general_rules(train: Sequence[LabelledSession]) -> tuple[Rule, ...]:
    """Return what holds of training bundles in general: sizes, bundles a session, items left over."""
    bundles = [bundle for labelled in train for bundle in labelled.bundles]
    sizes = Counter(len(bundle) for bundle in bundles)
    counts = Counter(len(labelled.bundles) for labelled in train)
    items = sum(len(labelled.session) for labelled in train)
    left_over = items - sum(len(frozenset().union(*labelled.bundles)) for labelled in train)
    whole = sum(len(bundle) == len(labelled.session) for labelled in train for bundle in labelled.bundles)
    statements = [("a bundle has at least two items", len(bundles), len(bundles))]
    size, of_size = min(sizes.items(), key=lambda entry: (-entry[1], entry[0]))
    statements.append((f"most often a bundle has exactly {size} items", of_size, len(bundles)))
    number, of_number = min(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    plural = "bundle" if number == 1 else "bundles"
    statements.append((f"most often a session has {number} {plural}", of_number, len(train)))
    statements.append(("an item may belong to no bundle", left_over, items))
    statements.append(("seldom is the whole session one bundle", whole, len(train)))
    return tuple(
        Rule(f"{text} (support {support}, {support / total:.0%})", support, support / total, "", "")
        for text, support, total in statements
    )
