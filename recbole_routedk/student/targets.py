"""Which layers of a student carry experts, found by watching the model read a few tokens.

Names differ from architecture to architecture, and a layer that looks like any other may see only some of the
tokens (a routed feed-forward) or all rows' tokens as one row. What a layer is given says which it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from recbole_routedk.errors import UserError
from recbole_routedk.student.probe import looking_at, probe_ids

AUTO = ("auto",)
"""Target modules: every layer that can carry experts."""

FREE_SHARE = 3
"""Unless it is said otherwise, the first 1/3 of the layers carries no expert, which saves its backward pass."""

_ROUTERS = ("router", "gate", "shared_expert_gate")
_ROWS, _TOKENS = 2, 3


def expert_layers(model: PreTrainedModel, targets: Sequence[str], first_layer: int | None) -> list[str]:
    """Return the full names of the layers that carry experts, in the model's order.

    Args:
        model: the student.
        targets: ``AUTO``, or names of modules or ends of names, as PEFT takes them.
        first_layer: decoder layers below carry none; ``None`` leaves out the first third.

    Raises:
        UserError: no layer remains, a target is not in the decoder's layers, or one of them can carry no experts.
    """
    stem, depth = _layer_list(model)
    first = depth // FREE_SHARE if first_layer is None else first_layer
    if first >= depth:
        raise UserError(f"first_adapted_layer: {first} leaves no layer to adapt; the student has {depth}")
    inside = {
        name: module
        for number in range(first, depth)
        for name, module in model.named_modules()
        if name.startswith(f"{stem}.{number}.")
    }
    fit = _fitting(model, inside)
    if tuple(targets) == AUTO:
        names = [name for name in fit if not _is_router(name)]
        if not names:
            raise UserError("lora_target_modules: the student has no linear layer that can carry experts")
        return names
    for target in targets:
        _check_target(target, inside, fit)
    return [name for name in inside if any(_matches(name, target) for target in targets)]


def layer_number(name: str) -> int:
    """Return the number of the decoder layer that a module's full name lies in: the first number in it."""
    return int(next(part for part in name.split(".") if part.isdigit()))


def _layer_list(model: PreTrainedModel) -> tuple[str, int]:
    """Return name and length of the list of the decoder's layers."""
    decoder = model.get_decoder()
    lists = [module for module in decoder.children() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise UserError(f"student: {type(model).__name__} has no list of decoder layers; experts find no place in it")
    layers = max(lists, key=len)
    return next(name for name, module in model.named_modules() if module is layers), len(layers)


def _fitting(model: PreTrainedModel, candidates: dict[str, nn.Module]) -> list[str]:
    """Return the linear layers that are called once, with every token of every row: [rows, tokens, *]."""
    seen: dict[str, list[torch.Size]] = {}
    linear = {name: module for name, module in candidates.items() if isinstance(module, (nn.Linear, Conv1D))}
    hooks = [
        module.register_forward_pre_hook(
            lambda _, inputs, name=name: seen.setdefault(name, []).append(inputs[0].shape if inputs else torch.Size())
        )
        for name, module in linear.items()
    ]
    try:
        with looking_at(model):
            model(input_ids=probe_ids(model, _ROWS * _TOKENS).reshape(_ROWS, _TOKENS), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return [
        name
        for name, module in linear.items()
        # Quantised weights are whole numbers, and experts are made in the type of the weight.
        if [shape[:-1] for shape in seen.get(name, [])] == [(_ROWS, _TOKENS)] and module.weight.is_floating_point()
    ]


def _is_router(name: str) -> bool:
    """Say whether a layer chooses among experts of the model's own, which we leave as it was trained."""
    return any(part in _ROUTERS or "router" in part for part in name.split("."))


def _matches(name: str, target: str) -> bool:
    return name == target or name.endswith("." + target)


def _check_target(target: str, inside: dict[str, nn.Module], fit: Sequence[str]) -> None:
    found = [name for name in inside if _matches(name, target)]
    if not found:
        known = sorted({name.rpartition(".")[2] for name in fit})
        raise UserError(
            f"lora_target_modules: the student's adapted layers have no module {target!r}; there are {', '.join(known)}"
        )
    misfits = [name for name in found if name not in fit]
    if misfits:
        kind = type(inside[misfits[0]]).__name__
        raise UserError(
            f"lora_target_modules: {misfits[0]} ({kind}) can carry no experts: it is no linear layer that is given "
            "every token of every row"
        )
