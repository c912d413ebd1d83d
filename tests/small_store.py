"""A small store whose bundles follow its departments: enough to fit a teacher in a second or two."""

from __future__ import annotations

import random

from recbole_routedk.data.session import Item, LabelledSession, Session

DEPARTMENTS = {
    "Outdoor > Camping": ["Dome tent for two", "Gas camping stove", "Down sleeping bag", "Camping lantern LED"],
    "Electronics > Phones": ["Phone case clear", "Smartphone 128GB", "USB phone charger", "Phone screen protector"],
    "Home > Kitchen": ["Cast iron frying pan", "Chef kitchen knife", "Kitchen cutting board", "Steel cooking pot"],
    "Clothing > Shoes": ["Leather ankle boots", "Running shoes men", "Shoe laces black", "Suede shoe brush"],
}
ODD_ONES = ["Wall calendar", "Guitar strings", "Dog leash", "Acrylic paint", "Garden hose", "Chess board"]


def small_session(number: int) -> LabelledSession:
    """Two items of each of two departments (two bundles) and one odd item without any category."""
    draw = random.Random(number)
    names = draw.sample(sorted(DEPARTMENTS), 2)
    chosen = [(title, name) for name in names for title in draw.sample(DEPARTMENTS[name], 2)]
    chosen.append((draw.choice(ODD_ONES), ""))
    draw.shuffle(chosen)
    items = tuple(
        Item(f"{number}.{place}", f"{title} No. {draw.randrange(500)}", (name,) if name else ())
        for place, (title, name) in enumerate(chosen)
    )
    bundles = [frozenset(place for place, (_, own) in enumerate(chosen) if own == name) for name in names]
    intents = tuple(name.split(" > ")[1] for name in names)
    return LabelledSession(Session(f"s{number}", items), tuple(bundles), intents)


def small_split(first: int, count: int) -> list[LabelledSession]:
    """Return sessions ``first`` to ``first + count - 1``."""
    return [small_session(number) for number in range(first, first + count)]


def without_categories(session: Session) -> Session:
    """Return the session with no category given."""
    return Session(session.session_id, tuple(Item(item.item_id, item.title) for item in session.items))
