"""Make the data set bundle-mini from its hand-written catalogue: the same files for the same seed.

Usage: ``python dataset/bundle-mini/make_bundle_mini.py [--seed 42] [--out FOLDER]``
"""

from __future__ import annotations

import argparse
import csv
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recbole_routedk.data.atomic import SplitSessions, write_atomic
from recbole_routedk.data.session import Bundle, Item, LabelledSession, Session

HERE = Path(__file__).resolve().parent
NAME = "bundle-mini"
CATALOGUES = ("electronics.tsv", "home-kitchen.tsv", "sports-outdoors.tsv")
SPLIT_SIZES = {"train": 60, "valid": 20, "test": 40}

SHORTEST, LONGEST = 3, 10
INTENTS_PER_SESSION = {1: 0.3, 2: 0.45, 3: 0.25}
ITEMS_PER_INTENT = {2: 0.35, 3: 0.4, 4: 0.25}
NOISE_ITEMS = {0: 0.3, 1: 0.35, 2: 0.25, 3: 0.1}
# How often a session stays in one department: near intents are harder to tell apart than far ones.
SAME_DEPARTMENT = 0.75
# How often two intents of a session are chosen because an item serves both.
SHARED_ITEM = 0.25
# How often an item is drawn from all that fit instead of from those seen least so far.
REPEATED_ITEM = 0.15
WITHOUT_CATEGORY = 0.08


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """One hand-written product: its department, category path, title and the intents that it serves."""

    department: str
    category: str
    title: str
    intents: tuple[str, ...]

    @property
    def home(self) -> str:
        """The intent that the item was written for."""
        return self.intents[0]


@dataclass(slots=True)
class Shop:
    """The catalogue, and how often each intent and each item was used so far."""

    items: tuple[CatalogueItem, ...]
    rng: random.Random
    intent_uses: Counter[str] = field(default_factory=Counter)
    item_uses: Counter[str] = field(default_factory=Counter)

    def intents(self) -> list[str]:
        """Return every intent, in catalogue order."""
        return list(dict.fromkeys(item.home for item in self.items))

    def department(self, intent: str) -> str:
        """Return the department of an intent."""
        return next(item.department for item in self.items if item.home == intent)

    def pick_intent(self, choices: Sequence[str]) -> str:
        """Return one of the intents used least, so that no intent stays within one split."""
        least = min(self.intent_uses[intent] for intent in choices)
        intent = self.rng.choice([one for one in choices if self.intent_uses[one] == least])
        self.intent_uses[intent] += 1
        return intent

    def pick_item(self, choices: Sequence[CatalogueItem]) -> CatalogueItem:
        """Return one of the items, mostly one seen least: most test items are unseen in training."""
        if self.rng.random() >= REPEATED_ITEM:
            least = min(self.item_uses[item.title] for item in choices)
            choices = [item for item in choices if self.item_uses[item.title] == least]
        item = self.rng.choice(choices)
        self.item_uses[item.title] += 1
        return item


def read_catalogue(folder: Path) -> tuple[CatalogueItem, ...]:
    """Return the items of every department file, in file order."""
    items = []
    for name in CATALOGUES:
        for row in _rows(folder / name):
            department = row["category"].split(" > ")[0]
            items.append(CatalogueItem(department, row["category"], row["title"], tuple(row["intents"].split(","))))
    return tuple(items)


