"""What the embedded teacher learns from its own answers beside the gold ones: causes of errors and rules.

It proposes generously, every pattern of pairs of the sessions that it is shown and nothing from elsewhere, so
that a proposal never rests on a session that it was not shown. Who asks counts and selects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from recbole_routedk.data.session import Bundle, LabelledSession
from recbole_routedk.distill.statistical.pair_patterns import PairPattern, PairPatterns, PatternKind
from recbole_routedk.distill.statistical.traits import ItemTraits
from recbole_routedk.evaluation.error_types import ErrorType, error_type
from recbole_routedk.evaluation.metrics import bundled_pairs

Answers = Sequence[Sequence[Bundle]]
"""The bundles that were answered, for each of some sessions."""

_CAUSES = {
    ErrorType.INVALID: "items without a common intent were joined",
    ErrorType.IRRELEVANT_ITEMS: "items of other intents were added to a bundle",
    ErrorType.MISSING_ITEMS: "items that serve the same intent were left out of a bundle",
    ErrorType.TOO_SMALL: "a bundle was answered with one item",
}


def causes(labelled: Sequence[LabelledSession], answers: Answers) -> list[str]:
    """Return a sentence for each kind of error, the most frequent first, with how often it was made."""
    kinds = Counter(
        error_type(bundle, own.bundles) for own, said in zip(labelled, answers, strict=True) for bundle in said
    )
    total = kinds.total()
    ordered = sorted((kind for kind in kinds if kind in _CAUSES), key=lambda kind: (-kinds[kind], kind))
    return [f"In {kinds[kind]} of {total} bundles {_CAUSES[kind]}." for kind in ordered]


def proposed_rules(
    labelled: Sequence[LabelledSession], answers: Answers, traits: Sequence[ItemTraits], patterns: PairPatterns
) -> list[dict[str, str]]:
    """Return rules in the form that a request for rules asks for.

    What gold bundles join goes together; what was joined against the gold stays apart.
    """
    together: set[PairPattern] = set()
    apart: set[PairPattern] = set()
    for own, said, seen in zip(labelled, answers, traits, strict=True):
        gold = bundled_pairs(own.bundles)
        together.update(pattern for pair in gold for pattern in patterns.of_pair(seen, *pair))
        apart.update(pattern for pair in bundled_pairs(said) - gold for pattern in patterns.of_pair(seen, *pair))
    general = [_rule(statement, "general", "", "") for statement in _general_statements(labelled)]
    return [*general, *_sided(together, "together"), *_sided(apart, "apart")]


def _sided(patterns: set[PairPattern], verdict: str) -> Iterator[dict[str, str]]:
    verb = "go together" if verdict == "together" else "rarely go together"
    for pattern in sorted(patterns, key=lambda pattern: (pattern.kind.value, pattern.left, pattern.right)):
        yield _rule(f"{_subject(pattern)} {verb}", verdict, pattern.left, pattern.right)


def _subject(pattern: PairPattern) -> str:
    if pattern.kind is PatternKind.SHARED_WORD:
        return f"titles that share '{pattern.left}'"
    if pattern.kind is PatternKind.WORDS:
        return f"titles with '{pattern.left}' and titles with '{pattern.right}'"
    if pattern.left == pattern.right:
        return f"items of '{pattern.left}'"
    return f"'{pattern.left}' and '{pattern.right}'"


def _rule(text: str, verdict: str, left: str, right: str) -> dict[str, str]:
    return {"rule": text, "verdict": verdict, "left": left, "right": right}


def _general_statements(labelled: Sequence[LabelledSession]) -> Iterator[str]:
    """Yield what holds of the gold bundles of these sessions in general."""
    bundles = [bundle for own in labelled for bundle in own.bundles]
    if not bundles:
        return
    yield "a bundle has at least two items"
    yield f"most often a bundle has exactly {_most_common([len(bundle) for bundle in bundles])} items"
    number = _most_common([len(own.bundles) for own in labelled])
    yield f"most often a session has {number} {'bundle' if number == 1 else 'bundles'}"
    if any(len(frozenset().union(*own.bundles)) < len(own.session) for own in labelled):
        yield "an item may belong to no bundle"
    whole = sum(len(bundle) == len(own.session) for own in labelled for bundle in own.bundles)
    if 2 * whole < len(labelled):
        yield "seldom is the whole session one bundle"


def _most_common(numbers: Sequence[int]) -> int:
    """Return the most frequent number, the smallest of several."""
    counts = Counter(numbers)
    return min(counts, key=lambda number: (-counts[number], number))
