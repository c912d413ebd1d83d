"""Finds the finished runs of a data set, and says which ones cannot be shown and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_routedk.checkpoint import read_json
from recbole_routedk.comparison.summary import RANKED_BY
from recbole_routedk.data.session import Bundle, LabelledSession
from recbole_routedk.errors import UserError
from recbole_routedk.evaluation.session_scores import SESSION_SCORES
from recbole_routedk.progress import progress_bar
from recbole_routedk.quick_start import PREDICTIONS_FILES, RESULT_FILE, SESSIONS_FILES
from recbole_routedk.saved_run import CONFIG_FILE

_NEEDED = ("name", "model", "seed", "finished", "train_seconds", "sessions_per_second")


@dataclass(frozen=True)
class Run:
    """A finished run: where it lies, what it reached, its settings, and what it answered on each test session."""

    folder: Path
    result: Mapping[str, Any]
    settings: Mapping[str, Any]
    sessions: Mapping[str, Mapping[str, Any]]
    answers: Mapping[str, tuple[Bundle, ...]]

    @property
    def name(self) -> str:
        """The model as tables name it."""
        return str(self.result["name"])

    @property
    def seed(self) -> int:
        """The seed of every random choice of the run."""
        return int(self.result["seed"])


@dataclass(frozen=True)
class LeftOut:
    """A run that is not shown, and why."""

    folder: Path
    reason: str


def run_folders(home: Path) -> list[Path]:
    """The run folders below ``home`` (``<output_dir>/<dataset>``), finished or not, in the order of their names."""
    return sorted(path.parent for path in home.glob(f"*/*/{CONFIG_FILE}"))


def read_runs(folders: Sequence[Path]) -> tuple[list[Run], list[LeftOut]]:
    """Read the finished runs among ``folders``; of runs with the same name and seed only the newest is taken."""
    runs: list[Run] = []
    left_out: list[LeftOut] = []
    with progress_bar(len(folders), "reading", "run") as bar:
        for folder in folders:
            try:
                runs.append(read_run(folder))
            except UserError as error:
                left_out.append(LeftOut(folder, str(error)))
            bar.update()
    newest: dict[tuple[str, int], Run] = {}
    for run in sorted(runs, key=lambda run: str(run.result["finished"])):
        older = newest.pop((run.name, run.seed), None)
        if older is not None:
            left_out.append(LeftOut(older.folder, f"{run.folder.name} is a newer run of the same model and seed"))
        newest[run.name, run.seed] = run
    return list(newest.values()), left_out


def read_run(folder: Path) -> Run:
    """Read one run; UserError, which says why, where it is unfinished, damaged or of an older layout."""
    if not (folder / RESULT_FILE).is_file():
        raise UserError("it is not finished")
    result = read_json(folder / RESULT_FILE)
    if not result.get("test_result"):
        raise UserError("it was not tested")
    missing = [key for key in _NEEDED if key not in result]
    if missing or not (folder / SESSIONS_FILES["test"]).is_file():
        raise UserError("it is of an older layout, without the scores of single sessions; run it again")
    sessions = read_json(folder / SESSIONS_FILES["test"])
    needed = {*SESSION_SCORES, "agreement", "gates"}
    if RANKED_BY not in result["test_result"] or any(needed - told.keys() for told in sessions.values()):
        raise UserError(f"{SESSIONS_FILES['test']} or {RESULT_FILE} lacks a score; run it again")
    answers = read_json(folder / PREDICTIONS_FILES["test"])
    if answers.keys() != sessions.keys():
        raise UserError(
            f"{PREDICTIONS_FILES['test']} and {SESSIONS_FILES['test']} are not of the same sessions; run it again"
        )
    settings = read_json(folder / CONFIG_FILE).get("settings", {})
    bundles = {key: tuple(map(frozenset, answer)) for key, answer in answers.items()}
    return Run(folder, result, settings, sessions, bundles)


def of_these_sessions(
    runs: Sequence[Run], test: Sequence[LabelledSession], place: Path
) -> tuple[list[Run], list[LeftOut]]:
    """Part the runs that answered exactly the sessions ``test``, which were read from ``place``, from the others."""
    lengths = {labelled.session.session_id: len(labelled.session) for labelled in test}
    fitting: list[Run] = []
    left_out: list[LeftOut] = []
    for run in runs:
        if {key: told["items"] for key, told in run.sessions.items()} == lengths and _within(run, lengths):
            fitting.append(run)
        else:
            left_out.append(LeftOut(run.folder, f"it did not answer the test sessions that lie in {place}"))
    return fitting, left_out


def _within(run: Run, lengths: Mapping[str, int]) -> bool:
    return all(0 <= place < lengths[key] for key, answer in run.answers.items() for each in answer for place in each)
