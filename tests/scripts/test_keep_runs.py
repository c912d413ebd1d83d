"""Records of finished runs are kept without their machine, and one leaderboard is made of all that are kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from keep_runs import main

from recbole_routedk.comparison.runner import compare_models


def ran(folder: Path, seed: int) -> Path:
    """Runs of two guesses with one seed, as on a machine of their own."""
    settings = {"output_dir": str(folder), "show_progress": False, "seed": seed, "baselines": []}
    compare_models(["WholeSession", "FirstTwo"], "bundle-mini", config_dict=settings)
    return folder / "bundle-mini"


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return ran(tmp_path_factory.mktemp("one"), 1), ran(tmp_path_factory.mktemp("two"), 2)


def board(home: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((home / "kept.json").read_text(encoding="utf-8"))
    return read


def test_seeds_of_two_machines_stand_in_one_row(machines: tuple[Path, Path], tmp_path: Path) -> None:
    for home in machines:
        assert main([str(home), str(tmp_path)]) == 0

    whole, first = board(machines[1])["leaderboard"]

    assert (whole["model"], first["model"]) == ("WholeSession", "FirstTwo")
    assert whole["seeds"] == first["seeds"] == [1, 2]
    one = json.loads((machines[0] / "leaderboard.json").read_text(encoding="utf-8"))["leaderboard"]
    assert whole["matchedf1"] == {"mean": pytest.approx(one[0]["matchedf1"]["mean"]), "std": pytest.approx(0.0)}
    # The scores of single sessions are kept too: the rows are tested against each other.
    assert first["against_best_baseline"]["matchedf1"]["mean"] == pytest.approx(
        one[1]["against_best_baseline"]["matchedf1"]["mean"]
    )


def test_nothing_kept_names_a_place(machines: tuple[Path, Path], tmp_path: Path) -> None:
    main([str(machines[0]), str(tmp_path / "kept")])

    texts = [path.read_text(encoding="utf-8") for path in (tmp_path / "kept").rglob("*.json")]

    assert len(texts) == 2 * 4  # result, settings, answers and scores of each run
    names = [path.name for path in (tmp_path / "kept").rglob("events*")]
    assert names == ["events.out.tfevents.0"] * 2  # as they are written, they name the machine
    assert not any(str(machines[0].parent) in text or str(Path.home()) in text for text in texts)


def test_what_is_kept_outlives_the_runs_and_a_newer_run_takes_the_place_of_an_older(
    machines: tuple[Path, Path], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(machines[0], home)
    main([str(home), str(tmp_path / "kept")])
    (folder,) = (tmp_path / "kept" / "FirstTwo").iterdir()
    older = {**json.loads((folder / "result.json").read_text(encoding="utf-8")), "finished": "2020-01-01T00:00:00"}
    older["test_result"]["matchedf1"] = 1.0
    shutil.copytree(folder, folder.with_name("older"))
    (folder.with_name("older") / "result.json").write_text(json.dumps(older), encoding="utf-8")
    shutil.rmtree(home / "WholeSession")

    main([str(home), str(tmp_path / "kept")])

    rows = {row["model"]: row for row in board(home)["leaderboard"]}
    assert rows.keys() == {"WholeSession", "FirstTwo"}
    assert rows["FirstTwo"]["matchedf1"]["mean"] < 1.0


def test_an_unfinished_run_is_told_and_left_out(
    machines: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    shutil.copytree(machines[0], home)
    (folder,) = (home / "FirstTwo").iterdir()
    (folder / "result.json").unlink()

    main([str(home), str(tmp_path / "kept")])

    assert f"Left out: {folder}: it is not finished" in capsys.readouterr().err
    assert [row["model"] for row in board(home)["leaderboard"]] == ["WholeSession"]


def test_wrong_arguments_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["only one"]) == 2
    assert "usage" in capsys.readouterr().err
    assert main([str(tmp_path / "none"), str(tmp_path)]) == 1
    assert "holds no finished run" in capsys.readouterr().err


def test_answers_to_another_data_set_are_not_kept(toy_data: Path, tmp_path: Path) -> None:
    settings = {"data_path": str(toy_data), "show_progress": False, "baselines": []}
    compare_models(["WholeSession"], "toy", config_dict=settings)
    compare_models(["FirstTwo"], "toy", config_dict=settings | {"test_on": "bundle-mini"})

    main(["output/toy", str(tmp_path / "kept")])

    assert [row["model"] for row in board(Path("output/toy"))["leaderboard"]] == ["WholeSession"]