def read_phrases(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the phrases that annotate each intent."""
    return {row["intent"]: tuple(row["phrases"].split("|")) for row in _rows(folder / "intents.tsv")}


def make_splits(items: tuple[CatalogueItem, ...], phrases: dict[str, tuple[str, ...]], seed: int) -> SplitSessions:
    """Return the sessions of every split with their gold bundles and intents."""
    rng = random.Random(seed)
    shop = Shop(items, rng)
    drafts = {split: [_draft(shop) for _ in range(size)] for split, size in SPLIT_SIZES.items()}
    known = _items_with_ids(shop, [draft for part in drafts.values() for draft in part])
    numbers = rng.sample(range(1000), sum(SPLIT_SIZES.values()))
    splits = {
        split: tuple(_label(f"s{numbers.pop():03d}", draft, known, phrases, rng) for draft in part)
        for split, part in drafts.items()
    }
    return SplitSessions(**splits)


def gold_bundles(items: Sequence[CatalogueItem]) -> dict[str, Bundle]:
    """Return the bundle of every intent that two or more items of the session serve."""
    served: dict[str, set[int]] = {}
    for position, item in enumerate(items):
        for intent in item.intents:
            served.setdefault(intent, set()).add(position)
    return {intent: frozenset(places) for intent, places in served.items() if len(places) > 1}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the atomic files next to this script, or into another folder."""
    parser = argparse.ArgumentParser(description="Make the data set bundle-mini from its catalogue.")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args(arguments)
    catalogue = HERE / "catalog"
    splits = make_splits(read_catalogue(catalogue), read_phrases(catalogue), options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    write_atomic(options.out, NAME, splits)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


def _weighted(rng: random.Random, weights: dict[int, float]) -> int:
    return rng.choices(list(weights), list(weights.values()))[0]


def _draft(shop: Shop) -> list[CatalogueItem]:
    """Return the shuffled items of one session, drawn again until its gold bundles are the wanted ones."""
    intent_uses, item_uses = shop.intent_uses.copy(), shop.item_uses.copy()
    while True:
        intents = _pick_intents(shop)
        items = _pick_items(shop, intents)
        if _is_sound(items, intents):
            shop.rng.shuffle(items)
            return items
        shop.intent_uses, shop.item_uses = intent_uses.copy(), item_uses.copy()


def _pick_intents(shop: Shop) -> list[str]:
    everything = shop.intents()
    intents = [shop.pick_intent(everything)]
    for _ in range(_weighted(shop.rng, INTENTS_PER_SESSION) - 1):
        others = [intent for intent in everything if intent not in intents]
        linked = [intent for intent in others if _shared_items(shop, intent, intents[0])]
        near = [intent for intent in others if shop.department(intent) == shop.department(intents[0])]
        if linked and shop.rng.random() < SHARED_ITEM:
            others = linked
        elif shop.rng.random() < SAME_DEPARTMENT:
            others = near
        intents.append(shop.pick_intent(others))
    return intents


def _pick_items(shop: Shop, intents: Sequence[str]) -> list[CatalogueItem]:
    items: list[CatalogueItem] = []
    for intent in intents[1:]:
        shared = [item for item in _shared_items(shop, intent, intents[0]) if item not in items]
        if shared:
            items.append(shop.pick_item(shared))
    for intent in intents:
        for _ in range(_weighted(shop.rng, ITEMS_PER_INTENT)):
            items.append(shop.pick_item([one for one in _serving(shop, intent) if one not in items]))
    for _ in range(_weighted(shop.rng, NOISE_ITEMS)):
        items.append(shop.pick_item(_noise(shop, items)))
    return items


def _serving(shop: Shop, intent: str) -> list[CatalogueItem]:
    return [item for item in shop.items if intent in item.intents]


def _shared_items(shop: Shop, first: str, second: str) -> list[CatalogueItem]:
    return [item for item in _serving(shop, first) if second in item.intents]


def _noise(shop: Shop, items: Sequence[CatalogueItem]) -> list[CatalogueItem]:
    """Return the items that share no intent with the session, mostly those of a department in it."""
    taken = {intent for item in items for intent in item.intents}
    departments = {item.department for item in items}
    others = [item for item in shop.items if taken.isdisjoint(item.intents)]
    if shop.rng.random() < SAME_DEPARTMENT:
        return [item for item in others if item.department in departments]
    return others


def _is_sound(items: Sequence[CatalogueItem], intents: Sequence[str]) -> bool:
    """Say whether the session has the right length and exactly the wanted bundles, none within another."""
    bundles = gold_bundles(items)
    redundant = any(one <= other for one in bundles.values() for other in bundles.values() if one is not other)
    return SHORTEST <= len(items) <= LONGEST and set(bundles) == set(intents) and not redundant


def _items_with_ids(shop: Shop, drafts: Sequence[list[CatalogueItem]]) -> dict[str, Item]:
    """Return the items by title, with ids that tell nothing about their intent."""
    bare = _bare_titles(shop, drafts)
    numbers = shop.rng.sample(range(10000, 100000), len(shop.items))
    return {
        item.title: Item(str(number), item.title, () if item.title in bare else (item.category,))
        for number, item in zip(numbers, shop.items, strict=True)
    }


def _bare_titles(shop: Shop, drafts: Sequence[list[CatalogueItem]]) -> set[str]:
    """Return the titles that lose their category: as many inside bundles as outside, in proportion."""
    inside: list[str] = []
    outside: list[str] = []
    for draft in drafts:
        bundled = {position for bundle in gold_bundles(draft).values() for position in bundle}
        for position, item in enumerate(draft):
            (inside if position in bundled else outside).append(item.title)
    titles = sorted({*inside, *outside})
    while True:
        bare = set(shop.rng.sample(titles, round(WITHOUT_CATEGORY * len(titles))))
        shares = [sum(title in bare for title in part) / len(part) for part in (inside, outside)]
        if max(shares) - min(shares) < 0.01:
            return bare


def _label(
    session_id: str,
    draft: Sequence[CatalogueItem],
    known: dict[str, Item],
    phrases: dict[str, tuple[str, ...]],
    rng: random.Random,
) -> LabelledSession:
    session = Session(session_id, tuple(known[item.title] for item in draft))
    bundles = list(gold_bundles(draft).items())
    # The order of the bundles must not tell which intent was drawn first.
    rng.shuffle(bundles)
    intents = tuple(rng.choice(phrases[intent]) for intent, _ in bundles)
    return LabelledSession(session, tuple(bundle for _, bundle in bundles), intents)


if __name__ == "__main__":
    main()
