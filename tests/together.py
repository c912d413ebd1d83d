"""What ``test_distributed.py`` lets torchrun start: the same runs as in one process, and some that go wrong.

``torchrun --nproc_per_node=2 together.py runs|killed DATA STUDENT OUTPUT ENDPOINT``
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus
from toy import Counting, Threshold

from recbole_routedk.distributed import from_first, gathered, own_rows, spread, sum_gradients
from recbole_routedk.model.bundle_generator import OWN
from recbole_routedk.quick_start import run_recbole_routedk

TOY = {"train_batch_size": 4, "eval_batch_size": 1, "learning_rate": 0.5, "epochs": 4, "show_progress": False}
ROUTED = {
    "train_batch_size": 4,  # nine sessions: the last batch leaves nothing to the second process
    "eval_batch_size": 1,
    "epochs": 2,
    "consensus_samples": 3,
    "first_adapted_layer": 0,
    "learning_rate": 0.01,
    "show_progress": False,
}
TAUGHT = {
    "knowledge_format": ["thoughts"],
    "teacher": "openai",
    "epochs": 1,
    "eval_batch_size": 1,
    "consensus_samples": 1,
    "show_progress": False,
}


class Shared(Threshold):
    """Threshold, whose batches several processes share: the noise of a session is its own."""

    divides_batches = True
    epoch = 0

    def begin_epoch(self, epoch: int) -> None:
        """Before its third epoch, the second process dies in the scenario "killed"."""
        self.epoch = epoch
        if sys.argv[1] == "killed" and os.environ["RANK"] == "1" and epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    def loss_parts(self, interaction: Any) -> Iterator[Tensor]:
        """Falls as the weight grows."""
        index = interaction["session_index"].tolist()
        own = interaction[OWN].tolist() if OWN in interaction else [True] * len(index)
        noise = [torch.Generator().manual_seed(100 * self.epoch + each) for each in index]
        losses = [softplus(-self.weight) * (1 + torch.rand((), generator=each)) for each in noise]
        yield sum((loss for loss, mine in zip(losses, own, strict=True) if mine), 0 * self.weight) / len(index)


def runs(data: Path, student: Path, output: Path, endpoint: str) -> dict[str, dict[str, Any]]:
    """The results of students, of models that an endpoint teaches or answers for, and of toys."""
    places = {"data_path": str(data), "output_dir": str(output)}
    asked = {"teacher_base_url": endpoint, "teacher_model": "m"}
    answered = {"answered_by": "openai", "eval_batch_size": 1, "show_progress": False}
    settings: dict[str, tuple[str | type, str, dict[str, Any]]] = {
        "RouteDK": ("RouteDK", "small", ROUTED | {"student": str(student)}),
        "taught": ("KD", "toy", TAUGHT | asked | {"student": str(student)}),
        "answered": ("ZeroShot", "toy", answered | asked),
        "batches apart": (Threshold, "toy", TOY),
        "no gradients": (Counting, "toy", TOY),
        "resumed": (Shared, "toy", TOY | {"resume": True, "run_name": "stopped"}),
    }
    return {
        name: run_recbole_routedk(model, dataset, config_dict=own | places)
        for name, (model, dataset, own) in settings.items()
    }


def say(output: Path) -> None:
    """Write what this process gets from the others."""
    rank = int(os.environ["RANK"])
    weights = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    weights[0].grad = torch.tensor([1.0, 2.0]) * (rank + 1)
    if rank == 1:
        weights[1].grad = torch.tensor([5.0, 6.0])
    loss = sum_gradients(weights, 0.25 + rank)
    told = {
        "first": from_first(lambda: [rank, from_first(lambda: "on its own")]),
        "spread": spread(lambda job: [job, rank], range(5)),
        "none": spread(lambda job: [job, rank], []),
        "gathered": gathered(rank),
        "rows": own_rows(3),
        "loss": loss,
        "gradients": [None if weight.grad is None else weight.grad.tolist() for weight in weights],
    }
    (output / f"said-{rank}.json").write_text(json.dumps(told), encoding="utf-8")


def broken(data: Path, output: Path) -> int:
    """Run a baseline that the second process alone cannot answer with."""
    from recbole_routedk.cli import dispatch
    from recbole_routedk.errors import UserError
    from recbole_routedk.model.statistical.freq import Freq

    def refuse(*_: Any) -> Any:
        raise UserError("this process cannot answer")

    if os.environ["RANK"] == "1":
        Freq.predict_bundles = refuse  # type: ignore[assignment, method-assign]
    words = ["run", "--model=Freq", "--baselines=[]", "--dataset=toy", "--eval_batch_size=1", "--show_progress=False"]
    return dispatch.main([*words, f"--data_path={data}", f"--output_dir={output}"])


def main(scenario: str, *given: str) -> int:
    """Play a scenario in this process; returns the exit code."""
    data, student, output = map(Path, given[:3])
    if scenario == "killed":
        places = {"data_path": str(data), "output_dir": str(output), "run_name": "killed"}
        run_recbole_routedk(Shared, "toy", config_dict=TOY | places)
        return 0
    results = runs(data, student, output, given[3])
    (output / f"results-{os.environ['RANK']}.json").write_text(json.dumps(results), encoding="utf-8")
    say(output)
    return broken(data, output)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
