"""One row a model: mean and spread over the seeds that it was run with, and tests against the best baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

from recbole_routedk.comparison.significance import Difference, holm, mean_interval, paired_difference
from recbole_routedk.evaluation.session_scores import SESSION_SCORES

RANKED_BY = "matchedf1"
RESULT_OF = {"test": "test_result", "valid": "best_valid_result"}
"""What a result calls the metrics of a split."""
TESTED = ("matchedf1", "bundlef1")
REFERENCES = ("Teacher",)
"""Models that are neither proposed nor baselines: what a proposed one is made of, answering alone."""
SIMPLE = "TitleCluster"
"""The honest simple baseline, which every model is compared with."""
COSTS = (
    "trained_parameters",
    "parameters",
    "train_seconds",
    "sessions_per_second",
    "peak_memory_mib",
    "teacher_dollars",
)

Result = Mapping[str, Any]
SessionScores = Mapping[str, Mapping[str, Any]]
"""What a run keeps of single sessions (``sessions_test.json``): by session id, then by metric."""


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over runs; None where there is one run."""

    mean: float
    std: float | None

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        """Sum up the values of at least one run."""
        return Spread(fmean(values), stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True)
class Tested:
    """A difference to the model compared with, and its p after Holm's correction over all rows of the table."""

    difference: Difference
    adjusted_p: float


@dataclass(frozen=True)
class Row:
    """A model of the leaderboard.

    ``intervals`` are of the metrics that are tested, over sessions; ``against`` holds the tests against the best
    baseline, empty for that itself and where runs keep no scores of single sessions.
    """

    name: str
    model: str
    seeds: tuple[int, ...]
    metrics: dict[str, Spread]
    valid: Spread | None
    costs: dict[str, float]
    sessions: dict[str, dict[str, float]]
    intervals: dict[str, tuple[float, float]]
    against: dict[str, Tested]


@dataclass(frozen=True)
class Summary:
    """The rows of a data set, the best first; ``baseline`` is the name that the others were tested against.

    ``test_on`` is the other data set whose test sessions all rows answered, None where they did not.
    """

    dataset: str
    rows: tuple[Row, ...]
    baseline: str | None
    split: str = "test"
    test_on: str | None = None


def summarise(
    results: Sequence[Result], sessions: Sequence[SessionScores], proposed: Sequence[str], split: str = "test"
) -> Summary:
    """Sum up the runs of one data set on one split.

    Args:
        results: what each run reached (``result.json``).
        sessions: each run's scores of single sessions of the split; empty where it kept none.
        proposed: classes that are no baselines. The best of the others, by MatchedF1 and without ``REFERENCES``, is
            what all rows are tested against, on scores averaged over seeds.
        split: test, or valid for studies that choose something.

    Raises:
        ValueError: the runs are of several data sets.
    """
    datasets = {str(result["dataset"]) for result in results}
    if len(datasets) > 1:
        raise ValueError(f"one summary holds one data set, not {sorted(datasets)}")
    # A model that was run twice with a seed answered alike: it is one run, not a spread of none.
    by_name: dict[str, dict[int, int]] = {}
    for place, result in enumerate(results):
        by_name.setdefault(result["name"], {})[int(result.get("seed", 0))] = place
    rows = [
        _row([results[place] for place in own.values()], [sessions[place] for place in own.values()], split)
        for own in by_name.values()
    ]
    rows.sort(key=lambda row: -row.metrics[RANKED_BY].mean if RANKED_BY in row.metrics else 1.0)
    baseline = next((row.name for row in rows if row.model not in {*proposed, *REFERENCES}), None)
    tests = {} if baseline is None else differences_to(rows, baseline)
    tested = tuple(replace(row, against=tests.get(row.name, {})) for row in rows)
    tested_on = {result.get("test_on") for result in results}
    elsewhere = tested_on.pop() if split == "test" and len(tested_on) == 1 else None
    return Summary(datasets.pop() if datasets else "", tested, baseline, split, elsewhere)


def differences_to(rows: Sequence[Row], name: str) -> dict[str, dict[str, Tested]]:
    """Test every other row against the row ``name``, by row and metric; Holm's correction is over the rows.

    Differences are positive where the other row is better. Rows that answered other sessions are left out.
    """
    own = next(row for row in rows if row.name == name)
    others = [row for row in rows if row is not own and row.sessions and row.sessions.keys() == own.sessions.keys()]
    tests: dict[str, dict[str, Tested]] = {row.name: {} for row in others}
    for metric in TESTED:
        gaps = [_difference(row, own, metric) for row in others]
        for row, gap, adjusted in zip(others, gaps, holm([gap.p for gap in gaps]), strict=True):
            tests[row.name][metric] = Tested(gap, adjusted)
    return tests


def _row(results: Sequence[Result], sessions: Sequence[SessionScores], split: str) -> Row:
    first, scores = results[0], [result[RESULT_OF[split]] for result in results]
    # Runs may have reported other metrics: a mean is one over all seeds.
    metrics = {key: Spread.of([each[key] for each in scores]) for key in scores[0] if all(key in own for own in scores)}
    scored = [result["best_valid_score"] for result in results if result.get("best_valid_score") is not None]
    costs = {
        key: fmean(values) for key in COSTS if (values := [own[key] for own in results if own.get(key) is not None])
    }
    mean = _over_seeds(sessions)
    seed = int(first.get("seed", 0))
    intervals = {key: mean_interval([own[key] for own in mean.values()], seed) for key in TESTED} if mean else {}
    return Row(
        name=first["name"],
        model=first.get("model", first["name"]),
        seeds=tuple(int(result.get("seed", 0)) for result in results),
        metrics=metrics,
        valid=Spread.of(scored) if scored else None,
        costs=costs,
        sessions=mean,
        intervals=intervals,
        against={},
    )


def _over_seeds(runs: Sequence[SessionScores]) -> dict[str, dict[str, float]]:
    """Each session's scores, averaged over the runs; empty where they did not answer the same sessions."""
    if not runs or any(run.keys() != runs[0].keys() for run in runs):
        return {}
    return {name: {key: fmean(run[name][key] for run in runs) for key in SESSION_SCORES} for name in runs[0]}


def _difference(row: Row, other: Row, metric: str) -> Difference:
    names = list(row.sessions)
    own, others = ([each.sessions[name][metric] for name in names] for each in (row, other))
    return paired_difference(own, others, row.seeds[0])
