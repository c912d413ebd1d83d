"""Write the plan in docs/scaling.md from the assumptions below: ``python scripts/plan_scaling.py``.

Whoever measures one of them replaces its number and its source here, and runs this again. A test fails when the page
has other figures than this writes.
"""

from __future__ import annotations

from pathlib import Path

from marked_page import with_part

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scaling.md"

ASSUMED: dict[str, tuple[float, str, str]] = {
    "sessions": (1e8, "sessions a day", "the task"),
    "peak": (3.0, "peak hour over mean hour", "assumed"),
    "items": (8.0, "items of a session", "assumed"),
    "item_tokens": (
        13.0,
        "tokens of an item: its letter, 10 of its title (`title_tokens`), separators",
        "default, rounded up",
    ),
    "other_tokens": (80.0, "tokens of instruction and knowledge", "assumed"),
    "samples": (8.0, "answers drawn for a session (`consensus_samples`)", "default"),
    "answer_tokens": (12.0, "tokens of an answer", "assumed"),
    "weights": (1.35e8, "weights that a token passes", "the embedded student, SmolLM2-135M"),
    "gpu_flops": (9.9e14, "FLOP/s of a GPU in bfloat16", "data sheet of an H100, dense"),
    "reached": (0.05, "share of that which so small a student reaches", "assumed, to be measured"),
    "gpu_dollars": (3.0, "US dollars for a GPU hour", "assumed"),
    "teacher_rate": (
        14.0,
        "sessions a second of which a core reads every title for the statistical teacher",
        "measured above, on a busy machine",
    ),
    "core_dollars": (0.04, "US dollars for a core hour", "assumed"),
    "answer_bytes": (600.0, "bytes of a line of answers", "assumed"),
    "prompt_tokens": (400.0, "tokens that a language model as teacher reads for a thought", "assumed"),
    "thought_tokens": (150.0, "tokens that it writes", "assumed"),
    "input_price": (0.15, "US dollars for a million tokens read", "gpt-4o-mini in properties/overall.yaml"),
    "output_price": (0.60, "US dollars for a million tokens written", "gpt-4o-mini in properties/overall.yaml"),
}
"""Value, what it is, and where it comes from."""


def derived(given: dict[str, float]) -> dict[str, tuple[str, str]]:
    """Return what follows from the assumptions: by what it is, its formula and its value in words."""
    mean = given["sessions"] / 86_400
    tokens = given["items"] * given["item_tokens"] + given["other_tokens"] + given["samples"] * given["answer_tokens"]
    flops = 2 * given["weights"] * tokens
    per_gpu = given["gpu_flops"] * given["reached"] / flops
    gpus, cores = mean / per_gpu, mean / given["teacher_rate"]
    gpu_day, core_day = 24 * given["gpu_dollars"] * gpus, 24 * given["core_dollars"] * cores
    thought = given["prompt_tokens"] * given["input_price"] + given["thought_tokens"] * given["output_price"]
    return {
        "sessions a second, mean": ("sessions / 86 400", f"{mean:,.0f}"),
        "sessions a second, peak": ("mean x peak", f"{mean * given['peak']:,.0f}"),
        "tokens of a session": ("items x item_tokens + other_tokens + samples x answer_tokens", f"{tokens:,.0f}"),
        "FLOP of a session": ("2 x weights x tokens", f"{flops:.2g}"),
        "sessions a second on a GPU": ("gpu_flops x reached / FLOP of a session", f"{per_gpu:,.0f}"),
        "GPUs, mean and peak": ("mean / that, peak / that", f"{gpus:.1f} and {gpus * given['peak']:.1f}"),
        "GPUs, US dollars a day": ("24 x gpu_dollars x GPUs (mean)", f"{gpu_day:,.0f}"),
        "cores for the teacher, mean and peak": ("mean / teacher_rate", f"{cores:.0f} and {cores * given['peak']:.0f}"),
        "cores, US dollars a day": ("24 x core_dollars x cores (mean)", f"{core_day:,.0f}"),
        "US dollars for a million sessions": (
            "both / sessions x 1 000 000",
            f"{(gpu_day + core_day) / given['sessions'] * 1e6:.2f}",
        ),
        "answers, GB a day": ("sessions x answer_bytes", f"{given['sessions'] * given['answer_bytes'] / 1e9:,.0f}"),
        "a language model as teacher, US dollars a day": (
            "sessions x (prompt_tokens x input_price + thought_tokens x output_price) / 1 000 000",
            f"{given['sessions'] * thought / 1e6:,.0f}",
        ),
    }


def plan() -> str:
    """Return the two tables."""
    lines = ["| assumption | value | what it is | source |", "|---|---|---|---|"]
    lines += [f"| `{name}` | {value:,.6g} | {what} | {source} |" for name, (value, what, source) in ASSUMED.items()]
    lines += ["", "| it follows | how | value |", "|---|---|---|"]
    given = {name: value for name, (value, _, _) in ASSUMED.items()}
    lines += [f"| {what} | {how} | {value} |" for what, (how, value) in derived(given).items()]
    return "\n".join(lines)


def with_plan(page: str) -> str:
    """Return the page with the tables between its two marks."""
    return with_part(page, Path(__file__).name, plan())


if __name__ == "__main__":
    PAGE.write_text(with_plan(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"Written: {PAGE}")
