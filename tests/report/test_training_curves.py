"""Curves are what the trainer wrote."""

from __future__ import annotations

import re
from pathlib import Path

from made_runs import write_log
from toy import Threshold

from recbole_routedk.quick_start import run_recbole_routedk
from recbole_routedk.report.curves import Curve, read_curves, read_scalars
from recbole_routedk.report.runs import read_run


def test_a_log_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_log(tmp_path, {"loss/train": [1.5, 0.75], "valid/matchedf1": [0.25, 0.5]})

    assert read_scalars(tmp_path) == {
        "loss/train": ((1, 1.5), (2, 0.75)),
        "valid/matchedf1": ((1, 0.25), (2, 0.5)),
    }


def test_an_epoch_that_a_resumed_run_wrote_again_counts_once(tmp_path: Path) -> None:
    write_log(tmp_path, {"loss/train": [4.0, 3.0]})
    write_log(tmp_path, {"loss/train": [2.0, 1.0]}, first=2)

    assert read_scalars(tmp_path)["loss/train"] == ((1, 4.0), (2, 2.0), (3, 1.0))


def test_a_run_without_a_log_has_no_curve(tmp_path: Path) -> None:
    assert read_scalars(tmp_path) == {}


def test_the_stages_of_a_training_are_lines_of_their_own() -> None:
    curve = Curve("RouteDK", 1, ((1, 1.4), (2, 1.2), (3, 0.9)), ((2, 0.6), (3, 0.7)), ((1, 1), (2, 1), (3, 2)))

    assert curve.by_stage(curve.loss) == [((1, 1.4), (2, 1.2)), ((3, 0.9),)]
    assert curve.by_stage(curve.valid) == [((2, 0.6),), ((3, 0.7),)]
    assert Curve("SFT", 1, curve.loss, ()).by_stage(curve.loss) == [curve.loss]  # a log without stages
    assert curve.by_stage(()) == []


def test_a_real_training_has_an_epoch_for_each_loss(toy_data: Path) -> None:
    given = {"data_path": str(toy_data), "epochs": 3, "learning_rate": 0.5, "show_progress": False}
    result = run_recbole_routedk(Threshold, "toy", config_dict=given)

    (curve,) = read_curves([read_run(Path(result["run_folder"]))], "matchedf1")

    log = (Path(result["run_folder"]) / "run.log").read_text(encoding="utf-8")
    told = [(int(epoch), float(loss)) for epoch, loss in re.findall(r"epoch (\d+) of 3: loss ([\d.]+)", log)]
    assert [epoch for epoch, _ in curve.loss] == [1, 2, 3]
    assert [(epoch, round(loss, 4)) for epoch, loss in curve.loss] == told
    assert curve.by_stage(curve.loss) == [curve.loss]
    assert curve.stages == ((1, 1.0), (2, 1.0), (3, 1.0))
    assert max(value for _, value in curve.valid) == result["best_valid_score"]
