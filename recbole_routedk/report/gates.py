"""How a router weighs its experts on each test session, and which expert alone would have been best there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from recbole_routedk.comparison.summary import RANKED_BY, Row
from recbole_routedk.model.routedk import EXPERTS
from recbole_routedk.report.runs import Run

_ALIKE = 1e-9
"""Scores nearer than this are the same."""
_SAME_GATES = 1e-3
"""Relative to the highest: where a router prefers one expert, the gates of the others are small, and differ still."""


@dataclass(frozen=True)
class Gates:
    """The gates of a model, averaged over its seeds.

    ``weights`` holds one number an expert for each test session, ``best`` the place of the one expert that alone was
    best on it, None where several were; ``best`` is empty where runs of experts alone are not there (``missing``).
    """

    name: str
    experts: tuple[str, ...]
    weights: Mapping[str, tuple[float, ...]]
    best: Mapping[str, int | None]
    missing: tuple[str, ...]

    def highest(self, session: str) -> int:
        """The place of the expert with the highest weight; of equals the first."""
        weights = self.weights[session]
        return weights.index(max(weights))

    def colour_of(self, session: str) -> int | None:
        """The expert that a picture shows the session by: the best one, or without ``best`` the highest."""
        return self.best[session] if self.best else self.highest(session)

    def right(self) -> tuple[int, int, int]:
        """(sessions where the highest gate is the best expert, sessions with one best expert, of the commonest one)."""
        clear = {key: place for key, place in self.best.items() if place is not None}
        places = list(clear.values())
        hits = sum(self.highest(key) == place for key, place in clear.items())
        return hits, len(clear), max((places.count(place) for place in set(places)), default=0)


def routed_gates(runs: Sequence[Run], rows: Sequence[Row]) -> list[Gates]:
    """The gates of every model of which they differ between sessions, in the order of ``rows``."""
    by_name = {row.name: row for row in rows}
    found = []
    for row in rows:
        own = [run for run in runs if run.name == row.name]
        weights = _mean_weights(own)
        if any(max(parts) - min(parts) > _SAME_GATES * max(parts) for parts in zip(*weights.values(), strict=True)):
            found.append(_gates(own[0], weights, runs, by_name))
    return found


def expert_names(run: Run, count: int) -> tuple[str, ...]:
    """The experts in the order of the gates; numbered where the run's settings do not name that many."""
    formats = set(run.settings.get("knowledge_format") or ())
    names = tuple(name for name, view in EXPERTS.items() if set(view) <= formats)
    return names if len(names) == count else tuple(f"expert {number + 1}" for number in range(count))


def _mean_weights(runs: Sequence[Run]) -> dict[str, tuple[float, ...]]:
    """Each session's gates, averaged over runs; empty for a model without at least two experts."""
    counts = {len(told["gates"]) for run in runs for told in run.sessions.values()}
    if len(counts) != 1 or counts.pop() < 2:
        return {}
    return {
        key: tuple(map(fmean, zip(*(run.sessions[key]["gates"] for run in runs), strict=True)))
        for key in runs[0].sessions
    }


def _gates(run: Run, weights: Mapping[str, tuple[float, ...]], runs: Sequence[Run], rows: Mapping[str, Row]) -> Gates:
    experts = expert_names(run, len(next(iter(weights.values()))))
    alone = [_alone(run, expert, runs, rows) for expert in experts]
    missing = tuple(expert for expert, row in zip(experts, alone, strict=True) if row is None)
    scored = [row.sessions for row in alone if row is not None]
    best = {} if missing else {key: _only_best([sessions[key] for sessions in scored]) for key in weights}
    return Gates(run.name, experts, weights, best, missing)


def _alone(run: Run, expert: str, runs: Sequence[Run], rows: Mapping[str, Row]) -> Row | None:
    """The expert alone, of the runs whose settings are most like those of ``run``; None where there is none."""
    candidates = [
        other
        for other in runs
        if other.result["model"] == run.result["model"]
        and other.settings.get("fusion") == expert
        and rows[other.name].sessions
    ]
    if not candidates:
        return None
    nearest = min(
        candidates,
        key=lambda other: (sum(other.settings.get(key) != value for key, value in run.settings.items()), other.name),
    )
    return rows[nearest.name]


def _only_best(scores: Sequence[Mapping[str, float]]) -> int | None:
    values = [score[RANKED_BY] for score in scores]
    best = [place for place, value in enumerate(values) if value > max(values) - _ALIKE]
    return best[0] if len(best) == 1 else None
