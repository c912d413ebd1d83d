"""Runs what a plan says, one folder a run, goes on past failures, and writes a leaderboard for each data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole_routedk.comparison.files import write_leaderboard
from recbole_routedk.comparison.finished import finished_run
from recbole_routedk.comparison.plan import Given, PlannedRun, make_plan
from recbole_routedk.config import Config
from recbole_routedk.distributed import from_first, is_first, together
from recbole_routedk.errors import UserError
from recbole_routedk.quick_start import run_recbole_routedk
from recbole_routedk.run_lock import make_folder


class SomeFailed(UserError):
    """Some of the compared runs failed; ``results`` holds those of the others."""

    def __init__(self, failed: Mapping[str, str], results: list[dict[str, Any]]) -> None:
        told = "".join(f"\n  {run}: {message}" for run, message in failed.items())
        runs = len(failed) + len(results)
        super().__init__(f"{len(failed)} of {runs} runs failed (with --resume the finished ones are kept):{told}")
        self.results = results


def compare_models(
    models: Sequence[str] | None = None,
    dataset: str | None = None,
    config_file_list: Sequence[str | Path] | None = None,
    config_dict: Mapping[str, Any] | None = None,
    command_line: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Run the models, and write one leaderboard a data set, anew after each run.

    ``models`` are by default those of the setting ``benchmark``, else of ``model``, with the configured ``baselines``
    beside them; ``RouteDK:fusion=base`` is a model with settings of its own. All get the same settings; one that only
    some models know reaches only those. Where ``benchmark`` says ``split: valid``, no test session is answered.
    With ``resume`` a run that these settings, code and libraries have finished on this data is not repeated, and where
    only some runs of a ``benchmark`` are asked for, its others that are finished stay on the board. Returns the
    results; the leaderboards lie in ``<output_dir>/<dataset>/``. Raises SomeFailed, at the end, where some failed.
    """
    plan = make_plan(Given(config_file_list or (), config_dict or {}, command_line or {}), models, dataset)
    # Every setting of every run is checked before the first of them trains for an hour.
    runs = [(run, run.config()) for run in plan.runs]
    folders = [config.run_folder for _, config in runs]
    if len(set(folders)) < len(folders):
        twice = next(folder for place, folder in enumerate(folders) if folder in folders[:place])
        raise UserError(
            f"two of the runs would share the folder {twice}: leave out --run_name, and name each model, with the same "
            "settings, and each seed once"
        )
    if is_first():
        for folder in {leaderboard_folder(config) for _, config in runs}:
            make_folder(folder)
    # The cheap ones first: the peak memory of a process never falls again on some systems.
    runs.sort(key=lambda run: bool(run[1].model_class.gradient_trained))
    split = plan.board.split
    beside = from_first(partial(_others, plan.beside, folders, split))
    results: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for run, config in runs:
        try:
            finished: dict[str, Any] | None = from_first(partial(finished_run, config, split))
            results.append(finished or _run(run, split))
        except Exception as error:  # whatever it is: the other runs take hours, and it is told at the end
            if len(runs) == 1 or together():  # of several processes, the others are still within the run that failed
                raise
            getLogger().error(f"{run.model} failed: {error}", exc_info=not isinstance(error, UserError))
            failed[f"{config['dataset']}/{run.model}/{config.run_folder.name}"] = str(error) or type(error).__name__
            continue
        # After every run, so that a kill takes no other's result with it.
        own = [each for each in (*results, *beside) if each["dataset"] == config["dataset"]]
        if is_first():
            write_leaderboard(leaderboard_folder(config), own, plan.board, config["metric_decimal_place"])
    if failed:
        raise SomeFailed(failed, results)
    return results


def _run(run: PlannedRun, split: str) -> dict[str, Any]:
    given, test = run.given, split == "test"
    return run_recbole_routedk(run.model, run.dataset, given.files, given.settings, True, run.own, run.companions, test)


def _others(runs: Sequence[PlannedRun], asked: Sequence[Path], split: str) -> list[dict[str, Any]]:
    """The results of runs that are finished and are not asked for."""
    found = []
    for run in runs:
        with suppress(UserError):  # of a run that nobody asked for, such as data that are not here
            config = run.config()
            if config.run_folder not in asked and (result := finished_run(config, split)):
                found.append(result)
    if found:
        getLogger().info(f"On the board beside what is asked for: {len(found)} runs of the benchmark, finished before")
    return found


def leaderboard_folder(config: Config) -> Path:
    """Where the leaderboard of a data set is written: ``<output_dir>/<dataset>``."""
    return Path(config["output_dir"]) / config["dataset"]
