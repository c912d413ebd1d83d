"""Steps of training: loss, backward pass, optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from workload import Texts

from recbole_routedk.model.routedk import RouteDK
from recbole_routedk.student.routed_student import Prefill, RoutedStudent


class Step:
    """A training step; called for a timing it gets ready and returns itself, called again it is done."""

    def __init__(
        self,
        loss: Callable[[], Tensor | Iterable[Tensor]],
        weights: Sequence[nn.Parameter],
        ready: Callable[[], None] | None = None,
    ) -> None:
        """``loss`` may come in parts, which are gone back through one after the other."""
        self._loss = loss
        self._ready = ready
        self._optimizer = torch.optim.AdamW(weights, lr=1e-4)

    def __call__(self) -> Callable[[], None]:
        """Get ready, outside the timing."""
        if self._ready is not None:
            self._ready()
        return self.work

    def work(self) -> None:
        """Do the step."""
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._loss()
        for part in (loss,) if isinstance(loss, Tensor) else loss:
            part.backward()
        self._optimizer.step()


def fused_step(model: RouteDK, texts: Texts) -> Step:
    """A step that trains experts and router together: each of the two stages costs less."""
    router = model.router
    if router is None:
        raise ValueError("this model has no router")

    def ready() -> None:
        model.begin_stage("experts")
        router.requires_grad_(True)

    def loss() -> Tensor:
        prefill = model.student.read_prefix(texts.prefixes)
        gates = router(prefill.summary)
        return model.student.answer_loss(prefill, texts.suffixes, texts.answers, gates).mean()

    return Step(loss, [*model.student.expert_parameters(), *router.parameters()], ready)


def router_step(model: RouteDK, texts: Texts) -> Step:
    """A step of the stage that trains the router alone."""
    router = model.router
    if router is None:
        raise ValueError("this model has no router")

    def loss() -> Tensor:
        prefill = model.student.read_prefix(texts.prefixes)
        gates = model.gates(prefill)
        return model.student.answer_loss(prefill, texts.suffixes, texts.answers, gates).mean()

    return Step(loss, list(router.parameters()), lambda: model.begin_stage("router"))


def one_pass(student: RoutedStudent, texts: Texts, gates: Tensor) -> Tensor:
    """The mean loss a row, each row read at once with the experts on every token."""
    nothing = Prefill(DynamicCache(), torch.zeros(len(gates), 0, dtype=torch.int64, device=gates.device), gates)
    return student.answer_loss(nothing, texts.prompts(), texts.answers, gates).mean()
