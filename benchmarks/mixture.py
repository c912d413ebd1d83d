"""Training the experts and the router beside one PEFT LoRA, PEFT's X-LoRA and separate PEFT runs.

``python benchmarks/mixture.py --json=mixture.json``
"""

from __future__ import annotations

import sys

import calm  # noqa: F401
import torch
from rivals import PeftLora, whole_loss, x_lora
from side_by_side import Bar, Options, Row, alternate, compare, in_fresh_process, known, main, memory_of
from steps import Step, fused_step, one_pass, router_step
from workload import Texts, batch, loaded, some_examples

MEMORY = ("fused", "lora", "lora-plain")


def against_lora(options: Options) -> list[Row]:
    """The fused experts with their router against one PEFT LoRA of the same total rank."""
    data = loaded(options)
    texts, student = _texts(options), data.model.student
    lora = PeftLora(options, student.settings, len(student.experts))
    gates = torch.full((len(texts.answers), len(student.experts)), 1 / len(student.experts), device=lora.device)
    timings = alternate(
        {
            "fused": fused_step(data.model, texts),
            "lora": Step(lambda: lora.loss_in_steps(texts), lora.parameters()),
            "fused, one pass": Step(lambda: one_pass(student, texts, gates), student.expert_parameters()),
            "lora, one pass": Step(
                lambda: one_pass(lora.reader, texts, lora.no_gates(len(texts.answers))), lora.parameters()
            ),
            "lora, plain": Step(lambda: lora.loss(texts), lora.parameters()),
        },
        options,
    )
    return [
        compare(
            "train step / LoRA",
            "experts and router, over one PEFT LoRA of their rank together that is read in the same steps",
            timings,
            ["fused"],
            ["lora"],
            Bar("at most", 1.05),
            **_sizes(texts),
        ),
        compare(
            "train step / LoRA, one pass",
            "the same without the shared reading of the items: adapters on every token, gates given",
            timings,
            ["fused, one pass"],
            ["lora, one pass"],
            Bar("at most", 1.05),
        ),
        compare(
            "train step / LoRA, plain",
            "over PEFT as its users write it: whole rows, logits everywhere",
            timings,
            ["fused"],
            ["lora, plain"],
        ),
    ]


def against_x_lora(options: Options) -> list[Row]:
    """The fused experts with their router against PEFT's X-LoRA."""
    data = loaded(options)
    texts, student = _texts(options), data.model.student
    rival = x_lora(options, student.settings, len(student.experts))
    weights = [weight for weight in rival.parameters() if weight.requires_grad]
    pad, device = int(data.model.prompts.end_id), torch.device(options.device)
    gates = torch.full((len(texts.answers), len(student.experts)), 1 / len(student.experts), device=device)
    timings = alternate(
        {
            "x-lora": Step(lambda: whole_loss(rival, texts, pad, device), weights),
            "fused": fused_step(data.model, texts),
            "fused, one pass": Step(lambda: one_pass(student, texts, gates), student.expert_parameters()),
        },
        options,
    )
    return [
        compare(
            "X-LoRA / train step",
            "PEFT's X-LoRA with as many adapters, over experts and router",
            timings,
            ["x-lora"],
            ["fused"],
            Bar("at least", 1.4),
            **_sizes(texts),
        ),
        compare(
            "X-LoRA / train step, one pass",
            "the same without our shared reading of the items",
            timings,
            ["x-lora"],
            ["fused, one pass"],
        ),
    ]


