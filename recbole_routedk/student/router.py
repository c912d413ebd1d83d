"""Input-aware routers: from the student's own view of a session to the weight of each expert (RouteDK).

The paper states neither the router's formula nor its granularity, so there are several behind one interface:
``router.gates(prefill)`` gives [batch, E], one mixture for the whole student, or [batch, L, E], one for each of its L
adapted decoder layers. They read what the frozen student has computed of the prompt's prefix anyway, so that the cost
is one small matrix product a session, and their gates hold for the whole answer, so that the cache stays valid.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from recbole_routedk.plugins import plugin_class
from recbole_routedk.student.routed_student import Prefill, RoutedStudent

Kind = TypeVar("Kind", bound="Router")


class Router(nn.Module):
    """Anything that weighs the experts; without parameters it needs no training. ``properties/router`` registers it."""

    @classmethod
    def from_settings(cls: type[Kind], student: RoutedStudent, settings: Any) -> Kind:
        """Make the router for a student; ``settings`` is anything indexable by key."""
        raise NotImplementedError

    def gates(self, prefill: Prefill) -> Tensor:
        """Return the experts' weights for prompts of which the items are read; over the experts they sum to 1."""
        raise NotImplementedError

    def logits(self, prefill: Prefill) -> Tensor:
        """Return what the gates are made of, one number a row, layer and expert: [batch, E] or [batch, L, E]."""
        raise NotImplementedError


class LinearRouter(Router):
    """A linear map of the normalised summary to logits, and what a subclass makes of them.

    Weights start at zero: before any training the logits of all experts are the same.
    """

    def __init__(self, hidden: int, experts: int, temperature: float = 1.0, layers: int | None = None) -> None:
        """``layers`` is the number of mixtures, None for one that all layers share."""
        super().__init__()
        self.norm = nn.LayerNorm(hidden, elementwise_affine=False)
        self.linear = nn.Linear(hidden, (layers or 1) * experts)
        self.temperature = temperature
        self._shape = (experts,) if layers is None else (layers, experts)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    @classmethod
    def from_settings(cls: type[Kind], student: RoutedStudent, settings: Any) -> Kind:
        return cls(*_sizes(student, settings))

    def gates(self, prefill: Prefill) -> Tensor:
        gates: Tensor = self(prefill.summary)
        return gates

    def logits(self, prefill: Prefill) -> Tensor:
        return self._logits(self.norm(prefill.summary.float()))

    def forward(self, summary: Tensor) -> Tensor:
        """Return gates [batch, E] or [batch, L, E] of ``summary`` [batch, hidden]."""
        normed = self.norm(summary.float())
        return self.weigh(self._logits(normed), normed)

    def weigh(self, logits: Tensor, normed: Tensor) -> Tensor:
        """Turn logits [..., E] into gates; ``normed`` [batch, hidden] is the normalised summary."""
        raise NotImplementedError

    def _logits(self, normed: Tensor) -> Tensor:
        return torch.unflatten(self.linear(normed), -1, self._shape) / self.temperature


class SoftmaxRouter(LinearRouter):
    """Softmax over the experts: every expert always takes part."""

    def weigh(self, logits: Tensor, normed: Tensor) -> Tensor:
        return torch.softmax(logits, dim=-1)


class TopKRouter(LinearRouter):
    """Softmax over the ``top_k`` highest logits alone (Shazeer et al., arXiv 1701.06538, without its noise)."""

    def __init__(
        self, hidden: int, experts: int, temperature: float = 1.0, layers: int | None = None, top_k: int = 2
    ) -> None:
        super().__init__(hidden, experts, temperature, layers)
        self._top_k = min(top_k, experts)

    @classmethod
    def from_settings(cls: type[Kind], student: RoutedStudent, settings: Any) -> Kind:
        return cls(*_sizes(student, settings), settings["router_top_k"])

    def weigh(self, logits: Tensor, normed: Tensor) -> Tensor:
        return torch.softmax(only_highest(logits, self._top_k), dim=-1)


class StraightThroughRouter(LinearRouter):
    """The one expert with the highest logit; its gradient is that of the softmax (Bengio et al., arXiv 1308.3432)."""

    def weigh(self, logits: Tensor, normed: Tensor) -> Tensor:
        soft = torch.softmax(logits, dim=-1)
        hard = functional.one_hot(logits.argmax(dim=-1), logits.shape[-1]).to(soft.dtype)
        return hard + soft - soft.detach()


class SparsegenRouter(LinearRouter):
    """Gates that may be 0, as sparse as each session asks for (Sparsegen; LD-MoLE learns its lambda in this way).

    p_i = [u_i - tau]_+ / (1 - lambda) with lambda < 1: 0 is sparsemax, towards 1 is one expert alone.
    """

    def __init__(self, hidden: int, experts: int, temperature: float = 1.0, layers: int | None = None) -> None:
        super().__init__(hidden, experts, temperature, layers)
        self.sparsity = nn.Linear(hidden, layers or 1)
        nn.init.zeros_(self.sparsity.weight)
        nn.init.zeros_(self.sparsity.bias)

    def weigh(self, logits: Tensor, normed: Tensor) -> Tensor:
        # exp(s) = 1 / (1 - lambda): any real s gives a lambda below 1. The division moves into the projection. Beyond
        # exp(5) nothing changes any more, but the gradient would explode.
        inverse = torch.exp(5 * torch.tanh(self.sparsity(normed) / 5))
        return sparsemax(logits * (inverse if logits.dim() == 2 else inverse.unsqueeze(-1)))


