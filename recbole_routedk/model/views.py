"""The views of a session: what the student reads besides the items (RouteDK, multi-expert knowledge).

A view is any choice of knowledge: frequent ``patterns`` and ``rules`` that the session meets, ``thoughts`` (the
teacher's reasoning about it) and ``similar`` (how sessions like it were bundled). The plain view holds none. Item
order is shuffled in training, so knowledge is kept by position and moved along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from textwrap import shorten
from typing import Literal

import numpy as np

from recbole_routedk.data.prompts import Part, canonical_order
from recbole_routedk.data.session import Bundle, Session
from recbole_routedk.distill.knowledge import PatternMatch, RuleMatch, SessionKnowledge, Thought

Reading = Literal["patterns", "rules", "thoughts", "similar"]
View = tuple[Reading, ...]

PLAIN: View = ()
_LONGEST_PHRASE = 60
_NO_MARKS = str.maketrans(";:", ",,")


@dataclass(frozen=True)
class ViewSettings:
    """How much knowledge a prompt holds: patterns, rules, related pairs for each item, the least affinity named."""

    max_patterns: int
    max_rules: int
    pairs_per_item: float
    least_affinity: float


@dataclass(frozen=True)
class Example:
    """A session with what is known about it and, in training only, its gold bundles.

    ``similar`` is a line about sessions like it; it names no item of this one.
    """

    session: Session
    known: SessionKnowledge
    bundles: tuple[Bundle, ...] = ()
    similar: str = ""

    def reordered(self, order: Sequence[int]) -> Example:
        """Return the same example with item ``order[k]`` at position k, everything moved along."""
        place = {old: new for new, old in enumerate(order)}

        def move(bundles: tuple[Bundle, ...]) -> tuple[Bundle, ...]:
            return tuple(frozenset(place[item] for item in bundle) for bundle in bundles)

        thought = self.known.thought
        if thought is not None:
            thought = Thought(thought.affinities[np.ix_(order, order)], move(thought.groups), thought.intents)
        rules = tuple(
            replace(match, pairs=tuple(sorted(_ascending(place[a], place[b]) for a, b in match.pairs)))
            for match in self.known.rules
        )
        patterns = tuple(
            replace(match, items=tuple(place[item] for item in match.items)) for match in self.known.patterns
        )
        items = tuple(self.session.items[old] for old in order)
        return replace(
            self,
            session=replace(self.session, items=items),
            known=SessionKnowledge(patterns, rules, thought),
            bundles=move(self.bundles),
        )

    def has(self, view: View) -> bool:
        """Whether there is a thought and a similar session where the view needs one.

        A session that meets no pattern or rule is no gap: that it meets none is knowledge too.
        """
        return not (("thoughts" in view and self.known.thought is None) or ("similar" in view and not self.similar))


def _ascending(left: int, right: int) -> tuple[int, int]:
    return (left, right) if left < right else (right, left)


def knowledge(example: Example, view: View, settings: ViewSettings) -> list[Part]:
    """Return the knowledge that ``view`` adds to the prompt, item positions standing for their labels."""
    parts: list[Part] = []
    known = example.known
    if "patterns" in view:
        parts += _pattern_parts(known.patterns[: settings.max_patterns])
    if "rules" in view:
        parts += _rule_parts(known.rules[: settings.max_rules])
    if "similar" in view and example.similar:
        parts.append(f"Similar: {example.similar}")
    if "thoughts" in view and known.thought is not None:
        parts += _thought_parts(known.thought, settings)
    return parts


def knowledge_text(parts: Sequence[Part], labels: Sequence[str]) -> str:
    """Return knowledge as a person reads it, items by their labels."""
    return "".join(f" {labels[part]}" if isinstance(part, int) else part for part in parts)


def _pattern_parts(matches: Sequence[PatternMatch]) -> list[Part]:
    parts: list[Part] = ["Patterns:"]
    for match in matches:
        pattern = match.pattern
        counts = Counter(map(_short, pattern.parts))
        told = "+".join(part if count == 1 else f"{count} {part}" for part, count in counts.items())
        parts += [f" {told}={_digit(pattern.confidence)}", *sorted(match.items), ";"]
    return parts if matches else ["Patterns: none known;"]


def _rule_parts(matches: Sequence[RuleMatch]) -> list[Part]:
    parts: list[Part] = ["Rules:"]
    for match in matches:
        rule = match.rule
        # The rule's full sentence costs six times the tokens and says no more than its sides and confidence.
        sides = "+".join(dict.fromkeys(map(_short, (rule.left, rule.right))))
        parts += [f" {sides}={_digit(rule.confidence)}", *(match.pairs[0] if match.pairs else ()), ";"]
    return parts if matches else ["Rules: at least two items, one intent;"]


def _thought_parts(thought: Thought, settings: ViewSettings) -> list[Part]:
    parts: list[Part] = ["Related:"]
    for left, right in _related_pairs(thought.affinities, settings):
        parts += [left, right, f"={_digit(thought.affinities[left, right])}"]
    parts.append(". Intents:")
    intents = dict(zip(thought.groups, thought.intents, strict=True))
    for group in sorted(intents, key=sorted):
        parts.append(f" {_short(intents[group])};")
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


def _short(phrase: str) -> str:
    # A teacher may be a language model, a phrase of it as long as it likes, and look like the parts of a prompt.
    return shorten(phrase.translate(_NO_MARKS), _LONGEST_PHRASE, placeholder="")


def _digit(probability: float) -> int:
    return min(9, int(probability * 10))
