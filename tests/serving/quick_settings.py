"""Settings of runs that are over in seconds."""

from __future__ import annotations

QUICK = {
    "epochs": 1,
    "train_batch_size": 5,
    "consensus_samples": 2,
    "first_adapted_layer": 0,
    "learning_rate": 0.1,
    "show_progress": False,
    "state": "ERROR",
}