class StaticRouter(Router):
    """Learned weights, the same for every session: static mixtures, as LoRAHub's (arXiv 2307.13269).

    LoRAHub searches them without gradients; ours are a softmax learned by gradient.
    """

    def __init__(self, experts: int, layers: int | None = None) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(experts) if layers is None else torch.zeros(layers, experts))

    @classmethod
    def from_settings(cls: type[Kind], student: RoutedStudent, settings: Any) -> Kind:
        return cls(len(student.experts), _mixtures(student, settings))

    def gates(self, prefill: Prefill) -> Tensor:
        return torch.softmax(self.logits(prefill), dim=-1)

    def logits(self, prefill: Prefill) -> Tensor:
        return self.weights.expand(len(prefill.mask), *self.weights.shape)


class ArrowRouter(Router):
    """Gates from the experts' own weights, without any training (Arrow, Ostapenko et al., arXiv 2405.11157).

    How much the items excite an expert's direction of largest gain, compared with the other experts; PEFT's Arrow
    decides for each token and module, ours for each prompt, from the mean over its items' tokens.
    """

    def __init__(
        self, student: RoutedStudent, temperature: float = 1.0, top_k: int = 2, per_layer: bool = True
    ) -> None:
        super().__init__()
        student.listens_for_experts = True
        self._temperature, self._per_layer = temperature, per_layer
        self._top_k = min(top_k, len(student.experts))

    @classmethod
    def from_settings(cls: type[Kind], student: RoutedStudent, settings: Any) -> Kind:
        per_layer = _mixtures(student, settings) is not None
        return cls(student, settings["router_temperature"], settings["router_top_k"], per_layer)

    def gates(self, prefill: Prefill) -> Tensor:
        return torch.softmax(only_highest(self.logits(prefill), self._top_k), dim=-1)

    def logits(self, prefill: Prefill) -> Tensor:
        excitement = prefill.excitement
        if excitement is None:
            raise RuntimeError("the items were read before the student was told to listen for its experts")
        return (excitement if self._per_layer else excitement.mean(dim=1)) / self._temperature


def make_router(student: RoutedStudent, settings: Any) -> Router:
    """Make the router that ``settings["router"]`` names; ``router_gates: layer`` gives each layer its own mixture.

    UserError, with the nearest name, where there is no such router.
    """
    router_class: Any = plugin_class("router", settings["router"])
    router: Router = router_class.from_settings(student, settings)
    return router


def _sizes(student: RoutedStudent, settings: Any) -> tuple[int, int, float, int | None]:
    """What a ``LinearRouter`` is made of."""
    mixtures = _mixtures(student, settings)
    return student.hidden_size, len(student.experts), settings["router_temperature"], mixtures


def _mixtures(student: RoutedStudent, settings: Any) -> int | None:
    """The number of mixtures, None for one that all layers share."""
    return student.bus.layers if settings["router_gates"] == "layer" else None


def best_expert_loss(logits: Tensor, losses: Tensor) -> Tensor:
    """Return the cross-entropy of a router's logits [batch, E] or [batch, L, E] against the expert with the least loss.

    ``losses`` [batch, E] are those of each expert alone. FactorLLM (arXiv 2408.11855) has such labels.
    """
    best = losses.argmin(dim=-1)
    if logits.dim() == 3:
        best = best.unsqueeze(-1).expand(logits.shape[:2]).flatten()
    return functional.cross_entropy(logits.flatten(0, -2), best)


def only_highest(logits: Tensor, count: int) -> Tensor:
    """Return logits [..., E] with all but the ``count`` highest at minus infinity; of equals the first ones stay."""
    order = logits.argsort(dim=-1, descending=True, stable=True)
    return logits.scatter(-1, order[..., count:], -torch.inf)


def sparsemax(logits: Tensor) -> Tensor:
    """Return the Euclidean projection of ``logits`` [..., E] onto the simplex (arXiv 1602.02068)."""
    logits = logits - logits.amax(dim=-1, keepdim=True)  # the answer stays the same, rounding gets smaller
    ordered = logits.sort(dim=-1, descending=True).values
    place = torch.arange(1, logits.shape[-1] + 1, device=logits.device, dtype=logits.dtype)
    excess = ordered.cumsum(dim=-1) - 1
    support = (ordered * place > excess).sum(dim=-1, keepdim=True)
    tau = excess.gather(-1, support - 1) / support
    return (logits - tau).clamp(min=0)


def constant_gates(weights: list[float], batch: int, device: torch.device) -> Tensor:
    """Return the same gates for every row: [batch, E]."""
    return torch.tensor([weights], device=device).expand(batch, -1)
