"""Experts as ordinary PEFT LoRA adapters: PEFT creates them, and each is saved in a folder that PEFT can load.

The experts act on the suffix of the prompt and on the answer, not on the prefix that lists the items: PEFT
calls this an activated LoRA (``alora_invocation_tokens``, Greenewald et al. 2025). It is what lets all views,
experts and samples share one prefill of the items.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from recbole_routedk.errors import UserError
from recbole_routedk.manifest import check_manifest
from recbole_routedk.student.experts import FusedExpertLinear, GateBus
from recbole_routedk.student.targets import AUTO, expert_layers, layer_number

_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class LoraSettings:
    """Rank, scaling numerator, target modules (``AUTO`` or names) and first adapted decoder layer of each expert.

    Decoder layers below ``first_layer`` carry no expert: their backward pass is saved. ``None`` is a third of them.
    """

    rank: int
    alpha: float
    target_modules: tuple[str, ...] = AUTO
    first_layer: int | None = None

    def peft_config(self, modules: Mapping[str, nn.Module], invocation_tokens: Sequence[int]) -> LoraConfig:
        """Return the settings as PEFT writes them, for experts on the layers ``modules`` (by full name)."""
        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,  # type: ignore[arg-type]  # PEFT takes floats too
            lora_dropout=0.0,
            bias="none",
            target_modules=list(modules),
            fan_in_fan_out=all(isinstance(module, Conv1D) for module in modules.values()),
            task_type="CAUSAL_LM",
            alora_invocation_tokens=list(invocation_tokens),
        )


def fuse_experts(
    model: PreTrainedModel, experts: Sequence[str], settings: LoraSettings
) -> tuple[GateBus, dict[str, FusedExpertLinear]]:
    """Put fused layers with freshly initialised experts into ``model``, in place.

    Returns the bus that carries the gates, and the fused layers by module name: none where there is no expert, so
    that the model stays as it is. The initial values are the
    ones that PEFT gives to adapters created one after the other.

    Raises:
        UserError: the student lacks the target modules, or one of them can carry no experts.
    """
    scaling = settings.alpha / settings.rank
    if not experts:
        return GateBus(experts, settings.rank, scaling), {}
    bases = {
        name: model.get_submodule(name) for name in expert_layers(model, settings.target_modules, settings.first_layer)
    }
    fresh = [_fresh_adapter(model, settings.peft_config(bases, [0])) for _ in experts]
    numbers = {name: layer_number(name) for name in bases}
    places = {number: place for place, number in enumerate(sorted(set(numbers.values())))}
    bus = GateBus(experts, settings.rank, scaling, len(places))
    layers = {name: _insert(model, name, bus, settings.rank, places[numbers[name]]) for name in fresh[0]}
    for index, adapter in enumerate(fresh):
        for name, (weight_a, weight_b) in adapter.items():
            layers[name].load_expert(index, weight_a, weight_b)
    return bus, layers


def _fresh_adapter(model: PreTrainedModel, config: LoraConfig) -> dict[str, tuple[Tensor, Tensor]]:
    """Let PEFT create an adapter, take its values by module name, and unwrap the model again."""
    with warnings.catch_warnings():
        # PEFT reads a property of transformers that is renamed in a later version; no user can mend that.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            wrapped: Any = get_peft_model(model, config)
        except ValueError as error:
            raise UserError(f"student: PEFT makes no adapters for {type(model).__name__}: {error}") from error
    layers: dict[str, Any] = {name: layer for name, layer in wrapped.named_modules() if isinstance(layer, LoraLayer)}
    adapter = {
        name.removeprefix(_PREFIX): (layer.lora_A["default"].weight.detach(), layer.lora_B["default"].weight.detach())
        for name, layer in layers.items()
    }
    wrapped.unload()
    # A second wrapping of the same model would warn about the first one's configuration.
    if hasattr(model, "peft_config"):
        del model.peft_config
    return adapter


def _insert(model: nn.Module, name: str, bus: GateBus, rank: int, layer: int) -> FusedExpertLinear:
    parent_name, _, child = name.rpartition(".")
    parent = model.get_submodule(parent_name)
    base = getattr(parent, child)
    fused = FusedExpertLinear(base, bus, rank, layer).train(base.training)
    setattr(parent, child, fused)
    return fused


def save_expert(
    folder: Path,
    layers: dict[str, FusedExpertLinear],
    index: int,
    settings: LoraSettings,
    invocation_tokens: Sequence[int],
    student: str,
) -> None:
    """Write expert ``index`` as a PEFT adapter folder (``adapter_config.json`` and safetensors)."""
    folder.mkdir(parents=True, exist_ok=True)
    weights: dict[str, Tensor] = {}
    for name, layer in layers.items():
        weights |= _named(name, *(weight.detach().cpu().contiguous() for weight in layer.expert_weights(index)))
    save_file(weights, folder / _WEIGHTS)
    config = settings.peft_config({name: layer.base for name, layer in layers.items()}, invocation_tokens)
    config.base_model_name_or_path = student
    config.inference_mode = True
    config.save_pretrained(str(folder))


def load_expert(folder: Path, layers: dict[str, FusedExpertLinear], index: int, settings: LoraSettings) -> None:
    """Read a PEFT adapter folder into expert ``index``.

    Raises:
        UserError: the folder holds no such adapter, or one with other modules, shapes, rank or alpha.
    """
    config, weights = _read_adapter(folder)
    if (config.r, config.lora_alpha) != (settings.rank, settings.alpha):
        raise UserError(
            f"{folder}: the adapter has rank {config.r} and alpha {config.lora_alpha}, "
            f"the configuration says {settings.rank} and {settings.alpha}"
        )
    own: dict[str, Tensor] = {}
    for name, layer in layers.items():
        own |= _named(name, *layer.expert_weights(index))
    misfits = sorted(set(own) ^ set(weights)) or [name for name in own if own[name].shape != weights[name].shape]
    if misfits:
        raise UserError(f"{folder}: the adapter does not fit at {misfits[0]}; was it made for another student?")
    for name, layer in layers.items():
        layer.load_expert(index, *(weights[key] for key in _named(name, *layer.expert_weights(index))))


def _read_adapter(folder: Path) -> tuple[LoraConfig, dict[str, Tensor]]:
    # Read here and not by PEFT, which asks the hub for what a folder lacks and unpickles older files.
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    check_manifest(folder)
    try:
        return LoraConfig.from_pretrained(str(folder)), load_file(folder / _WEIGHTS)
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise UserError(f"{folder}: no readable PEFT adapter: {error}") from error


def _named(name: str, weight_a: Tensor, weight_b: Tensor) -> dict[str, Tensor]:
    """Return the weights of the module ``name`` under PEFT's names, A first."""
    return {f"{_PREFIX}{name}.lora_A.weight": weight_a, f"{_PREFIX}{name}.lora_B.weight": weight_b}
