"""Parsers of what teachers answer. Total: any text gives a value and refusals, never an exception.

The JSON object must be the whole text, apart from white space and one ```json fence around it. What is wrong is
refused with a reason and never repaired by guess: an unknown or repeated position, a group of one item, a group
said twice, a value of another type. So is what follows after a reasonable number of things: answers are shown to
the teacher again and to the student, and one without measure would fill every later prompt. Keys that were not
asked for are not read; a key given twice makes the text unparsable, because either value could be the one that
was meant.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

import numpy as np

from recbole_routedk.data.prompts import clean_line
from recbole_routedk.data.session import Bundle, Rejection, RejectionReason
from recbole_routedk.distill.knowledge import VERDICTS, Thought, Verdict

Value = TypeVar("Value")

LONGEST_PHRASE = 60
LONGEST_SENTENCE = 200
MOST_CAUSES = 50
MOST_RULES = 5000
_LONGEST_ANSWER = 4_000_000
_LONGEST_QUOTE = 80
_LONGEST_INTEGER = 15
_FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n?```", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Parsed(Generic[Value]):
    """What an answer says; ``value`` is None where nothing of it can be used."""

    value: Value | None
    rejected: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True)
class ProposedRule:
    """A rule as a teacher states it; a general one has no sides."""

    text: str
    verdict: Verdict
    left: str = ""
    right: str = ""


def clean_phrase(text: str, longest: int) -> str:
    """Return text on one line without invisible characters, cut at ``longest`` characters."""
    short = text[: 4 * longest]
    if not (short.isascii() and short.isprintable()):
        short = clean_line("".join(" " if character.isspace() else character for character in short))
    return " ".join(short.split())[:longest].rstrip()


def parse_bundles(text: str, items: int) -> Parsed[tuple[Bundle, ...]]:
    """Read ``{"bundles": [[0, 2], ...]}`` for a session of ``items`` items; no bundle at all is an answer."""
    said = _list_of(text, "bundles")
    if said is None:
        return _unreadable(text)
    reader = _GroupReader(items)
    for entry in said:
        reader.read(entry)
    return Parsed(tuple(reader.groups), tuple(reader.rejected))


def parse_causes(text: str) -> Parsed[tuple[str, ...]]:
    """Read ``{"causes": ["sentence", ...]}``."""
    said = _list_of(text, "causes")
    if said is None:
        return _unreadable(text)
    said, surplus = said[:MOST_CAUSES], said[MOST_CAUSES:]
    phrases = [clean_phrase(entry, LONGEST_SENTENCE) if isinstance(entry, str) else "" for entry in said]
    refused = [_refusal(entry) for entry, phrase in zip(said, phrases, strict=True) if not phrase]
    return Parsed(tuple(phrase for phrase in phrases if phrase), (*refused, *_surplus(surplus)))


def parse_rules(text: str) -> Parsed[tuple[ProposedRule, ...]]:
    """Read ``{"rules": [{"rule": ..., "verdict": ..., "left": ..., "right": ...}, ...]}``."""
    said = _list_of(text, "rules")
    if said is None:
        return _unreadable(text)
    said, surplus = said[:MOST_RULES], said[MOST_RULES:]
    rules = [_rule(entry) for entry in said]
    refused = tuple(_refusal(entry) for entry, rule in zip(said, rules, strict=True) if rule is None)
    return Parsed(tuple(rule for rule in rules if rule is not None), (*refused, *_surplus(surplus)))


def parse_thought(text: str, items: int) -> Parsed[Thought]:
    """Read ``{"related": [[0, 2, 0.7], ...], "intents": [{"intent": ..., "items": [0, 2]}, ...]}``.

    ``related`` may be left out; its numbers are clipped to [0, 1] and hold both ways. A thought without a group
    is of no use: its value is None.
    """
    said = _object(text)
    intents = said.get("intents") if said is not None else None
    related = said.get("related", []) if said is not None else None
    if not isinstance(intents, list) or not isinstance(related, list):
        return _unreadable(text)
    reader = _GroupReader(items)
    phrases = [phrase for entry in intents for phrase in _intent(entry, reader)]
    affinities = np.zeros((items, items))
    refused = [*reader.rejected, *_relate(related, affinities)]
    thought = Thought(affinities, tuple(reader.groups), tuple(phrases)) if reader.groups else None
    return Parsed(thought, tuple(refused))


class _GroupReader:
    """Gathers the valid groups of an answer, at most ``most`` (by default one an item), and what was refused."""

    def __init__(self, items: int, most: int | None = None) -> None:
        self._items = items
        self._most = items if most is None else most
        self.groups: list[Bundle] = []
        self.rejected: list[Rejection] = []
        self._seen: set[Bundle] = set()

    def read(self, entry: Any) -> bool:
        """Take one group, or refuse it with the reason."""
        reason = self._reason(entry)
        if reason is None:
            self.groups.append(frozenset(entry))
            self._seen.add(frozenset(entry))
        else:
            self.rejected.append(_refusal(entry, reason))
        return reason is None

    def _reason(self, entry: Any) -> RejectionReason | None:
        if not isinstance(entry, list) or not all(type(position) is int for position in entry):
            return RejectionReason.UNPARSABLE
        if not all(0 <= position < self._items for position in entry):
            return RejectionReason.UNKNOWN_ITEM
        if len(set(entry)) < len(entry):
            return RejectionReason.DUPLICATE_ITEM
        if len(entry) < 2:
            return RejectionReason.TOO_FEW_ITEMS
        if frozenset(entry) in self._seen:
            return RejectionReason.DUPLICATE_BUNDLE
        return RejectionReason.TOO_MANY if len(self.groups) >= self._most else None


def _intent(entry: Any, reader: _GroupReader) -> Iterator[str]:
    """Yield the phrase of an intent whose group is valid."""
    phrase = entry.get("intent") if isinstance(entry, dict) else None
    phrase = clean_phrase(phrase, LONGEST_PHRASE) if isinstance(phrase, str) else ""
    if not phrase:
        reader.rejected.append(_refusal(entry))
    elif reader.read(entry.get("items")):
        yield phrase


def _relate(related: Sequence[Any], affinities: np.ndarray) -> Iterator[Rejection]:
    """Write what is said about pairs into ``affinities`` [n, n] and yield what was refused."""
    pairs = _GroupReader(len(affinities), affinities.size)
    for entry in related:
        if not isinstance(entry, list) or len(entry) != 3 or not _is_number(entry[2]):
            yield _refusal(entry)
        elif pairs.read(entry[:2]):
            left, right, value = entry
            affinities[left, right] = affinities[right, left] = min(1.0, max(0.0, value))
    yield from pairs.rejected


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _rule(entry: Any) -> ProposedRule | None:
    if not isinstance(entry, dict):
        return None
    fields = [entry.get(key, "") for key in ("rule", "verdict", "left", "right")]
    if not all(isinstance(field, str) for field in fields):
        return None
    return _stated(*fields)


@lru_cache(maxsize=1 << 17)
def _stated(text: str, verdict: str, left: str, right: str) -> ProposedRule | None:
    """Return the rule that these fields state; cached, because batches of sessions propose many of the same."""
    text, left, right = (
        clean_phrase(text, LONGEST_SENTENCE),
        clean_phrase(left, LONGEST_PHRASE),
        clean_phrase(right, LONGEST_PHRASE),
    )
    if not text or verdict not in VERDICTS:
        return None
    if verdict == "general":
        return ProposedRule(text, "general")
    return ProposedRule(text, verdict, left, right) if left and right else None


def _list_of(text: str, key: str) -> list[Any] | None:
    said = _object(text)
    value = said.get(key) if said is not None else None
    return value if isinstance(value, list) else None


def _object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that the whole text is, else None."""
    if len(text) > _LONGEST_ANSWER:
        return None
    stripped = text.strip()
    fenced = _FENCED.fullmatch(stripped)
    try:
        value = json.loads(
            fenced.group(1) if fenced else stripped,
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_int=_short_integer,
        )
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("a key is given twice")
    return unique


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _short_integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER:
        raise ValueError("an integer is too long")
    return int(digits)


def _unreadable(text: str) -> Parsed[Any]:
    return Parsed(None, (Rejection(clean_phrase(text, _LONGEST_QUOTE), RejectionReason.UNPARSABLE),))


def _surplus(entries: Sequence[Any]) -> list[Rejection]:
    return [_refusal(entry, RejectionReason.TOO_MANY) for entry in entries]


def _refusal(entry: Any, reason: RejectionReason = RejectionReason.UNPARSABLE) -> Rejection:
    try:
        quoted = json.dumps(entry)  # escaped, so that not even a lone surrogate passes
    except RecursionError:
        quoted = "(nested too deeply)"
    return Rejection(quoted[:_LONGEST_QUOTE], reason)
