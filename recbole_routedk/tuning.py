"""Search for settings on the valid split, by RecBole's HyperTuning: seeded, logged trial by trial, resumable."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from hyperopt import fmin, rand, space_eval, tpe
from hyperopt.base import spec_from_misc
from recbole.trainer.hyper_tuning import HyperTuning

from recbole_routedk.comparison.plan import parse_model
from recbole_routedk.comparison.runner import leaderboard_folder
from recbole_routedk.config import UNHASHED, Config
from recbole_routedk.errors import UserError
from recbole_routedk.provenance import code
from recbole_routedk.quick_start import run_recbole_routedk
from recbole_routedk.search_space import Space, check_space, read_space
from recbole_routedk.trials import Trial, TrialLog, best, score_text, settings_text

ALGORITHMS = {"bayes": tpe.suggest, "random": rand.suggest}
"""RecBole's names; "exhaustive" is not needed, since nothing is proposed twice."""

TRIALS = 20
_ATTEMPTS = 200  # to find settings that were not tried; then the space is taken to be used up
_DIGITS = 3  # of a number that is drawn: no more are worth writing into a YAML file

Suggest = Callable[..., list[Any]]


@dataclass(frozen=True)
class Search:
    """What is searched for one model: its settings without the searched ones, and their space."""

    model: str
    config: Config
    space: Space
    files: Sequence[str | Path]
    fixed: Mapping[str, Any]
    companions: Sequence[str]

    @property
    def log(self) -> Path:
        """The JSON lines of all trials of this model on this data set."""
        return leaderboard_folder(self.config) / "tuning" / f"{self.model}.jsonl"

    @property
    def defaults(self) -> dict[str, Any]:
        """The searched settings as they are configured: the first trial."""
        return {key: self.config.settings[key] for ranges in self.space.values() for key in ranges}

    def with_settings(self, drawn: Mapping[str, Any]) -> Config:
        """The configuration of a trial."""
        return Config(self.model, self.config.dataset, self.files, None, {**self.fixed, **drawn}, self.companions)


def searches(
    models: Sequence[str],
    dataset: str | None = None,
    config_file_list: Sequence[str | Path] | None = None,
    command_line: Mapping[str, Any] | None = None,
    params_file: Path | None = None,
) -> list[Search]:
    """Check the settings and search spaces of all models, before the first trial; UserError where one is wrong.

    A space is ``params_file`` or ``properties/tuning/<Name>.yaml``, less the settings that the command line fixes.
    """
    parsed = [(name, dict(command_line or {}) | own) for name, own in map(parse_model, models)]
    names = [name for name, _ in parsed]
    if len(set(names)) < len(names):
        raise UserError("tune takes each model once: its trials are kept in one file")
    if command_line and {"run_name", "checkpoint_dir"} & set(command_line):
        raise UserError("tune keeps no run; leave out --run_name and --checkpoint_dir")
    found = []
    for name, own in parsed:
        config = Config(name, dataset, config_file_list, None, own, names)
        space, source = read_space(name, params_file)
        check_space(space, config.schema, UNHASHED, source)
        free = {kind: {key: each for key, each in ranges.items() if key not in own} for kind, ranges in space.items()}
        space = {kind: ranges for kind, ranges in free.items() if ranges}
        found.append(Search(name, config, space, list(config_file_list or ()), own, names))
    return found


def tune(search: Search, trials: int = TRIALS, algorithm: str = "bayes", early_stop: int = 0) -> list[Trial]:
    """Try settings, the configured ones first, and return the trials in order; no test session is answered.

    ``trials`` counts the configured settings too. ``early_stop`` > 0 ends after so many proposals without a better
    score (RecBole's HyperTuning does so after ten, untold). Every trial is added to ``search.log`` when it is done; a
    search that was stopped proposes the same again and takes the results from there, whatever code made them: move the
    file away to search anew. Raises UserError.
    """
    study = _Study(search, trials)
    study.objective({})
    if search.space and trials > 1:
        seed = int(search.config["seed"])
        SeededTuning(study, ALGORITHMS[algorithm], trials - 1, early_stop or trials, seed).run()
    return study.trials


