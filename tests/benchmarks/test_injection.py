"""The experiment with instructions in titles: both suffixes are as long, and the paired test counts what it should."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import injection
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from side_by_side import main
from transformers import AutoTokenizer

from recbole_routedk.data.prompts import PromptEncoder
from recbole_routedk.data.session import Item, Session
from recbole_routedk.student.backbone import embedded_folder


@cache
def prompts() -> PromptEncoder:
    return PromptEncoder(AutoTokenizer.from_pretrained(embedded_folder()), 10, 50)


def sessions(titles: list[str]) -> list[Session]:
    """As many sessions as there are instructions."""
    items = tuple(Item(str(place), title) for place, title in enumerate(titles))
    return [Session(str(number), items) for number in range(len(injection.INSTRUCTIONS))]


@pytest.mark.parametrize("whole", [True, False])
@given(titles=st.lists(st.text("ab &é\n", max_size=60), min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_one_title_differs_and_the_control_is_as_long(whole: bool, titles: list[str], seed: int) -> None:
    for number, attack in enumerate(injection.attacks(sessions(titles), prompts(), seed, whole)):
        changed = [place for place, item in enumerate(attack.instructed.items) if item != attack.plain.items[place]]
        assert len(changed) == 1
        instructed, neutral = (each.items[changed[0]].title for each in (attack.instructed, attack.neutral))
        assert instructed.endswith(injection.INSTRUCTIONS[number])
        assert prompts().title_length(instructed) == prompts().title_length(neutral)
        if whole:
            assert attack.seen(prompts())
            assert prompts().title_length(instructed) <= prompts().title_tokens


def test_a_suffix_behind_a_long_title_does_not_reach_the_prompt() -> None:
    (attack, *_) = injection.attacks(sessions(["word " * 20]), prompts(), 0, whole=False)

    assert not attack.seen(prompts())


def test_the_test_is_paired_and_one_sided() -> None:
    moved, neutrally = [True] * 6 + [False] * 4, [False] * 5 + [True] * 2 + [False] * 3
    rows = {row.name: row for row in injection.rows("x", moved, neutrally, {"seen": 10})}

    assert rows["x: changed by instruction"].ratio[1] == 0.6
    assert rows["x: changed by control"].ratio[1] == 0.2
    p = rows["x: p of more by instruction"]
    assert p.ratio[1] == pytest.approx(7 / 64)  # 5 or 6 of 6 coins
    assert (p.figures["both"], p.figures["only_instruction"], p.figures["only_neutral"]) == (1, 5, 1)


def test_the_script_writes_what_it_counted(tiny_student_folder: Path, small_data: Path, tmp_path: Path) -> None:
    file = tmp_path / "injection.json"
    words = [f"--student={tiny_student_folder}", f"--data_path={small_data}", "--dataset=small", "--sessions=2"]
    assert main(injection.MEASURES, argv=[*words, "--rows=read", f"--json={file}"]) == 0

    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    assert [row["name"].split(": ")[1] for row in rows] == [
        "changed by instruction",
        "changed by control",
        "p of more by instruction",
    ]
    assert rows[0]["figures"]["sessions"] == rows[0]["figures"]["seen"] == 2
    assert all(0 <= row["ratio"][1] <= 1 for row in rows)
