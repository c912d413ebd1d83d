"""How well training uses the machine: memory, speed against the matrix products alone, padding, length of titles.

``python benchmarks/train.py --json=train.json``
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import calm  # noqa: F401
import torch
from matrix_products import recorded, replay
from side_by_side import Bar, Options, Row, alternate, compare, in_fresh_process, known, main, memory_of
from steps import Step
from torch.utils.flop_counter import FlopCounterMode
from workload import batch, loaded, plain_student, some_examples

from recbole_routedk.data.dataloader import BundleDataLoader
from recbole_routedk.data.prompts import PromptEncoder
from recbole_routedk.data.session import Session
from recbole_routedk.model.routedk import RouteDK
from recbole_routedk.model.views import Example

MEMORY_BATCH, MEMORY_ITEMS, GIB = 8, 10, 2**10
TITLE_TOKENS, WHOLE = (5, 8, 10, 16, 32), 1000
EPOCHS = 3


def experts_step(model: RouteDK, examples: Sequence[Example]) -> Step:
    """A step of the stage that trains the experts, as the trainer does it."""
    chosen = torch.tensor([model.examples.index(example) for example in examples])
    return Step(lambda: model.loss_parts({"session_index": chosen}), model.student.expert_parameters())


def memory(options: Options) -> list[Row]:
    """Peak memory of training the experts on the longest sessions of up to ten items, in a process of its own."""
    peak = in_fresh_process(__file__, options, "experts")
    bar = Bar("at most", 3.0)
    what = f"GiB at the peak of training, {MEMORY_BATCH} sessions of up to {MEMORY_ITEMS} items"
    return [known("memory", what, peak["peak_mib"] / GIB, bar, mib=peak)]


def experts_alone(options: Options) -> dict[str, float]:
    """Memory of training the experts."""
    model = loaded(options).model
    return memory_of(experts_step(model, _longest(model)), options)


def _longest(model: RouteDK) -> list[Example]:
    usable = [each for each in some_examples(model, len(model.examples), True) if len(each.session) <= MEMORY_ITEMS]
    return usable[:MEMORY_BATCH]


def products(options: Options) -> list[Row]:
    """Training against its matrix products alone, each of its shapes timed on this machine."""
    model = loaded(options).model
    examples = some_examples(model, options.batch)
    step = experts_step(model, examples)
    shapes = recorded(step.work)
    with FlopCounterMode(display=False) as counter:
        step.work()
    work = replay(shapes, torch.device(options.device))
    timings = alternate({"products": lambda: work, "training": step}, options)
    tokens = _tokens(model, examples)
    read = tokens["read"] / timings["training"].record()["wall_seconds"][1]
    return [
        compare(
            "products / training",
            "share of a training step that its matrix products take alone: speed against their limit",
            timings,
            ["products"],
            ["training"],
            Bar("at least", 0.6),
            shapes=len(shapes),
            products=sum(shapes.values()),
            flops=counter.get_total_flops(),
            flops_of_products=sum(shape.flops * count for shape, count in shapes.items()),
            tokens=tokens,
            tokens_a_second=read,
        )
    ]


def padding(options: Options) -> list[Row]:
    """Useful tokens over all tokens in the batches of some epochs, beside batches in random order."""
    data = loaded(options)
    rows = []
    for size in sorted({options.batch, MEMORY_BATCH, 16}):
        loader = BundleDataLoader(data.config, data.train, shuffle=True)
        loader.set_batch_size(size)
        sums: dict[str, float] = {"read": 0, "padded": 0}
        for epoch in range(EPOCHS):
            loader.set_epoch(epoch)
            for interaction in loader:
                chosen = [data.model.examples[index] for index in interaction["session_index"].tolist()]
                counted = _tokens(data.model, [example for example in chosen if example.bundles])
                sums = {name: sums[name] + counted[name] for name in sums}
        share = sums["read"] / max(1.0, sums["padded"])
        rows.append(
            known(f"useful tokens, {size} sessions", "share of a batch's tokens that is no padding", share, **sums)
        )
    return rows


def _tokens(model: RouteDK, examples: Sequence[Example]) -> dict[str, int]:
    """Count the tokens that a training step reads, without and with padding: the items once, then each lesson."""
    texts = [batch(examples, model, lesson) for _, lesson in model.lessons]
    rests = [
        [len(suffix) + len(answer) - 1 for suffix, answer in zip(each.suffixes, each.answers, strict=True)]
        for each in texts
    ]
    lengths = [[len(prefix) for prefix in texts[0].prefixes], *rests] if examples else []
    read, padded = sum(map(sum, lengths)), sum(len(each) * max(each) for each in lengths)
    targets = sum(len(answer) for each in texts for answer in each.answers)
    return {"read": read, "padded": padded, "items": sum(lengths[0]) if lengths else 0, "targets": targets}


def titles(options: Options) -> list[Row]:
    """Tokens that list a session's items by the length at which titles are cut, over those with whole titles."""
    data = loaded(options)
    sessions = [example.session for example in data.model.examples]
    items = [Session("", (item,)) for session in sessions for item in session.items]
    tokenizer = plain_student(options).tokenizer
    whole, *shorter = (PromptEncoder(tokenizer, kept, data.config["max_items"]) for kept in (WHOLE, *TITLE_TOKENS))
    all_tokens = sum(len(whole.prefix(session)) for session in sessions)
    rows = []
    for kept, encoder in zip(TITLE_TOKENS, shorter, strict=True):
        tokens = sum(len(encoder.prefix(session)) for session in sessions)
        cut = sum(len(encoder.items(item)) < len(whole.items(item)) for item in items)
        rows.append(
            known(
                f"titles of {kept} tokens",
                "tokens that list the items, over those with whole titles",
                tokens / all_tokens,
                tokens_a_session=tokens / len(sessions),
                tokens_a_session_whole=all_tokens / len(sessions),
                titles_cut=cut / len(items),
            )
        )
    return rows


MEASURES = {"memory": memory, "products": products, "padding": padding, "titles": titles}
ALONE = {"experts": experts_alone}

if __name__ == "__main__":
    sys.exit(main(MEASURES, ALONE))
