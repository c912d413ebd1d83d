"""Everything that the page shows, as plain data: read from finished runs, before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_routedk.comparison.plan import PROPOSED, Given, make_plan
from recbole_routedk.comparison.summary import RANKED_BY, Summary, summarise
from recbole_routedk.data.atomic import read_atomic
from recbole_routedk.errors import UserError
from recbole_routedk.registry import dataset_folder
from recbole_routedk.report.curves import Curve, read_curves
from recbole_routedk.report.gallery import gallery
from recbole_routedk.report.gates import Gates, routed_gates
from recbole_routedk.report.lengths import Estimate, LengthGroup, by_length, length_groups
from recbole_routedk.report.runs import LeftOut, Run, of_these_sessions, read_runs, run_folders

SESSIONS = 200
"""At most so many sessions in the gallery, by default."""


@dataclass(frozen=True)
class Gathered:
    """What one page shows; ``lengths`` holds each model's MatchedF1 in each of ``groups``."""

    summary: Summary
    proposed: tuple[str, ...]
    runs: tuple[Run, ...]
    left_out: tuple[LeftOut, ...]
    groups: tuple[LengthGroup, ...]
    lengths: dict[str, list[Estimate]]
    curves: tuple[Curve, ...]
    curve_metric: str
    gates: tuple[Gates, ...]
    gallery: dict[str, Any]

    @property
    def trained(self) -> list[str]:
        """The models with a training curve, the best first."""
        curved = {curve.name for curve in self.curves}
        return [row.name for row in self.summary.rows if row.name in curved]


def gather(
    dataset: str,
    output_dir: Path,
    data_path: Path | None = None,
    config_files: Sequence[str | Path] = (),
    sessions: int = SESSIONS,
) -> Gathered:
    """Read the runs below ``<output_dir>/<dataset>`` and the data set that they answered.

    Args:
        dataset: its name.
        output_dir: where runs were written.
        data_path: the folder of data sets; by default the data set is read from where the newest run found it.
        config_files: settings with a ``benchmark``: its runs alone are shown, and its classes that are no baselines
            are known. Without, every finished run is shown.
        sessions: at most so many sessions go into the gallery.

    Raises:
        UserError: there is no finished run, or the data set is no longer where it was.
    """
    planned, proposed = _planned(dataset, output_dir, config_files) if config_files else (None, PROPOSED)
    home = output_dir.expanduser() / dataset
    folders = planned if planned is not None else run_folders(home)
    runs, left_out = read_runs(folders)
    if not runs:
        told = "".join(f"\n  {each.folder}: {each.reason}" for each in left_out)
        raise UserError(
            f"{home} holds no finished run to show; make some with 'python -m recbole_routedk run --dataset={dataset} "
            f"--output_dir={output_dir}'{told}"
        )
    place = _data_folder(dataset, data_path, runs)
    test = read_atomic(place, dataset).test
    fitting, others = of_these_sessions(runs, test, place)
    if not fitting:
        raise UserError(
            f"no run below {home} answered the test sessions that lie in {place}; say with --data_path where theirs are"
        )
    results = [run.result for run in fitting]
    summary = summarise(results, [run.sessions for run in fitting], proposed)
    groups = length_groups({labelled.session.session_id: len(labelled.session) for labelled in test})
    metric = _curve_metric(fitting)
    return Gathered(
        summary=summary,
        proposed=tuple(proposed),
        runs=tuple(fitting),
        left_out=tuple(left_out + others),
        groups=tuple(groups),
        lengths=by_length(summary.rows, groups, RANKED_BY),
        curves=tuple(read_curves(sorted(fitting, key=lambda run: run.seed), metric)),
        curve_metric=metric,
        gates=tuple(routed_gates(fitting, summary.rows)),
        gallery=gallery(test, _one_run_each(fitting, summary), sessions),
    )


def _planned(dataset: str, output_dir: Path, files: Sequence[str | Path]) -> tuple[list[Path], tuple[str, ...]]:
    """The run folders that settings plan, in order, and the classes that are no baselines."""
    plan = make_plan(Given(files, {}, {"output_dir": str(output_dir)}), None, dataset)
    return [run.config().run_folder for run in plan.runs], plan.board.proposed


def _data_folder(dataset: str, data_path: Path | None, runs: Sequence[Run]) -> Path:
    if data_path is not None:
        return dataset_folder(dataset, data_path)
    newest = max(runs, key=lambda run: str(run.result["finished"]))
    place = Path(str(newest.settings.get("data_path", "")))
    if not (place / f"{dataset}.item").is_file():
        raise UserError(f"the data set {dataset} is no longer at {place}; say where it is with --data_path")
    return place


def _curve_metric(runs: Sequence[Run]) -> str:
    """The metric that the runs were chosen by, as tensorboard logs name it; the commonest where they differ."""
    metrics = [str(run.settings.get("valid_metric", RANKED_BY)).lower() for run in runs]
    return max(sorted(set(metrics)), key=metrics.count)


def _one_run_each(runs: Sequence[Run], summary: Summary) -> list[Run]:
    """The run with the lowest seed of each model, the best model first."""
    return [min((run for run in runs if run.name == row.name), key=lambda run: run.seed) for row in summary.rows]