class SeededTuning(HyperTuning):
    """RecBole's search, from a seed, without proposing the same settings twice."""

    def __init__(self, study: _Study, suggest: Suggest, trials: int, patience: int, seed: int) -> None:
        tried = [study.search.defaults]

        def unseen(new_ids: list[int], domain: Any, hyperopt_trials: Any, draw: int) -> list[Any]:
            for attempt in range(_ATTEMPTS):
                documents = suggest(new_ids, domain, hyperopt_trials, draw + attempt)
                proposal = _plain(space_eval(self.space, spec_from_misc(documents[0]["misc"])))
                if proposal not in tried:
                    tried.append(proposal)
                    return documents
            return []  # ends the search

        super().__init__(
            study.objective, params_dict=study.search.space, algo=unseen, max_evals=trials, early_stop=patience
        )
        self._seed = seed

    def run(self) -> None:
        """Search; what RecBole prints of every trial is dropped, since the study tells it."""
        with redirect_stdout(io.StringIO()):
            fmin(
                self.trial,
                self.space,
                algo=self.algo,
                max_evals=self.max_evals,
                early_stop_fn=self.early_stop_fn,
                rstate=np.random.default_rng(self._seed),
                show_progressbar=False,
                return_argmin=False,
            )

    @staticmethod
    def _print_result(result_dict: dict[str, Any]) -> None:
        """Say nothing: the stock version prints a test result, and there is none."""


class _Study:
    """The trials of one search so far."""

    def __init__(self, search: Search, planned: int) -> None:
        self.search, self._planned = search, planned
        self.trials: list[Trial] = []
        self._log = TrialLog(search.log)
        self._known = {trial["run"]: trial for trial in self._log.read()}

    def objective(self, drawn: Mapping[str, Any], _files: object = None) -> dict[str, Any]:
        """Train with these settings, unless the log knows what comes of it; returns what RecBole's search reads."""
        settings = _plain(drawn)
        config = self.search.with_settings(settings)
        run = config.run_folder.name
        if run not in self._known:
            self._known[run] = self._run(config, settings)
            self._log.append(self._known[run])
        # What a wider space, or another one, has tried before may be in the log.
        trial = self._known[run] | {"settings": {key: config.settings[key] for key in self.search.defaults}}
        self.trials.append(trial)
        self._say(trial)
        worst = float("-inf") if trial["valid_score_bigger"] else float("inf")
        return {
            "model": self.search.model,
            "best_valid_score": worst if trial["score"] is None else trial["score"],
            "valid_score_bigger": trial["valid_score_bigger"],
            "best_valid_result": trial["valid"],
            "test_result": {},
        }

    def _run(self, config: Config, drawn: Mapping[str, Any]) -> Trial:
        search, started = self.search, time.perf_counter()
        own = {**search.fixed, **drawn}
        try:
            result = run_recbole_routedk(
                search.model, config.dataset, search.files, None, False, own, search.companions, test=False
            )
            score, valid, error = result["best_valid_score"], result["best_valid_result"], None
        except UserError as problem:  # such as a loss that is not finite: these settings are bad, others may be good
            score, valid, error = None, {}, str(problem)
        return {
            "run": config.run_folder.name,
            "model": search.model,
            "dataset": config.dataset,
            "seed": config["seed"],
            "settings": {key: config.settings[key] for key in search.defaults},
            "valid_metric": config["valid_metric"],
            "valid_score_bigger": bool(config["valid_metric_bigger"]),
            "score": score,
            "valid": valid,
            "error": error,
            "seconds": round(time.perf_counter() - started, 2),
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "code": code(),
        }

    def _say(self, trial: Trial) -> None:
        told = f"{self.search.model}, trial {len(self.trials)} of {self._planned}: {score_text(trial)}"
        told += f" in {trial['seconds']} s, best {score_text(best(self.trials))}; {settings_text(trial)}"
        if trial["code"] != code():
            told += f" (from the log, by code {trial['code']['commit']} {trial['code']['digest']})"
        print(told, file=sys.stderr)


def _plain(value: Any) -> Any:
    """Drawn settings as a YAML file has them: few digits, whole numbers as such, lists for hyperopt's tuples."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else float(f"{value:.{_DIGITS}g}")
    return value
