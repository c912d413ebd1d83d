"""The views of a session: what the student reads besides the items (RouteDK, multi-expert knowledge).

``plain`` adds nothing, ``rule`` the rules that fire on the session, ``thought`` the teacher's reasoning about
it, ``all`` both. Item order is shuffled in training, so knowledge is kept by position and moved along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from recbole_routedk.data.prompts import Part, canonical_order
from recbole_routedk.data.session import Bundle, Session
from recbole_routedk.distill.knowledge import RuleMatch, Thought

View = Literal["plain", "rule", "thought", "all"]
VIEWS: tuple[View, ...] = ("plain", "rule", "thought", "all")


@dataclass(frozen=True)
class ViewSettings:
    """How much knowledge a prompt holds: rules, related pairs for each item, and the least affinity named."""

    max_rules: int
    pairs_per_item: float
    least_affinity: float


@dataclass(frozen=True)
class Example:
    """A session with its knowledge and, in training only, its gold bundles."""

    session: Session
    rules: tuple[RuleMatch, ...]
    thought: Thought
    bundles: tuple[Bundle, ...] = ()

    def reordered(self, order: Sequence[int]) -> Example:
        """Return the same example with item ``order[k]`` at position k, everything moved along."""
        place = {old: new for new, old in enumerate(order)}

        def move(bundles: tuple[Bundle, ...]) -> tuple[Bundle, ...]:
            return tuple(frozenset(place[item] for item in bundle) for bundle in bundles)

        thought = replace(
            self.thought,
            affinities=self.thought.affinities[np.ix_(order, order)],
            groups=move(self.thought.groups),
        )
        rules = tuple(
            replace(match, pairs=tuple(sorted(_ascending(place[a], place[b]) for a, b in match.pairs)))
            for match in self.rules
        )
        items = tuple(self.session.items[old] for old in order)
        return Example(replace(self.session, items=items), rules, thought, move(self.bundles))


def _ascending(left: int, right: int) -> tuple[int, int]:
    return (left, right) if left < right else (right, left)


def knowledge(example: Example, view: View, settings: ViewSettings) -> list[Part]:
    """Return the knowledge that ``view`` adds to the prompt, item positions standing for their labels."""
    parts: list[Part] = []
    if view in ("rule", "all"):
        parts += _rule_parts(example.rules[: settings.max_rules])
    if view in ("thought", "all"):
        parts += _thought_parts(example.thought, settings)
    return parts


def knowledge_text(parts: Sequence[Part], labels: Sequence[str]) -> str:
    """Return knowledge as a person reads it, items by their labels."""
    return "".join(f" {labels[part]}" if isinstance(part, int) else part for part in parts)


def _rule_parts(matches: Sequence[RuleMatch]) -> list[Part]:
    parts: list[Part] = ["Rules:"]
    for match in matches:
        rule = match.rule
        # The rule's full sentence costs six times the tokens and says no more than its sides and confidence.
        sides = rule.left if rule.left == rule.right else f"{rule.left}+{rule.right}"
        parts += [f" {sides}={_digit(rule.confidence)}", *match.pairs[0], ";"]
    return parts if matches else ["Rules: at least two items, one intent;"]


def _thought_parts(thought: Thought, settings: ViewSettings) -> list[Part]:
    parts: list[Part] = ["Related:"]
    for left, right in _related_pairs(thought.affinities, settings):
        parts += [left, right, f"={_digit(thought.affinities[left, right])}"]
    parts.append(". Intents:")
    intents = dict(zip(thought.groups, thought.intents, strict=True))
    for group in sorted(intents, key=sorted):
        parts.append(f" {intents[group]};")
    parts.append(" Groups:")
    for number, bundle in enumerate(canonical_order(thought.groups)):
        parts += [";"] if number else []
        parts += list(bundle)
    return [*parts, "."]


def _related_pairs(affinities: np.ndarray, settings: ViewSettings) -> list[tuple[int, int]]:
    """Return the strongest pairs above the least affinity, in reading order."""
    items = len(affinities)
    pairs = [(left, right) for left in range(items) for right in range(left + 1, items)]
    pairs = [pair for pair in pairs if affinities[pair] >= settings.least_affinity]
    pairs.sort(key=lambda pair: -affinities[pair])
    return sorted(pairs[: max(1, round(settings.pairs_per_item * items))])


def _digit(probability: float) -> int:
    return min(9, int(probability * 10))
