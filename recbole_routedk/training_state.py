"""Where training stands, as checkpoints keep it, and the folder that they are kept in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole_routedk.checkpoint import Checkpoint, load_checkpoint, remove_checkpoint, save_checkpoint
from recbole_routedk.config import LATER
from recbole_routedk.errors import UserError
from recbole_routedk.provenance import made_with

BEST, LAST = "best", "last"
RESULT_FILE = "result.json"
"""What a finished run reached; where it is, the run's checkpoints are those of its end."""


@dataclass
class Progress:
    """Where training stands; this is what a resumed run goes on from."""

    stage: int = 0
    epoch: int = 0  # finished epochs of the stage
    epochs_before: int = 0  # finished epochs of earlier stages
    waited: int = 0  # evaluations since the best one
    best_score: float | None = None
    best_result: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    stage_seconds: list[float] = field(default_factory=list)  # when each finished stage ended
    stage_epochs: list[int] = field(default_factory=list)  # how many epochs were finished then
    weights_from: str = ""  # the run that finished the first stages, where this one did not
    stage_done: bool = False
    finished: bool = False


class RunCheckpoints:
    """A run's checkpoints: its best weights, and where it was after its last epoch."""

    def __init__(self, folder: Path, config: Any, training_data: str, fits: Mapping[str, str]) -> None:
        """``training_data`` is the fingerprint of the training sessions, ``fits`` those that the model gives."""
        self.folder = folder
        self._config = config
        self._training_data = training_data
        self._fits = dict(fits)

    def clear(self) -> None:
        """Remove what an earlier run left: a later --resume must not take it for this one.

        The result goes first: while it is there, the weights that it speaks of are too.
        """
        (self.folder / RESULT_FILE).unlink(missing_ok=True)
        remove_checkpoint(self.folder, LAST)
        remove_checkpoint(self.folder, BEST)
        for told in (*self.folder.glob("sessions_*.json"), *self.folder.glob("predictions_*.json")):
            told.unlink()
        for events in (self.folder / "tensorboard").glob("events.out.tfevents.*"):
            events.unlink()

    def save(self, name: str, state: Checkpoint) -> None:
        """Write the checkpoint ``name``, in place of the one before."""
        save_checkpoint(self.folder, name, state)

    def last(self) -> Checkpoint | None:
        """Return where a stopped run was, None where there is none.

        One of other code or libraries counts for none: what it went on to would be taken for what this code trains.

        Raises:
            UserError: it had other settings or other training sessions.
        """
        if not (self.folder / f"{LAST}.json").is_file():
            return None
        last = self._checked(load_checkpoint(self.folder, LAST))
        changed = self._differences(last)
        if changed:
            raise UserError(
                f"The run in {self.folder} had other settings: {changed}. "
                "Resume it with those, or give another --run_name."
            )
        if last.record.get("made_with") != made_with():
            getLogger().info(f"The run in {self.folder} was begun by other code or with other libraries")
            return None
        return last

    def best(self, folder: Path | None = None) -> Checkpoint:
        """Return the best weights of the run in ``folder``, by default this one; UserError as for ``last``."""
        return self._checked(load_checkpoint(folder or self.folder, BEST))

    def _checked(self, checkpoint: Checkpoint) -> Checkpoint:
        """Refuse a run of another student or tokenizer, whose weights say nothing with this one.

        And one that was trained on other sessions: some of them may be tested on now.
        """
        # A checkpoint of before has no fingerprints; one of another precision has some of them.
        was = checkpoint.record.get("fits", {})
        other = sorted({what.split()[0] for what in was.keys() & self._fits.keys() if was[what] != self._fits[what]})
        if other:
            raise UserError(
                f"The run in {self.folder} was trained with another {' and another '.join(other)} than "
                f"--student={self._config['student']} is now; put back the one it had, or train again"
            )
        if checkpoint.record["training_data"] != self._training_data:
            raise UserError(
                f"The training sessions in {self._config['data_path']} are not those that the run was trained on; "
                "put the data set back as it was, or train again"
            )
        return checkpoint

    def _differences(self, last: Checkpoint) -> str:
        settings = (last.record["config"]["settings"], self._config.plain()["settings"])
        before, now = map(self._config.computing, settings)
        changed = [key for key in {**LATER, **now} if before.get(key) != now.get(key)]
        return ", ".join(f"{key}={before.get(key)!r}" for key in changed)
