"""What a conversion left out, mended or kept on purpose: counted by reason, with the first places."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

_EXAMPLES = 3


class Reason(Enum):
    """Why a row did not come through as it stands, or what the reader should know of it."""

    SESSION_WITHOUT_BUNDLE = "sessions without a bundle: left out"
    SESSION_WITHOUT_USABLE_BUNDLE = "sessions with no usable bundle: left out"
    SESSION_NOT_IN_SPLIT = "sessions with a bundle that split.json does not name: left out"
    SPLIT_SESSION_WITHOUT_BUNDLE = "sessions of split.json without a usable bundle: left out"
    REPEATED_ITEM = "items repeated in their session: first place kept"
    BUNDLE_OF_UNKNOWN_SESSION = "session_bundle.csv rows of a session without items: left out"
    BUNDLE_WITHOUT_SESSION = "bundle_item.csv rows of a bundle without a session: left out"
    ITEM_OUTSIDE_SESSION = "bundle items outside their session: left out"
    BUNDLE_TOO_SMALL = "bundles of fewer than two items: left out"
    REPEATED_ROW = "rows that repeat an earlier row: left out"
    CONFLICTING_ROW = "rows that contradict an earlier row on the same id: left out, first kept"
    SPACED_ID = "ids with white space around them: stripped"
    UNUSED_TITLE = "title rows of items in no kept session: left out"
    UNUSED_CATEGORIES = "category rows of items in no kept session: left out"
    UNUSED_INTENT = "intent rows of bundles that are not kept: left out"
    TITLE_MISSING = "items without a title: kept with an empty one"
    CATEGORIES_MISSING = "items without a category: kept with none"
    INTENT_MISSING = "bundles without an intent: kept with an empty one"
    REDUNDANT_BUNDLE = "bundles equal to or around another of their session: kept, not counted in scores"
    TITLE_WITH_ENTITY = "titles with HTML entities: kept as they are"


@dataclass(slots=True)
class ConversionReport:
    """Counts of one conversion; ``split_rule`` says in words where the split comes from."""

    source: str
    split_rule: str = ""
    sessions: dict[str, int] = field(default_factory=dict)
    bundles: dict[str, int] = field(default_factory=dict)
    items: int = 0
    counts: Counter[Reason] = field(default_factory=Counter)
    places: dict[Reason, list[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def count(self, reason: Reason, place: str) -> None:
        """Count one row under a reason and remember the first places."""
        self.counts[reason] += 1
        places = self.places.setdefault(reason, [])
        if len(places) < _EXAMPLES:
            places.append(place)

    def lines(self) -> list[str]:
        """Return the report as readable lines."""
        total = f"{sum(self.sessions.values())} sessions, {sum(self.bundles.values())} bundles"
        lines = [f"{self.source}: {total}, {self.items} items", f"Split: {self.split_rule}"]
        for split, sessions in self.sessions.items():
            lines.append(f"  {split:<5} {sessions:>6} sessions {self.bundles[split]:>6} bundles")
        lines.append("Rows left out, mended or worth knowing:")
        for reason in Reason:
            if self.counts[reason]:
                places = "; ".join(self.places[reason])
                more = ", ..." if self.counts[reason] > len(self.places[reason]) else ""
                lines.append(f"  {self.counts[reason]:>6}  {reason.value} ({places}{more})")
        if not self.counts:
            lines.append("  none")
        return lines + [f"Warning: {warning}" for warning in self.warnings]

    def as_dict(self) -> dict[str, object]:
        """Return the report as JSON-able values; every reason is present, zero where nothing was met."""
        return {
            "source": self.source,
            "split_rule": self.split_rule,
            "sessions": dict(self.sessions),
            "bundles": dict(self.bundles),
            "items": self.items,
            "warnings": list(self.warnings),
            "rows": {reason.name.lower(): self._row(reason) for reason in Reason},
        }

    def _row(self, reason: Reason) -> dict[str, object]:
        places = list(self.places.get(reason, []))
        return {"count": self.counts[reason], "meaning": reason.value, "first_places": places}
