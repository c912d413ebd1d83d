"""The types that every part of the package speaks: items, sessions, bundles and generations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from logging import getLogger

Bundle = frozenset[int]
"""A bundle: 0-based positions into its session, at least two of them."""


@dataclass(frozen=True, slots=True)
class Item:
    """One product: its id, its title (untrusted text, may be empty) and its category paths.

    ``fields`` are further texts about it by name, such as a brand or a price: those that ``item_fields`` asks for.
    """

    item_id: str
    title: str
    categories: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def field_text(self) -> str:
        """What the fields say, in one text; "" where there are none."""
        return ", ".join(text for _, text in self.fields if text)

    @property
    def text(self) -> str:
        """The title and what the fields say: what models read."""
        return f"{self.title}, {self.field_text}" if self.field_text else self.title


@dataclass(frozen=True, slots=True)
class Session:
    """One user session: its items in the order they were seen, without any label."""

    session_id: str
    items: tuple[Item, ...]

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class LabelledSession:
    """A session with its gold bundles and, for each, the annotated intent ("" where none is known)."""

    session: Session
    bundles: tuple[Bundle, ...]
    intents: tuple[str, ...] = ()


class RejectionReason(Enum):
    """Why a parser refused a generated bundle."""

    UNKNOWN_ITEM = "unknown item"
    DUPLICATE_ITEM = "duplicate item"
    TOO_FEW_ITEMS = "fewer than two items"
    DUPLICATE_BUNDLE = "duplicate bundle"
    UNPARSABLE = "unparsable"
    TOO_MANY = "too many"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A piece of a model's answer that is not a bundle of its session, and why."""

    text: str
    reason: RejectionReason


@dataclass(frozen=True, slots=True)
class Generation:
    """What a model answers for one session.

    ``gates`` holds the router's weight of each expert (sums to 1; empty where a model has no
    experts), ``score`` the agreement of the samples in [0, 1] (1 for a single answer).
    """

    bundles: tuple[Bundle, ...]
    rejected: tuple[Rejection, ...] = ()
    gates: tuple[float, ...] = ()
    score: float = 1.0


def drop_redundant_bundles(bundles: list[Bundle]) -> list[int]:
    """Return the indices of the gold bundles that count, in order.

    Exact duplicates and strict supersets of another bundle of the session are left out.
    """
    kept = []
    for index, bundle in enumerate(bundles):
        repeated = bundle in bundles[:index]
        if not repeated and not any(other < bundle for other in bundles):
            kept.append(index)
    return kept


def with_counted_bundles(labelled: LabelledSession) -> LabelledSession:
    """Return the session with the gold bundles that count, and their intents."""
    kept = drop_redundant_bundles(list(labelled.bundles))
    intents = tuple(labelled.intents[index] for index in kept) if labelled.intents else ()
    return LabelledSession(labelled.session, tuple(labelled.bundles[index] for index in kept), intents)


def first_items(session: Session, limit: int) -> Session:
    """Return the session with its first ``limit`` items; the same object where it has no more."""
    return session if len(session) <= limit else replace(session, items=session.items[:limit])


def within_limit(session: Session, limit: int) -> Session:
    """Return ``first_items``, and warn of a session that is longer than a model can read (``max_items``)."""
    if len(session) > limit:
        getLogger(__name__).warning(
            f"session {session.session_id}: only the first {limit} of {len(session)} items (max_items)"
        )
    return first_items(session, limit)


def first_labelled(labelled: LabelledSession, limit: int) -> LabelledSession:
    """Return the session with its first ``limit`` items and the bundles that lie within them."""
    session = first_items(labelled.session, limit)
    if session is labelled.session:
        return labelled
    kept = [k for k, bundle in enumerate(labelled.bundles) if max(bundle) < limit]
    intents = tuple(labelled.intents[k] for k in kept) if labelled.intents else ()
    return LabelledSession(session, tuple(labelled.bundles[k] for k in kept), intents)
