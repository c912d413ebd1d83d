"""Gathers gold and generated bundles during evaluation for RecBole's Evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recbole.evaluator.collector import Collector, DataStruct

from recbole_routedk.data.session import Generation, LabelledSession
from recbole_routedk.evaluation.encoding import add_sessions
from recbole_routedk.evaluation.metrics import gold_bundles


class BundleCollector(Collector):
    """RecBole's collector for bundles: ``eval_batch_collect`` every batch, then ``get_data_struct`` once."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self._reset()

    def _reset(self) -> None:
        self.data_struct = DataStruct()
        self._sessions = 0
        add_sessions(self.data_struct, 0, [], [])

    def data_collect(self, train_data: object) -> None:
        """Do nothing: no bundle metric needs anything of the training data."""

    def eval_batch_collect(self, sessions: Sequence[LabelledSession], generations: Sequence[Generation]) -> None:
        """Add one batch: its sessions with their gold bundles and what the model generated for each.

        Redundant gold bundles are dropped here too, so that a score never depends on where sessions came
        from. Raises ValueError where the two differ in length.
        """
        if len(sessions) != len(generations):
            raise ValueError(f"{len(generations)} generations were given for {len(sessions)} sessions")
        add_sessions(self.data_struct, self._sessions, [gold_bundles(s) for s in sessions], generations)
        self._sessions += len(sessions)

    def get_data_struct(self) -> DataStruct:
        """Return what was gathered, for ``Evaluator.evaluate``, and start afresh."""
        gathered = self.data_struct
        self._reset()
        return gathered
