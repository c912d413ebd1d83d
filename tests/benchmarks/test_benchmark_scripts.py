"""Every script runs from end to end on a tiny student and writes well-formed JSON; nobody asks how fast it was."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import decode
import evaluate
import mixture
import pytest
import train
from side_by_side import main

ROWS = {
    "mixture": {
        "train step / LoRA": 1.05,
        "train step / LoRA, one pass": 1.05,
        "train step / LoRA, plain": None,
        "X-LoRA / train step": 1.4,
        "X-LoRA / train step, one pass": None,
        "one pass / runs apart": 1.05,
        "one pass / runs apart, plain": None,
        "router / experts": None,
        "router / experts, whole training": 0.15,
        "all training / runs apart, plain": None,
    },
    "decode": {
        **{f"decode step / LoRA, {rows} rows": 1.03 for rows in (1, 8, 32)},
        **{f"decode step / LoRA, plain, {rows} rows": None for rows in (1, 8, 32)},
        **{f"X-LoRA / decode step, {rows} rows": 20 for rows in (1, 8)},
        **{f"X-LoRA / constrained step, {rows} rows": None for rows in (1, 8)},
        **{f"X-LoRA / prompt and steps, {rows} rows": None for rows in (1, 8)},
        **{
            f"{router}, a {gates} / prefill": 0.01
            for router in ("arrow", "softmax", "sparsegen", "static", "straight_through", "top_k")
            for gates in ("prompt", "layer")
        },
        "prefill, listening / prefill": None,
    },
    "train": {
        "memory": 3.0,
        "products / training": 0.6,
        **{f"useful tokens, {size} sessions": None for size in (2, 8, 16)},
        **{f"titles of {kept} tokens": None for kept in (5, 8, 10, 16, 32)},
    },
    "evaluate": {
        "consensus / greedy": 1.6,
        "generate, one at a time / ours": 8.0,
        "generate, in batches / ours": 1.8,
        "reading / ours": None,
        "reading / generate": None,
        "generate / our reading": None,
    },
}
"""The bars of all rows, as they are agreed on."""


@pytest.fixture
def arguments(tiny_student_folder: Path, small_data: Path) -> list[str]:
    """The shortest run."""
    return [
        f"--student={tiny_student_folder}",
        f"--data_path={small_data}",
        "--dataset=small",
        "--repeats=1",
        "--batch=2",
    ]


@pytest.mark.parametrize(
    ("script", "chosen"), [(mixture, "lora,x-lora,experts"), (decode, None), (train, None), (evaluate, None)]
)
def test_a_script_measures_its_rows_and_writes_them(
    script: ModuleType,
    chosen: str | None,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY"):  # a script's own process finds them as a user's shell has them
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "out.json"
    rows = [] if chosen is None else [f"--rows={chosen}"]
    alone = getattr(script, "ALONE", None)
    assert main(script.MEASURES, alone, [*arguments, *rows, f"--json={file}"]) == 0

    written: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    expected = ROWS[script.__name__]
    assert {row["name"]: row["bar"] and row["bar"]["value"] for row in written["rows"]} == expected
    printed = capsys.readouterr().out
    for row in written["rows"]:
        least, middle, most = row["ratio"]
        assert 0 < least <= middle <= most < math.inf
        assert (row["met"] is None) is (row["bar"] is None)
        assert row["name"] in printed
        if row["name"] == "memory":  # of a process of its own
            assert 0 < row["figures"]["mib"]["before_mib"] <= row["figures"]["mib"]["peak_mib"]


def test_what_is_measured_in_a_process_of_its_own_is_memory(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(mixture.MEASURES, mixture.ALONE, [*arguments, "--alone=fused"]) == 0
    measured = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 0 < measured["before_mib"] <= measured["peak_mib"]


def test_a_student_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(train.MEASURES, argv=[f"--student={tmp_path / 'nothing'}", "--rows=titles"]) == 2
    assert "error: student:" in capsys.readouterr().err