def all_in_one(options: Options) -> list[Row]:
    """All experts in one pass against a PEFT run each; and the router's training against the experts'."""
    data = loaded(options)
    model, config = data.model, data.config
    examples = some_examples(model, options.batch)
    texts = {lesson: batch(examples, model, lesson) for _, lesson in model.lessons}
    lora = PeftLora(options, model.student.settings, 1)
    names = [f"lora {number}" for number in range(len(texts))]
    chosen = torch.tensor([model.examples.index(example) for example in examples])

    def alone(rows: Texts, plain: bool) -> Step:
        return Step(lambda: lora.loss(rows) if plain else lora.loss_in_steps(rows), lora.parameters())

    contestants = {
        "experts": Step(
            lambda: model.loss_parts({"session_index": chosen}),
            model.student.expert_parameters(),
            lambda: model.begin_stage("experts"),
        ),
        "router": router_step(model, texts[model.inference]),
    }
    for name, rows in zip(names, texts.values(), strict=True):
        contestants |= {name: alone(rows, plain=False), f"{name}, plain": alone(rows, plain=True)}
    timings = alternate(contestants, options)
    model.begin_stage("experts")
    plain = [f"{name}, plain" for name in names]
    share, passes = config["router_share"], config["router_epochs"]
    epochs = passes * share / config["epochs"]
    whole = f"{passes} epochs of the router over {share} of the batches, to {config['epochs']} of the experts"
    # Named as a contestant, so that it can be compared: the router's part of an epoch of the experts.
    timings["router, its share"] = timings["router"].times(epochs)
    return [
        compare(
            "one pass / runs apart",
            f"{len(names)} experts in one pass and process, over a PEFT run each, read in the same steps",
            timings,
            ["experts"],
            names,
            Bar("at most", 1.05),
            processes=1 / len(names),
        ),
        compare(
            "one pass / runs apart, plain",
            "the same over PEFT as its users write it",
            timings,
            ["experts"],
            plain,
        ),
        compare(
            "router / experts",
            "a step that trains the router, over one of the experts",
            timings,
            ["router"],
            ["experts"],
        ),
        compare(
            "router / experts, whole training",
            f"the router's training over the experts': {whole}",
            timings,
            ["router, its share"],
            ["experts"],
            Bar("at most", 0.15),
        ),
        compare(
            "all training / runs apart, plain",
            "experts and router, over PEFT as its users write it",
            timings,
            ["experts", "router, its share"],
            plain,
        ),
    ]


def memory(options: Options) -> list[Row]:
    """Peak memory of training, each contestant in a process of its own."""
    peaks = {name: in_fresh_process(__file__, options, name) for name in MEMORY}
    net = {name: peak["peak_mib"] - peak["before_mib"] for name, peak in peaks.items()}
    rows = []
    for rival, told in (("lora", "read in the same steps"), ("lora-plain", "as its users write it")):
        bar = Bar("at most", 1.05) if rival == "lora" else None
        ratio = peaks["fused"]["peak_mib"] / peaks[rival]["peak_mib"]
        rows.append(
            known(
                f"memory / {rival}",
                f"peak while training, over one PEFT LoRA {told}",
                ratio,
                bar,
                mib={name: peaks[name] for name in ("fused", rival)},
                ratio_of_what_training_adds=net["fused"] / max(net[rival], 1e-9),
            )
        )
    return rows


def fused_alone(options: Options) -> dict[str, float]:
    """Memory of training experts and router."""
    return memory_of(fused_step(loaded(options).model, _texts(options)), options)


def lora_alone(options: Options, plain: bool = False) -> dict[str, float]:
    """Memory of training one PEFT LoRA."""
    texts, student = _texts(options), loaded(options).model.student
    settings, experts = student.settings, len(student.experts)
    # It shall not be charged for our student beside its own.
    student.to("meta")
    lora = PeftLora(options, settings, experts)
    loss = lora.loss if plain else lora.loss_in_steps
    return memory_of(Step(lambda: loss(texts), lora.parameters()), options)


def _texts(options: Options) -> Texts:
    model = loaded(options).model
    return batch(some_examples(model, options.batch), model, model.inference)


def _sizes(texts: Texts) -> dict[str, object]:
    """How long the rows are."""
    return {
        "rows": len(texts.answers),
        "item_tokens": sum(map(len, texts.prefixes)),
        "other_tokens": sum(map(len, texts.suffixes)) + sum(map(len, texts.answers)),
    }


MEASURES = {"lora": against_lora, "x-lora": against_x_lora, "experts": all_in_one, "memory": memory}
ALONE = {
    "fused": fused_alone,
    "lora": lora_alone,
    "lora-plain": lambda options: lora_alone(options, plain=True),
}

if __name__ == "__main__":
    sys.exit(main(MEASURES, ALONE))
