"""Keep what finished runs reached in ``results/runs/``, and make one leaderboard of all that are kept.

``python scripts/keep_runs.py output/electronic results/runs/electronic`` copies of each finished run its result, its
settings, its curves, its answers and the scores of every test session, without any place of this machine. Then it
writes the leaderboard of all runs kept there, of whatever machine, day and seed, to ``output/electronic/kept.md``,
``.tex``, ``.csv`` and ``.json``, whose names ``scripts/take_results.py`` takes. Of runs of a model and seed the newest
counts; runs that answer another data set's sessions (``test_on``) are left out.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recbole_routedk.checkpoint import read_json
from recbole_routedk.comparison.files import write_leaderboard
from recbole_routedk.comparison.plan import Board
from recbole_routedk.config import UNHASHED, shared_setting
from recbole_routedk.data.files import write_json
from recbole_routedk.errors import UserError
from recbole_routedk.quick_start import PREDICTIONS_FILES, RESULT_FILE, SESSIONS_FILES
from recbole_routedk.report.curves import TENSORBOARD
from recbole_routedk.report.runs import Run, read_runs, run_folders
from recbole_routedk.saved_run import CONFIG_FILE

NAME = Path(__file__).name
_EVENTS = "events.out.tfevents."
BOARD = Board(name="kept")


def keep(home: Path, kept: Path) -> list[Run]:
    """Copy the records of the finished runs below ``home`` to below ``kept``; return all runs that are kept there.

    Raises UserError where there is none.
    """
    found, left_out = read_runs(run_folders(home))
    for each in left_out:
        print(f"Left out: {each.folder}: {each.reason}", file=sys.stderr)
    for run in found:
        if run.settings.get("test_on"):
            continue  # answers to sessions of another data set
        place = kept / run.folder.relative_to(home)
        config = read_json(run.folder / CONFIG_FILE)
        write_json(place / RESULT_FILE, {**run.result, "run_folder": place.name})
        write_json(place / CONFIG_FILE, {**config, "settings": _without_places(config["settings"])})
        for name in (PREDICTIONS_FILES["test"], SESSIONS_FILES["test"]):
            write_json(place / name, read_json(run.folder / name))
        _keep_curves(run.folder / TENSORBOARD, place / TENSORBOARD)
    runs, _ = read_runs(run_folders(kept))
    if not runs:
        raise UserError(f"{home}: holds no finished run")
    return runs


def _keep_curves(folder: Path, place: Path) -> None:
    """Copy the curves under names that do not tell the machine's, as the report reads them."""
    for old in place.glob(f"{_EVENTS}*"):
        old.unlink()
    for number, events in enumerate(sorted(folder.glob(f"{_EVENTS}*"))):
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(events, place / f"{_EVENTS}{number}")


def _without_places(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in UNHASHED}


def main(arguments: Sequence[str]) -> int:
    """Keep the runs and write their leaderboard; returns the exit code."""
    if len(arguments) != 2:
        print(f"usage: python scripts/{NAME} OUTPUT/DATASET KEPT", file=sys.stderr)
        return 2
    home, kept = map(Path, arguments)
    try:
        runs = keep(home, kept)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    results = [{**run.result, "run_folder": str(run.folder)} for run in runs]
    write_leaderboard(home, results, BOARD, shared_setting("metric_decimal_place"))
    print(f"Kept: {len(runs)} runs in {kept}; their leaderboard: {home / BOARD.name}.md")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
