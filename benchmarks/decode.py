"""Writing answers: the fused mixture beside one PEFT LoRA and PEFT's X-LoRA, and what the router costs.

``python benchmarks/decode.py --json=decode.json``
"""

from __future__ import annotations

import sys
from itertools import cycle, islice

import calm  # noqa: F401
import torch
from rivals import PeftLora, x_lora
from side_by_side import Bar, Contestant, Options, Row, Work, alternate, compare, main
from torch import Tensor
from workload import Texts, batch, loaded, some_examples

from recbole_routedk.student.routed_student import Prefill, RoutedStudent

STEPS = 8
BATCHES = (1, 8, 32)
PROMPT = 256


def decode_steps(student: RoutedStudent, prefill: Prefill, ids: Tensor, gates: Tensor, steps: int) -> Contestant:
    """Write ``steps`` tokens after what is read, greedily over the whole vocabulary."""

    def ready() -> Work:
        rows = prefill.repeat(1)
        return lambda: _write(student, rows, ids, gates, steps)

    return ready


@torch.no_grad()
def _write(student: RoutedStudent, rows: Prefill, ids: Tensor, gates: Tensor, steps: int) -> None:
    for _ in range(steps):
        hidden = student.extend(rows, ids, rows.mask.new_ones(len(ids), 1), gates)[:, -1]
        ids = student.logits(hidden).argmax(dim=-1, keepdim=True)


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
    model = loaded(options).model
    student, device = model.student, torch.device(options.device)
    rival = x_lora(options, student.settings, len(student.experts))
    tokens = [token for row in _prompts(options, options.sessions).prompts() for token in row]
    prompt = list(islice(cycle(tokens), PROMPT))
    whole = torch.tensor([prompt], device=device)
    ours = student.read_prefix([prompt])
    gates = model.gates(ours)
    first = torch.tensor([[model.prompts.label_ids[0]]], device=device)
    timings = alternate(
        {
            "x-lora": lambda: (
                lambda: rival.generate(
                    input_ids=whole,
                    attention_mask=torch.ones_like(whole),
                    min_new_tokens=STEPS,
                    max_new_tokens=STEPS,
                    do_sample=False,
                    pad_token_id=model.prompts.end_id,
                )
            ),
            "fused": decode_steps(student, ours, first, gates, STEPS),
            "fused, prompt read anew": lambda: (
                lambda: _write(student, student.read_prefix([prompt]), first, gates, STEPS)
            ),
        },
        options,
    )
    return [
        compare(
            "X-LoRA / decode step",
            f"each of {STEPS} tokens after {PROMPT}, one row",
            timings,
            ["x-lora"],
            ["fused"],
            Bar("at least", 20),
            prompt_tokens=PROMPT,
            steps=STEPS,
        ),
        compare(
            "X-LoRA / prompt and decode steps",
            f"the same, with the reading of the prompt for {STEPS} tokens on our side",
            timings,
            ["x-lora"],
            ["fused, prompt read anew"],
        ),
    ]


@torch.no_grad()
def router(options: Options) -> list[Row]:
    """The router against the reading of the items that it judges by."""
    model = loaded(options).model
    texts = _prompts(options, options.batch)
    prefill = model.student.read_prefix(texts.prefixes)
    gates = model.router
    timings = alternate(
        {
            "prefill": lambda: lambda: model.student.read_prefix(texts.prefixes),
            "router": lambda: lambda: gates(prefill.summary) if gates is not None else None,
        },
        options,
    )
    return [
        compare(
            "router / prefill",
            "gates from the summary, over reading the items",
            timings,
            ["router"],
            ["prefill"],
            Bar("at most", 0.01),
            rows=len(texts.prefixes),
        )
    ]


def _prompts(options: Options, size: int) -> Texts:
    model = loaded(options).model
    model.begin_stage("router")  # gates are the router's from here on
    examples = list(islice(cycle(some_examples(model, options.sessions)), size))
    return batch(examples, model, model.inference)


MEASURES = {"lora": against_lora, "x-lora": against_x_lora, "router": router}

if __name__ == "__main__":
    sys.exit(main(MEASURES))
