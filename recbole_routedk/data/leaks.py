"""Finds what gives answers away: sessions that two splits share, and texts whose absence tells the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from recbole_routedk.data.atomic import SPLITS, SplitSessions
from recbole_routedk.data.session import Item, LabelledSession

LEAK_RATIO = 2
"""How many times as often items outside bundles may lack a text as those in bundles."""


def leaks(splits: SplitSessions) -> Iterator[str]:
    """Tell each leak of a data set in a sentence."""
    yield from repeated_sessions(splits)
    yield from absences(splits.all())


def repeated_sessions(splits: SplitSessions) -> Iterator[str]:
    """Tell how many sessions of a later split have exactly the item titles of one in an earlier split."""
    seen: dict[tuple[str, ...], str] = {}
    for name in SPLITS:
        part = [(tuple(sorted(item.title for item in each.session.items)), each) for each in splits.split(name)]
        found = Counter(seen[titles] for titles, _ in part if any(titles) and titles in seen)
        for other, count in found.items():
            yield f"{count} sessions of {name} have the same item titles as one of {other}"
        for titles, _ in part:
            seen.setdefault(titles, name)


def absences(sessions: Iterable[LabelledSession]) -> Iterator[str]:
    """Tell where a gap in the item texts tells items in bundles from items outside.

    In the published repository only items of some bundle have a title and a category.
    """
    bundled: dict[Item, bool] = {}
    for labelled in sessions:
        inside = frozenset().union(*labelled.bundles)
        for place, item in enumerate(labelled.session.items):
            bundled[item] = bundled.get(item, False) or place in inside
    texts: dict[str, Callable[[Item], bool]] = {
        "title": lambda item: bool(item.title.strip()),
        "category": lambda item: bool(item.categories),
    }
    for name, present in texts.items():
        lacking = Counter(inside for item, inside in bundled.items() if not present(item))
        total = Counter(bundled.values())
        if lacking[False] * total[True] > LEAK_RATIO * lacking[True] * total[False]:
            yield (
                f"{lacking[False]} of {total[False]} items in no bundle have no {name}, and "
                f"{lacking[True]} of {total[True]} items in bundles: its absence gives the answer away. "
                "Complete them, or see to it that no model uses the absence."
            )
