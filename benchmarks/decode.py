"""Writing answers: the fused mixture beside one PEFT LoRA and PEFT's X-LoRA, and what the router costs.

``python benchmarks/decode.py --json=decode.json``
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import calm  # noqa: F401
import torch
from rivals import PeftLora, x_lora
from side_by_side import Bar, Contestant, Options, Row, Work, alternate, compare, main
from torch import Tensor
from workload import Texts, batch, loaded, some_examples

from recbole_routedk.model.routedk import RouteDK
from recbole_routedk.plugins import plugin_names
from recbole_routedk.student.routed_student import Prefill, RoutedStudent
from recbole_routedk.student.router import make_router

STEPS, BATCHES = 8, (1, 8, 32)
X_STEPS, X_BATCHES, PROMPT = 4, (1, 8), 256


def decode_steps(
    student: RoutedStudent, prefill: Prefill, ids: Tensor, gates: Tensor, steps: int, symbols: Tensor | None = None
) -> Contestant:
    """Write ``steps`` tokens after what is read, greedily over the whole vocabulary or over the answer's symbols."""

    def ready() -> Work:
        rows = prefill.repeat(1)
        return lambda: _write(student, rows, ids, gates, steps, symbols)

    return ready


@torch.no_grad()
def _write(
    student: RoutedStudent, rows: Prefill, ids: Tensor, gates: Tensor, steps: int, symbols: Tensor | None = None
) -> None:
    for _ in range(steps):
        hidden = student.extend(rows, ids, rows.mask.new_ones(len(ids), 1), gates)[:, -1]
        best = student.logits(hidden, symbols).argmax(dim=-1, keepdim=True)
        ids = best if symbols is None else symbols[best]


def peft_steps(lora: PeftLora, prefill: Prefill, ids: Tensor, steps: int) -> Contestant:
    """The same by PEFT's and transformers' own forward pass with a cache."""

    def ready() -> Work:
        rows = prefill.repeat(1)
        return lambda: _write_plainly(lora, rows, ids, steps)

    return ready


@torch.no_grad()
def _write_plainly(lora: PeftLora, rows: Prefill, ids: Tensor, steps: int) -> None:
    mask = rows.mask
    for _ in range(steps):
        mask = torch.cat([mask, mask.new_ones(len(ids), 1)], dim=1)
        output = lora.peft(input_ids=ids, attention_mask=mask, past_key_values=rows.cache, use_cache=True)
        ids = output.logits[:, -1:].argmax(dim=-1)


@torch.no_grad()
def against_lora(options: Options) -> list[Row]:
    """A decode step against one PEFT LoRA of the same total rank, in small and large batches."""
    model = loaded(options).model
    student = model.student
    lora = PeftLora(options, student.settings, len(student.experts))
    rows = []
    for size in BATCHES:
        texts = _prompts(options, size)
        ids = torch.full((size, 1), model.prompts.label_ids[0], device=lora.device)
        ours = student.read_prefix(texts.prompts())
        theirs = lora.reader.read_prefix(texts.prompts())
        timings = alternate(
            {
                "fused": decode_steps(student, ours, ids, model.gates(ours), STEPS),
                "lora": decode_steps(lora.reader, theirs, ids, lora.no_gates(size), STEPS),
                "lora, plain": peft_steps(lora, theirs, ids, STEPS),
            },
            options,
        )
        figures = {"rows": size, "steps": STEPS, "prompt_tokens": ours.mask.shape[1]}
        rows.append(
            compare(
                f"decode step / LoRA, {size} rows",
                "over one PEFT LoRA of the same rank in our loop",
                timings,
                ["fused"],
                ["lora"],
                Bar("at most", 1.03),
                **figures,
            )
        )
        rows.append(
            compare(
                f"decode step / LoRA, plain, {size} rows",
                "over PEFT's and transformers' own forward pass with a cache",
                timings,
                ["fused"],
                ["lora, plain"],
            )
        )
    return rows


