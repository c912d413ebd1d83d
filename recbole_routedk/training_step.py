"""A training batch's loss and its gradient, by one process or by several together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from recbole.data.interaction import Interaction
from torch import Tensor
from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer

from recbole_routedk.distributed import own_rows, sum_gradients, together
from recbole_routedk.model.bundle_generator import OWN, BundleGenerator


def fuse_steps(optimizer: Optimizer, devices: Sequence[str] = ("cuda",)) -> Optimizer:
    """Let an optimizer take its steps in one kernel where torch has one for it and all it trains is on ``devices``.

    Adagrad is left alone: it has made its state before it could be told.
    """
    for group in optimizer.param_groups:
        on_them = all(each.device.type in devices for each in group["params"])
        if isinstance(optimizer, (Adam, AdamW, SGD)) and on_them:
            group["fused"] = True
    return optimizer


def learn_batch(model: BundleGenerator, batch: Interaction, parameters: Sequence[Parameter], amp: bool) -> float:
    """Put the gradient of a batch's loss into ``parameters``; returns the loss.

    Processes that work together each go through their own sessions of the batch, and all get the sums. With ``amp``
    the way forward is in bfloat16 where torch's autocast allows it.
    """
    if together():
        batch.update(Interaction({OWN: torch.tensor(own_rows(len(batch)))}))
    loss = 0.0
    for part in _parts(model, batch.to(model.device), amp):
        part.backward()
        loss += part.item()
    return sum_gradients(parameters, loss)


def _parts(model: BundleGenerator, batch: Interaction, amp: bool) -> Iterator[Tensor]:
    parts = model.loss_parts(batch)
    part: Tensor | None
    while True:
        with torch.autocast(model.device.type, torch.bfloat16, enabled=amp):
            part = next(parts, None)
        if part is None:
            return
        yield part
