"""From hidden states to logits, as the model itself does it, over a few tokens where only those are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from recbole_routedk.errors import UserError
from recbole_routedk.student.probe import looking_at, probe_ids

Finish = Callable[[Tensor], Tensor]
"""What happens to each logit after the output layer."""

_LARGEST_LOGIT = 60.0
_NAMES = ("logit", "softcap", "lm_head", "output_multiplier")


class Head:
    """The output layer of a model, with its bias and what the model does to the logits afterwards.

    Raises:
        UserError: the model has no linear output layer, or changes its logits in a way that is not known.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        layer = model.get_output_embeddings()
        if not isinstance(layer, nn.Linear):
            raise UserError(f"student: {type(model).__name__} has no linear output layer, so no logits over tokens")
        self._layer = layer
        self._finish = _finish_of(model, layer)

    @property
    def weight(self) -> Tensor:
        """Weights [vocabulary, hidden]."""
        return self._layer.weight

    def __call__(self, hidden: Tensor, alphabet: Tensor | None = None) -> Tensor:
        """Return the logits of ``hidden`` [..., hidden] over the vocabulary, or over the token ids in ``alphabet``."""
        weight: Tensor = self._layer.weight
        bias: Tensor | None = self._layer.bias
        if alphabet is not None:
            # Few enough to be precise: logits in halves have ties.
            precise = torch.promote_types(weight.dtype, torch.float32)
            hidden, weight = hidden.to(precise), weight[alphabet].to(precise)
            bias = None if bias is None else bias[alphabet].to(precise)
        return self._finish(functional.linear(hidden, weight, bias))


def _finish_of(model: PreTrainedModel, layer: nn.Linear) -> Finish:
    """Find what ``model`` does to its logits: known numbers are put in their place, and the result is compared.

    A setting's name does not say whether it multiplies, divides or caps, or is used at all, so each is tried.
    """
    known = torch.linspace(-_LARGEST_LOGIT, _LARGEST_LOGIT, layer.weight.shape[0]).to(layer.weight)
    handle = layer.register_forward_hook(lambda _, __, output: known.expand_as(output))
    try:
        with looking_at(model):
            own = model(input_ids=probe_ids(model, 1)[None], use_cache=False).logits[0, -1]
    finally:
        handle.remove()
    tolerance = 4 * torch.finfo(known.dtype).eps
    for finish in _finishes(model):
        ours = finish(known)
        if ours.shape == own.shape and torch.allclose(ours.to(own), own, rtol=tolerance, atol=0):
            return finish
    raise UserError(
        f"student: {type(model).__name__} changes its logits after the output layer in a way that is not supported"
    )


def _finishes(model: PreTrainedModel) -> Iterator[Finish]:
    yield _unchanged
    for name, value in model.config.get_text_config().to_dict().items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and value != 0 and any(part in name for part in _NAMES):
            yield partial(_multiplied, by=value)
            yield partial(_divided, by=value)
            yield partial(_capped, at=value)


def _unchanged(logits: Tensor) -> Tensor:
    return logits


def _multiplied(logits: Tensor, by: float) -> Tensor:
    return logits * by


def _divided(logits: Tensor, by: float) -> Tensor:
    return logits / by


def _capped(logits: Tensor, at: float) -> Tensor:
    return torch.tanh(logits / at) * at
