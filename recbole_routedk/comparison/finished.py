"""Which runs are finished already: by these settings, code and libraries, on these data, and whole."""

from __future__ import annotations

from collections.abc import Mapping
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole_routedk.checkpoint import read_json
from recbole_routedk.comparison.summary import RESULT_OF
from recbole_routedk.config import Config
from recbole_routedk.data.dataset import BundleDataset
from recbole_routedk.errors import UserError
from recbole_routedk.evaluation.session_scores import SESSION_SCORES
from recbole_routedk.provenance import made_with
from recbole_routedk.quick_start import RESULT_FILE, SESSIONS_FILES, data_fingerprints
from recbole_routedk.saved_run import CONFIG_FILE

_NEEDED = ("best_valid_result", "dataset", "name", "run_folder", "seed", "test_result")


def finished_run(config: Config, split: str) -> dict[str, Any] | None:
    """With ``resume``, the result of a run that these settings, code and libraries have finished on this data.

    One that answered no session of the split is not finished, nor is one whose files are damaged: that is told, and
    it is to be run again.
    """
    folder = config.run_folder
    if not config["resume"] or not all((folder / name).is_file() for name in (RESULT_FILE, SESSIONS_FILES[split])):
        return None
    try:
        result, scores = read_json(folder / RESULT_FILE), read_json(folder / SESSIONS_FILES[split])
        # A run name of the user's own says nothing about settings; whoever resumes is told what differs.
        saved = read_json(folder / CONFIG_FILE).get("settings", {})
    except UserError as error:
        return _damaged(folder, str(error))
    missing = [key for key in _NEEDED if key not in result]
    if missing:
        return _damaged(folder, f"{RESULT_FILE} lacks {', '.join(missing)}")
    if not _made_alike(result) or not result[RESULT_OF[split]]:
        return None
    if not scores or not all(
        isinstance(each, dict) and SESSION_SCORES.keys() <= each.keys() for each in scores.values()
    ):
        return _damaged(folder, f"{SESSIONS_FILES[split]} lacks scores of sessions")
    same = config.computing(saved) == config.computing(config.plain()["settings"])
    # Last, because it reads the data set.
    return result if same and result.get("data") == data_fingerprints(BundleDataset(config).build()) else None


def _damaged(folder: Path, what: str) -> dict[str, Any] | None:
    getLogger().warning(f"The finished run in {folder} is damaged and is run again: {what}")
    return None


def _made_alike(result: Mapping[str, Any]) -> bool:
    return made_with() == {"digest": result.get("code", {}).get("digest"), "libraries": result.get("libraries")}
