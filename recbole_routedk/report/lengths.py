"""A metric by the number of items of a session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from recbole_routedk.comparison.significance import mean_interval
from recbole_routedk.comparison.summary import Row
from recbole_routedk.progress import progress_bar

GROUPS = 5
"""At most so many groups: with more, the intervals of usual test splits would overlap throughout."""


@dataclass(frozen=True)
class LengthGroup:
    """Test sessions with ``low`` to ``high`` items."""

    low: int
    high: int
    sessions: tuple[str, ...]

    @property
    def title(self) -> str:
        """As an axis shows it: "4" or "4-6"."""
        return str(self.low) if self.low == self.high else f"{self.low}–{self.high}"


@dataclass(frozen=True)
class Estimate:
    """A mean over sessions and its bootstrap interval (95%)."""

    mean: float
    low: float
    high: float


def length_groups(lengths: Mapping[str, int], most: int = GROUPS) -> list[LengthGroup]:
    """Part sessions, given with their number of items, into at most ``most`` groups of about the same size.

    Sessions of the same length are never parted.
    """
    counts = sorted(Counter(lengths.values()).items())
    groups: list[list[int]] = []
    before, last = 0, -1
    for length, count in counts:
        # A length belongs to the group that its middle session falls into.
        place = int((before + count / 2) * most / len(lengths))
        if place != last:
            groups.append([])
        groups[-1].append(length)
        before, last = before + count, place
    return [
        LengthGroup(own[0], own[-1], tuple(key for key, length in lengths.items() if own[0] <= length <= own[-1]))
        for own in groups
    ]


def by_length(rows: Sequence[Row], groups: Sequence[LengthGroup], metric: str) -> dict[str, list[Estimate]]:
    """Each model's mean of ``metric``, averaged over seeds, in each group; models without scores of sessions miss."""
    scored = [row for row in rows if row.sessions]
    found = {}
    with progress_bar(len(scored), "scores by length", "model") as bar:
        for row in scored:
            found[row.name] = [_estimate(row, group, metric) for group in groups]
            bar.update()
    return found


def _estimate(row: Row, group: LengthGroup, metric: str) -> Estimate:
    values = [row.sessions[key][metric] for key in group.sessions]
    return Estimate(fmean(values), *mean_interval(values, row.seeds[0]))