@torch.no_grad()
def against_x_lora(options: Options) -> list[Row]:
    """A decode step after a prompt of 256 tokens against PEFT's X-LoRA, which works without a cache."""
    data = loaded(options)
    student = data.model.student
    rival = x_lora(options, student.settings, len(student.experts))
    tokens = [token for row in _prompts(options, options.sessions).prompts() for token in row]
    prompt = list(islice(cycle(tokens), PROMPT))
    return [row for size in X_BATCHES for row in _beside_x_lora(data.model, rival, [prompt] * size, options)]


def _beside_x_lora(model: RouteDK, rival: Any, prompts: list[list[int]], options: Options) -> list[Row]:
    student, device, size = model.student, torch.device(options.device), len(prompts)
    whole = torch.tensor(prompts, device=device)
    first = torch.full((size, 1), model.prompts.label_ids[0], device=device)
    symbols = torch.tensor(model.prompts.alphabet(min(10, model.prompts.max_items)), device=device)
    ours = student.read_prefix(prompts)
    gates = model.gates(ours)

    def by_x_lora() -> None:
        rival.generate(
            input_ids=whole,
            attention_mask=torch.ones_like(whole),
            min_new_tokens=X_STEPS,
            max_new_tokens=X_STEPS,
            do_sample=False,
            pad_token_id=model.prompts.end_id,
        )

    timings = alternate(
        {
            "x-lora": lambda: by_x_lora,
            "fused": decode_steps(student, ours, first, gates, X_STEPS),
            "fused, constrained": decode_steps(student, ours, first, gates, X_STEPS, symbols),
            "fused, prompt read anew": lambda: (
                lambda: _write(student, student.read_prefix(prompts), first, gates, X_STEPS)
            ),
        },
        options,
    )
    told = f"each of {X_STEPS} tokens after {PROMPT}, rows: {size}; over "
    rows = (
        ("decode step", "ours over the whole vocabulary", "fused", Bar("at least", 20)),
        (
            "constrained step",
            "ours over the answer's symbols, as constrained answers are written",
            "fused, constrained",
            None,
        ),
        ("prompt and steps", "ours with the reading of the prompt", "fused, prompt read anew", None),
    )
    return [
        compare(f"X-LoRA / {name}, {size} rows", told + what, timings, ["x-lora"], [ours_is], bar, rows=size)
        for name, what, ours_is, bar in rows
    ]


@torch.no_grad()
def router(options: Options) -> list[Row]:
    """Every router, with a mixture for the prompt and one for each layer, against the reading of the items."""
    model = loaded(options).model
    texts, student = _prompts(options, options.batch), model.student
    listens = student.listens_for_experts
    made = {
        f"{name}, a {gates}": make_router(
            student, dict(model.config.settings) | {"router": name, "router_gates": gates}
        )
        for name in plugin_names("router")
        for gates in ("prompt", "layer")
    }
    prefill = _read(student, texts, True)()  # Arrow, which is among them, has let the student listen
    timings = alternate(
        {
            "prefill": lambda: _read(student, texts, False),
            "prefill, listening": lambda: _read(student, texts, True),
            **{name: (lambda own=own: lambda: own.gates(prefill)) for name, own in made.items()},
        },
        options,
    )
    student.listens_for_experts = listens
    sizes = {"rows": len(texts.prefixes)}
    bar = Bar("at most", 0.01)
    told = "gates from what is read, over reading the items"
    return [
        *(compare(f"{name} / prefill", told, timings, [name], ["prefill"], bar, **sizes) for name in made),
        compare(
            "prefill, listening / prefill",
            "reading the items as arrow needs it: with what excites each expert",
            timings,
            ["prefill, listening"],
            ["prefill"],
        ),
    ]


def _read(student: RoutedStudent, texts: Texts, listening: bool) -> Callable[[], Prefill]:
    student.listens_for_experts = listening
    return lambda: student.read_prefix(texts.prefixes)


def _prompts(options: Options, size: int) -> Texts:
    model = loaded(options).model
    model.begin_stage("router")  # gates are the router's from here on
    examples = list(islice(cycle(some_examples(model, options.sessions)), size))
    return batch(examples, model, model.inference)


MEASURES = {"lora": against_lora, "x-lora": against_x_lora, "router": router}

if __name__ == "__main__":
    sys.exit(main(MEASURES))
