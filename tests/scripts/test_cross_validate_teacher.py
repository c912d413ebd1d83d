"""The statistical teacher is scored on sessions that it has not seen, and compared with another state of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cross_validate_teacher import main, measured, regrouped, told
from toy import toy_splits

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.distill.knowledge import Thought
from recbole_routedk.evaluation.utility import mean_utility

PAIR, REST = frozenset({0, 1}), frozenset({2, 3})


def test_pairs_and_groups_are_scored() -> None:
    items = tuple(Item(f"i{place}", f"title {place}") for place in range(4))
    sessions = [LabelledSession(Session(name, items), (PAIR, REST)) for name in "ab"]
    right, wrong = np.zeros((4, 4)), np.zeros((4, 4))
    right[0, 1] = right[2, 3] = 0.9
    wrong[0, 2] = wrong[1, 3] = 0.9
    thoughts = [Thought(right, (PAIR, REST), ("", "")), Thought(wrong, (PAIR,), ("",))]

    result = measured(sessions, thoughts)

    # Four pairs are together, two of them at .9; of the other eight two are at .9 and six at 0. Of the 32 couples of
    # one of each, 12 are in the right order (two at .9, six at 0), and 16 are ties (4 at .9, 12 at 0).
    assert result["pairs"]["auc"] == pytest.approx((12 + 16 / 2) / 32)
    assert result["sessions"]["matchedf1"] == [1.0, pytest.approx(2 / 3)]
    assert result["sessions"]["bundlef1"] == [1.0, pytest.approx(2 / 3)]


def test_every_training_and_valid_session_is_scored_once_and_compared(
    toy_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--dataset=toy", f"--data_path={toy_data}", "--folds=2", f"--json={tmp_path / 'now.json'}"]

    assert main(words) == 0
    first = capsys.readouterr().out
    assert main([*words, f"--against={tmp_path / 'now.json'}"]) == 0
    again = capsys.readouterr().out

    written = json.loads((tmp_path / "now.json").read_text(encoding="utf-8"))
    splits = toy_splits()
    assert {len(values) for values in written["sessions"].values()} == {len(splits.train) + len(splits.valid)}
    assert again.startswith(first)  # the same again, to the last digit
    assert "matchedf1 +0.0000 (standard error 0.0000)" in again


def test_groups_may_be_chosen_by_other_metrics() -> None:
    items = tuple(Item(f"i{place}", f"title {place}") for place in range(4))
    sessions = [LabelledSession(Session("a", items), (frozenset({0, 1, 2}),))]
    # Most draws have all three items, some two of them: a pair is a part of the first and of some of the others.
    affinities = np.zeros((4, 4))
    affinities[:3, :3] = 0.5 - 0.5 * np.eye(3)
    unsure = Thought(affinities, (frozenset({0, 1, 2}),), ("",))

    (whole,), (part,) = (
        regrouped(sessions, [unsure], mean_utility([metric]), 1) for metric in ("matchedf1", "precision")
    )

    assert [len(group) for group in whole.groups] == [3]
    assert [len(group) for group in part.groups] == [2]
    told = measured(sessions, [part])
    assert (told["sessions"]["precision"], told["coverage"]) == ([1.0], pytest.approx(2 / 3))


def test_other_sessions_are_not_compared() -> None:
    one: dict[str, Any] = {"dataset": "a", "folds": 5, "seed": 1, "pairs": {"auc": 0.5, "log_loss": 0.7}}
    one |= {"sessions": {}, "coverage": 1.0}
    with pytest.raises(ValueError, match="another data set"):
        told(one, one | {"seed": 2})


def test_one_fit_is_scored_out_of_fold_and_on_the_valid_sessions(
    toy_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--dataset=toy",
        f"--data_path={toy_data}",
        "--out_of_fold",
        "--untuned",
        f"--json={tmp_path / 'one.json'}",
    ]

    assert main(words) == 0
    assert main([*words, f"--against={tmp_path / 'one.json'}"]) == 0

    written, splits = json.loads((tmp_path / "one.json").read_text(encoding="utf-8")), toy_splits()
    assert len(written["sessions"]["matchedf1"]) == len(splits.train)
    assert len(written["valid"]["sessions"]["matchedf1"]) == len(splits.valid)
    out = capsys.readouterr().out
    mean = np.mean(written["valid"]["sessions"]["matchedf1"])
    assert f"valid: AUC {written['valid']['pairs']['auc']:.4f}" in out
    assert out.count(f"matchedf1 {mean:.4f}") >= 2
    assert out.count("matchedf1 +0.0000 (standard error 0.0000)") == 2
    with pytest.raises(ValueError, match="another data set, way"):
        main([*words[:2], "--folds=2", f"--against={tmp_path / 'one.json'}"])
