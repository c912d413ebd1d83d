"""Sessions of a store in which everything for camping is one bundle and everything for a phone another."""

from __future__ import annotations

from collections.abc import Sequence

from recbole_routedk.data.session import Item, LabelledSession, Session

CAMPING = ("Two person camping tent", "Camping tent pegs", "Tent for camping families", "Light camping tent")
PHONE = ("Smartphone leather case", "Smartphone glass cover", "Slim smartphone case", "Smartphone case clear")
ODD = ("Garden hose reel", "Cast iron skillet", "Violin rosin")


def session(number: int) -> LabelledSession:
    """Two or three things for camping, two for a phone, and one for nothing; the order changes with the number."""
    camping = [CAMPING[(number + step) % 4] for step in range(2 + number % 2)]
    phone = [PHONE[(number + step) % 4] for step in range(2)]
    titles = [*camping, *phone, ODD[number % 3]]
    turned = titles[number % len(titles) :] + titles[: number % len(titles)]
    items = tuple(Item(f"{number}-{place}", title) for place, title in enumerate(turned))
    bundles = tuple(frozenset(i for i, title in enumerate(turned) if title in kind) for kind in (CAMPING, PHONE))
    return LabelledSession(Session(f"s{number}", items), bundles, ("camping", "phone"))


class TrainSplit:
    """What a model asks of its dataset."""

    def __init__(self, sessions: Sequence[LabelledSession]) -> None:
        self.labelled_sessions = tuple(sessions)
