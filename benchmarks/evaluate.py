"""Whole evaluations: consensus beside greedy answers, and both beside transformers' ``generate`` with JSON.

``python benchmarks/evaluate.py --json=evaluate.json``. The experts and the router are trained for one epoch first,
unless ``--checkpoint`` names the folder of a finished run: what samples agree on depends on it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from functools import cache

import calm  # noqa: F401
import torch
from side_by_side import Bar, Options, Row, Timing, Work, alternate, compare, main
from transformers import BatchEncoding
from workload import Loaded, plain_student, test_sessions, trained

from recbole_routedk.data.session import Bundle, Session
from recbole_routedk.distill.formats.prompts import SYSTEM
from recbole_routedk.student.backbone import Student

SAMPLES = 8
ASK = 'Which items form bundles? {"bundles": [[item, item], ...]}'
BATCH = 16


def answering(data: Loaded, sessions: Sequence[Session], samples: int) -> Work:
    """Answer the sessions as an evaluation does, by consensus over ``samples``."""
    size = data.config["eval_batch_size"]

    def work() -> None:
        data.config["consensus_samples"] = samples
        for start in range(0, len(sessions), size):
            data.model.predict_bundles(sessions[start : start + size])

    return work


def consensus(options: Options) -> list[Row]:
    """Consensus over eight samples against greedy answers."""
    data, sessions, _ = _ready(options)
    greedy, voted = answering(data, sessions, 1), answering(data, sessions, SAMPLES)
    timings = alternate({"consensus": lambda: voted, "greedy": lambda: greedy}, options)
    return [
        compare(
            "consensus / greedy",
            f"evaluation by consensus over {SAMPLES} samples, over greedy answers",
            timings,
            ["consensus"],
            ["greedy"],
            Bar("at most", 1.6),
            sessions=len(sessions),
        )
    ]


def generate(options: Options) -> list[Row]:
    """Our evaluation against ``model.generate`` on the same student, which reads and writes JSON.

    The rival is the student without adapters, as if they were merged, reads whole titles as JSON, and writes as many
    tokens as the JSON of our answers has: what a student trained to answer in JSON would do.
    """
    data, sessions, reading = _ready(options)
    student = plain_student(options)
    voted = answering(data, sessions, SAMPLES)
    prompts, lengths = _of_rival(data, student, sessions)
    timings = alternate(
        {
            "ours": lambda: voted,
            "one at a time": lambda: lambda: _generate(student, prompts, lengths, 1),
            "in batches": lambda: lambda: _generate(student, prompts, lengths, BATCH),
        },
        options,
    )
    ours = timings["ours"]
    timings["ours"] = Timing(
        tuple(wall + reading.wall[0] for wall in ours.wall), tuple(cpu + reading.cpu[0] for cpu in ours.cpu)
    )
    figures = {
        "sessions": len(sessions),
        "samples": SAMPLES,
        "knowledge_seconds": reading.record(),
        "sessions_a_second": {name: len(sessions) / each.record()["wall_seconds"][1] for name, each in timings.items()},
        "prompt_tokens": sum(map(len, prompts)) / len(prompts),
        "answer_tokens": sum(lengths) / len(lengths),
        "our_prompt_tokens": _our_tokens(data, sessions),
    }
    return [
        compare(
            f"generate, {told} / ours",
            f"transformers' generate {told} with JSON, over our evaluation by consensus over {SAMPLES} samples",
            timings,
            [told],
            ["ours"],
            Bar("at least", bar),
            **figures,
        )
        for told, bar in (("one at a time", 8.0), ("in batches", 1.8))
    ]


def reading(options: Options) -> list[Row]:
    """What reading the prompts takes of both: the part that drawing, batching and short answers cannot make cheaper."""
    data, sessions, _ = _ready(options)
    student = plain_student(options)
    prompts, lengths = _of_rival(data, student, sessions)
    timings = alternate(
        {
            "ours": lambda: answering(data, sessions, SAMPLES),
            "ours, reading": lambda: lambda: _read(data, sessions),
            "one at a time": lambda: lambda: _generate(student, prompts, lengths, 1),
            "one at a time, reading": lambda: lambda: _generate(student, prompts, [1] * len(prompts), 1),
        },
        options,
    )
    tokens = {"our_prompt_tokens": _our_tokens(data, sessions), "prompt_tokens": sum(map(len, prompts)) / len(prompts)}
    rows = (
        ("reading / ours", "share of our evaluation that reads prompts", "ours, reading", "ours"),
        ("reading / generate", "share of generate, one at a time", "one at a time, reading", "one at a time"),
        (
            "generate / our reading",
            "generate, one at a time, if ours did nothing but read",
            "one at a time",
            "ours, reading",
        ),
    )
    return [compare(name, what, timings, [one], [other], **tokens) for name, what, one, other in rows]


def _of_rival(data: Loaded, student: Student, sessions: Sequence[Session]) -> tuple[list[list[int]], list[int]]:
    """Return what the rival reads of each session, and how many tokens it writes: those of our answer as JSON."""
    answers = data.model.predict_bundles(sessions)
    lengths = [len(_tokens(student, _written(each.bundles))) + 1 for each in answers]
    return [_prompt(student, session) for session in sessions], lengths


@torch.no_grad()
def _read(data: Loaded, sessions: Sequence[Session]) -> None:
    """Read the items and the knowledge of the sessions as our evaluation does."""
    model, size = data.model, data.config["eval_batch_size"]
    examples = model.reader.for_sessions(sessions) if model.reader is not None else []
    for start in range(0, len(examples), size):
        part = examples[start : start + size]
        prefill = model.student.read_prefix([model.prompts.prefix(each.session) for each in part])
        ids, mask = model.student.pad_left([model.encoder.suffix(each, model.inference) for each in part])
        model.student.extend(prefill, ids, mask, model.gates(prefill))


def _ready(options: Options) -> tuple[Loaded, list[Session], Timing]:
    """Return the trained model, the sessions, and what reading the knowledge of sessions for the first time took."""
    ready = _made_ready(options)
    ready[0].config["consensus_samples"] = SAMPLES
    return ready


@cache
def _made_ready(options: Options) -> tuple[Loaded, list[Session], Timing]:
    # Once for all rows: the second time, knowledge is remembered.
    data = trained(options)
    data.model.eval()
    sessions = test_sessions(data, options)
    # The reader of a loaded run is made when the first session is answered; a run that trains has it before.
    data.model.predict_bundles(sessions[:1])
    began, began_cpu = time.perf_counter(), time.process_time()
    if data.model.reader is not None:
        data.model.reader.for_sessions(sessions)
    return data, sessions, Timing((time.perf_counter() - began,), (time.process_time() - began_cpu,))


def _our_tokens(data: Loaded, sessions: Sequence[Session]) -> float:
    model, reader = data.model, data.model.reader
    examples = reader.for_sessions(sessions) if reader is not None else []
    suffixes = sum(len(model.encoder.suffix(example, model.inference)) for example in examples)
    return (sum(len(model.prompts.prefix(session)) for session in sessions) + suffixes) / len(sessions)


def _prompt(student: Student, session: Session) -> list[int]:
    items = json.dumps({place: item.text for place, item in enumerate(session.items)}, ensure_ascii=False)
    asked = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"{items}\n{ASK}"}]
    text = student.tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    return _tokens(student, str(text))


def _written(bundles: Sequence[Bundle]) -> str:
    return json.dumps({"bundles": [sorted(bundle) for bundle in bundles]})


def _tokens(student: Student, text: str) -> list[int]:
    ids: list[int] = student.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _generate(student: Student, prompts: Sequence[list[int]], lengths: Sequence[int], size: int) -> None:
    """Write as many tokens for each prompt as its answer has; a batch writes until its longest is done."""
    for start in range(0, len(prompts), size):
        part = slice(start, start + size)
        padded: BatchEncoding = student.tokenizer.pad(
            {"input_ids": list(prompts[part])}, padding_side="left", return_tensors="pt"
        )
        longest = max(lengths[part])
        student.model.generate(
            **padded.to(student.model.device),
            min_new_tokens=longest,
            max_new_tokens=longest,
            do_sample=False,
            pad_token_id=student.tokenizer.pad_token_id,
        )


MEASURES = {"consensus": consensus, "generate": generate, "reading": reading}

if __name__ == "__main__":
    sys.exit(main(MEASURES))
