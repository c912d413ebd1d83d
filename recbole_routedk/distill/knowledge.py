"""What a teacher's knowledge is, whoever the teacher was: patterns, rules and thoughts (arXiv 2504.17220, formats)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from recbole_routedk.data.session import Bundle

Floats = NDArray[np.floating]
Pairs = tuple[tuple[int, int], ...]
"""Pairs of 0-based positions in a session, left < right."""
Verdict = Literal["together", "apart", "general"]
"""What a rule says of the two sides it names; a general one names none."""
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Format = Literal["patterns", "rules", "thoughts"]
"""A format of knowledge; every list of formats is in this order."""
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Things that frequently stand in one bundle: categories or title words, sorted, repeated where items repeat.

    ``support`` is the share of training bundles that hold them all, ``confidence`` that of the best rule
    "all but one -> that one".
    """

    kind: str
    parts: tuple[str, ...]
    support: float
    confidence: float


@dataclass(frozen=True, slots=True)
class PatternMatch:
    """A pattern that a session contains, and the positions of the items that make it."""

    pattern: Pattern
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A statement about bundles that training sessions support.

    ``support`` counts the sessions in which items of the two sides ``left`` and ``right`` stand in one bundle.
    ``confidence`` is the share of such pairs of items that are bundled, a mean over the sessions that hold both
    sides: low where the rule says "apart". A rule about bundles in general has no sides; then the two say how many
    batches of sessions a teacher stated it for, and which share of them.
    """

    text: str
    support: int
    confidence: float
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class ScoredRule(Rule):
    """A rule with what it is worth on training sessions.

    ``coverage`` is the share of sessions in which it speaks about a pair of items, ``precision`` the share of
    these pairs on which the gold bundles agree with its verdict, a mean over these sessions.
    """

    verdict: Verdict
    coverage: float
    precision: float


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A rule that fires on a session and the pairs of positions it speaks about."""

    rule: Rule
    pairs: Pairs


@dataclass(frozen=True)
class Thought:
    """Affinities [n, n] in [0, 1] (symmetric, zero diagonal), candidate groups, an intent phrase a group."""

    affinities: Floats
    groups: tuple[Bundle, ...]
    intents: tuple[str, ...]


@dataclass(frozen=True)
class SessionKnowledge:
    """What is known about one session; empty where a format was not asked for or the teacher failed."""

    patterns: tuple[PatternMatch, ...] = ()
    rules: tuple[RuleMatch, ...] = ()
    thought: Thought | None = None
