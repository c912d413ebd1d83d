"""Looks at a model by running it on a few tokens, and leaves it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from recbole_routedk.errors import UserError

_FOREIGN_ERRORS = (AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What models raise that want other inputs than a decoder-only transformer takes."""


@contextmanager
def looking_at(model: nn.Module) -> Iterator[None]:
    """Run ``model`` in evaluation mode, without gradients; modes and random state are put back.

    Raises:
        UserError: the model cannot be run as a decoder-only transformer.
    """
    training = [module for module in model.modules() if module.training]
    try:
        with torch.no_grad(), torch.random.fork_rng():
            model.eval()
            yield
    except _FOREIGN_ERRORS as error:
        raise UserError(
            f"student: {type(model).__name__} cannot be run as a decoder-only transformer: "
            f"{type(error).__name__}: {error}"
        ) from error
    finally:
        for module in training:
            module.training = True


def probe_ids(model: PreTrainedModel, count: int) -> Tensor:
    """Return token ids [count], all different where the vocabulary has as many."""
    embeddings: Any = model.get_input_embeddings()
    size: int = embeddings.weight.shape[0]
    # Spread over the vocabulary: its beginning is often special tokens.
    return torch.arange(1, count + 1, device=model.device) * 977 % size
