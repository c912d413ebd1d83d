"""Checkpoints without pickle: tensors as safetensors, the rest as JSON, written whole or not at all."""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from recbole_routedk.data.files import file_digest, remove_temporary, write_json
from recbole_routedk.errors import UserError

FORMAT = 1


@dataclass
class Checkpoint:
    """Named tensors and JSON-able facts that belong together."""

    tensors: dict[str, Tensor]
    record: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(folder: Path, name: str, checkpoint: Checkpoint) -> Path:
    """Write ``name.json`` and the tensor file it points to; returns the JSON's path.

    The tensors go to a name of their own first and the JSON's rename is the one step that switches
    over, so that a crash at any point leaves the old pair or the new one.
    """
    target = folder / f"{name}.json"
    weights = _unused_name(folder, name)
    write_tensors(folder / weights, checkpoint.tensors)
    hashed = {"tensors": weights, "sha256": file_digest(folder / weights)}
    write_json(target, {"format": FORMAT} | hashed | checkpoint.record)
    _remove_tensors(folder, name, kept=weights)
    return target


def load_checkpoint(folder: Path, name: str) -> Checkpoint:
    """Read a checkpoint back; UserError where it is missing, damaged or of another format."""
    path = folder / f"{name}.json"
    record = read_json(path)
    if record.get("format") != FORMAT:
        raise UserError(f"{path}: is of format {record.get('format')}, this version reads {FORMAT}")
    weights = folder / Path(str(record.get("tensors"))).name
    try:
        # A checkpoint of before has no digest.
        if record.get("sha256", digest := file_digest(weights)) != digest:
            raise UserError(f"{weights}: is damaged, or not the file that {path.name} was written with; train again")
        return Checkpoint(load_file(weights), record)
    except FileNotFoundError:
        raise UserError(f"{weights}: is missing, though {path.name} needs it; train again") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{weights}: is damaged ({error}); train again") from None


def remove_checkpoint(folder: Path, name: str) -> None:
    """Remove a checkpoint, its JSON first, so that no half of it is ever taken for one."""
    (folder / f"{name}.json").unlink(missing_ok=True)
    _remove_tensors(folder, name)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; UserError where the file is missing or is not one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; give the folder of a saved run") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: has to hold a JSON object")
    return content


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """The state of an optimizer as ``"<parameter index>.<key>"`` tensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{key}": torch.as_tensor(value).detach().to("cpu", copy=True).contiguous()
        for index, values in state.items()
        for key, value in values.items()
        if value is not None
    }


def restore_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what ``optimizer_tensors`` gave, into an optimizer over the same parameters."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def random_state() -> Checkpoint:
    """The state of the generators of torch, CUDA, numpy and Python."""
    tensors = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors |= {f"cuda.{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    name, keys, position, has_gauss, gauss = np.random.get_state()
    tensors["numpy"] = torch.from_numpy(np.asarray(keys).astype(np.int64))
    version, internal, gauss_next = random.getstate()
    tensors["python"] = torch.tensor(internal, dtype=torch.int64)
    record = {
        "numpy": [str(name), int(position), int(has_gauss), float(gauss)],
        "python": [version, gauss_next],
    }
    return Checkpoint(tensors, record)


def restore_random_state(state: Checkpoint) -> None:
    """Put the generators back where ``random_state`` found them."""
    torch.set_rng_state(state.tensors["torch"])
    numbers = sorted(int(name.removeprefix("cuda.")) for name in state.tensors if name.startswith("cuda."))
    cuda = [state.tensors[f"cuda.{number}"] for number in numbers]
    if cuda and torch.cuda.device_count() == len(cuda):
        torch.cuda.set_rng_state_all(cuda)
    name, position, has_gauss, gauss = state.record["numpy"]
    keys = state.tensors["numpy"].numpy().astype(np.uint32)
    np.random.set_state((name, keys, position, has_gauss, gauss))
    version, gauss_next = state.record["python"]
    random.setstate((version, tuple(state.tensors["python"].tolist()), gauss_next))


def with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under ``prefix/name``."""
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def of_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that ``with_prefix`` put under ``prefix``, under their own names."""
    start = f"{prefix}/"
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def _remove_tensors(folder: Path, name: str, kept: str = "") -> None:
    """Remove the tensor files of a checkpoint, also those that killed processes left, but for the one ``kept``."""
    for pattern in (f"{name}-*.safetensors", f".{name}-*.safetensors.*"):
        for path in folder.glob(pattern):
            if path.name != kept:
                path.unlink(missing_ok=True)


def _unused_name(folder: Path, name: str) -> str:
    number = 1
    while (folder / f"{name}-{number}.safetensors").exists():
        number += 1
    return f"{name}-{number}.safetensors"


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write one safetensors file, whole or not at all; UserError where it cannot be written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be written ({error})") from None
    finally:
        remove_temporary(temporary)
