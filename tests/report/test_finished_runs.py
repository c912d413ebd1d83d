"""Which runs the page is made from, and what it says of the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_runs import alternating, right, small_test, whole, write_data, write_run

from recbole_routedk.errors import UserError
from recbole_routedk.quick_start import run_recbole_routedk
from recbole_routedk.report.gather import gather
from recbole_routedk.report.runs import of_these_sessions, read_runs, run_folders


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "data")


def reasons(output: Path) -> dict[str, str]:
    return {each.folder.name: each.reason for each in read_runs(run_folders(output / "small"))[1]}


def change(folder: Path, file: str, **values: Any) -> None:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_unfinished_untested_old_and_damaged_runs_are_left_out_with_the_reason(tmp_path: Path, data: Path) -> None:
    made = {name: write_run(tmp_path, data, name, alternating(right)) for name in "ABCDEF"}
    (made["A"] / "result.json").unlink()
    change(made["B"], "result.json", test_result={})
    (made["C"] / "sessions_test.json").unlink()
    (made["D"] / "predictions_test.json").write_text("{", encoding="utf-8")
    change(made["E"], "predictions_test.json", another=[[0, 1]])

    told = reasons(tmp_path)

    assert set(told) == {f"{name}-seed1" for name in "ABCDE"}
    assert told["A-seed1"] == "it is not finished"
    assert told["B-seed1"] == "it was not tested"
    assert "older layout" in told["C-seed1"]
    assert "cannot be read as JSON" in told["D-seed1"]
    assert "not of the same sessions" in told["E-seed1"]


def test_of_two_runs_of_a_model_and_seed_the_newest_is_shown(tmp_path: Path, data: Path) -> None:
    old = write_run(tmp_path / "old", data, "A", alternating(whole), finished="2026-01-01T00:00:00+00:00")
    new = write_run(tmp_path / "new", data, "A", alternating(right), finished="2026-01-03T00:00:00+00:00")
    other_seed = write_run(tmp_path / "old", data, "A", alternating(right), seed=2)

    runs, left_out = read_runs([new, old, other_seed])

    assert {run.folder for run in runs} == {new, other_seed}
    assert [each.folder for each in left_out] == [old]
    assert "newer run of the same model and seed" in left_out[0].reason


def test_a_run_on_other_sessions_is_left_out(tmp_path: Path, data: Path) -> None:
    (run,), _ = read_runs([write_run(tmp_path, data, "A", alternating(right))])

    assert of_these_sessions([run], small_test(), data) == ([run], [])
    fitting, (left_out,) = of_these_sessions([run], small_test()[1:], data)
    assert fitting == []
    assert str(data) in left_out.reason


def test_an_answer_beyond_the_session_is_left_out(tmp_path: Path, data: Path) -> None:
    folder = write_run(tmp_path, data, "A", alternating(right))
    answers = json.loads((folder / "predictions_test.json").read_text(encoding="utf-8"))
    change(folder, "predictions_test.json", **{next(iter(answers)): [[0, 99]]})
    (run,), _ = read_runs([folder])

    assert of_these_sessions([run], small_test(), data)[0] == []


def test_a_folder_without_a_finished_run_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run --dataset=small --output_dir"):
        gather("small", tmp_path)


def test_a_data_set_that_was_moved_is_asked_for(tmp_path: Path, data: Path) -> None:
    write_run(tmp_path / "output", data, "A", alternating(right))
    moved = data.rename(tmp_path / "elsewhere")

    with pytest.raises(UserError, match="--data_path"):
        gather("small", tmp_path / "output")
    assert len(gather("small", tmp_path / "output", moved).runs) == 1


def test_settings_choose_the_runs_and_say_what_is_no_baseline(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = tmp_path / "field.yaml"
    settings.write_text(
        f"data_path: {data.parent}\nbenchmark:\n  models: [WholeSession]\n  seeds: [1, 2, 4]\n"
        "  proposed: [WholeSession]\n",
        encoding="utf-8",
    )
    for seed in (1, 2, 3):
        given = {"seed": seed, "show_progress": False, "state": "ERROR"}
        run_recbole_routedk("WholeSession", "small", [settings], given)

    gathered = gather("small", Path("output"), config_files=[settings])

    assert sorted(run.seed for run in gathered.runs) == [1, 2]
    assert [each.reason for each in gathered.left_out] == ["it is not finished"]
    assert gathered.summary.baseline is None
    # The whole session of four items or more holds every gold bundle of two: its Jaccard is 2 over the items.
    bundles = [len(session.bundles) for session in small_test()]
    lengths = [len(session.session) for session in small_test()]
    expected = sum(2 * (2 / length) / (1 + count) for length, count in zip(lengths, bundles, strict=True)) / 12
    assert gathered.summary.rows[0].metrics["matchedf1"].mean == pytest.approx(expected)
