"""A run folder is all that it takes to answer again: the data set may be gone, the folder moved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import Counting, Threshold, toy_splits

from recbole_routedk import BundleGenerator, UserError, run_recbole_routedk
from recbole_routedk.data.atomic import read_atomic
from recbole_routedk.model.statistical.freq import Freq
from recbole_routedk.saved_run import load_generator

QUIET = {"show_progress": False, "state": "ERROR", "epochs": 2, "learning_rate": 1.0}


def saved(model: str | type, data: Path) -> Path:
    result = run_recbole_routedk(model, "toy", config_dict=QUIET | {"data_path": str(data)})
    return Path(result["run_folder"])


def test_a_run_answers_without_its_data_set_and_from_another_place(toy_data: Path, tmp_path: Path) -> None:
    folder = saved(Threshold, toy_data)
    sessions = [labelled.session for labelled in toy_splits().test]
    before = [answer.bundles for answer in Threshold.from_pretrained(folder).generate(sessions)]
    shutil.rmtree(toy_data)
    moved = shutil.move(folder, tmp_path / "elsewhere")

    again = [answer.bundles for answer in Threshold.from_pretrained(moved).generate(sessions)]

    assert again == before == [(frozenset(range(1, len(session))),) for session in sessions]


def test_the_training_sessions_lie_in_the_folder_and_no_other(toy_data: Path) -> None:
    kept = read_atomic(saved(Counting, toy_data) / "training", "toy")

    assert kept.train == toy_splits().train
    assert kept.valid == kept.test == ()


@pytest.mark.parametrize("name", ["Freq", "TitleCluster", "BBPR", "StockBundler", "Teacher", "WholeSession"])
def test_every_kind_of_model_answers_as_it_did_when_it_was_tested(toy_data: Path, name: str) -> None:
    folder = saved(name, toy_data)
    shutil.rmtree(toy_data)

    model = BundleGenerator.from_pretrained(folder)
    answers = model.generate([labelled.session for labelled in toy_splits().test])

    assert type(model).__name__ == name
    assert {each.session.session_id: [sorted(b) for b in each.bundles] for each in answers} == json.loads(
        (folder / "predictions_test.json").read_text(encoding="utf-8")
    )


def test_other_training_sessions_are_refused(toy_data: Path) -> None:
    folder = saved(Counting, toy_data)
    file = folder / "training" / "toy.item"
    file.write_text(file.read_text(encoding="utf-8").replace("emoji", "emojis"), encoding="utf-8")

    with pytest.raises(UserError, match="are not those that the run was trained on"):
        Counting.from_pretrained(folder)


def test_a_run_of_before_needs_its_data_set(toy_data: Path) -> None:
    folder = saved(Counting, toy_data)
    shutil.rmtree(folder / "training")
    assert Counting.from_pretrained(folder).sessions_seen == 13
    moved = shutil.move(toy_data, toy_data.parent / "moved")

    with pytest.raises(UserError, match=r"saved without its training sessions.*say where it is with data_path"):
        Counting.from_pretrained(folder)

    assert Counting.from_pretrained(folder, data_path=str(moved)).sessions_seen == 13


def test_a_run_of_another_model_is_refused(toy_data: Path) -> None:
    with pytest.raises(UserError, match="is a run of Counting, not of Freq"):
        Freq.from_pretrained(saved(Counting, toy_data))


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give the folder of a saved run"):
        BundleGenerator.from_pretrained(tmp_path)


def test_loading_leaves_the_random_state_of_the_process(toy_data: Path) -> None:
    folder = saved(Threshold, toy_data)
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)

    Threshold.from_pretrained(folder)

    assert torch.equal(torch.rand(3), wanted)


def test_settings_may_be_replaced(toy_data: Path) -> None:
    folder = saved(Threshold, toy_data)
    given: dict[str, Any] = {"eval_batch_size": 3}

    assert Threshold.from_pretrained(folder, **given).config["eval_batch_size"] == 3
    with pytest.raises(UserError, match="eval_batch_siz"):
        Threshold.from_pretrained(folder, eval_batch_siz=3)


class StopRun(Exception):
    """Stands for whatever stops a run."""


class Stopped(Threshold):
    """Is stopped in its second epoch."""

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        if epoch == 1:
            raise StopRun


def test_a_run_that_was_stopped_answers_with_its_best_weights_and_says_so(
    toy_data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    finished = saved(Threshold, toy_data)
    places = {"data_path": str(toy_data), "output_dir": str(tmp_path / "stopped"), "run_name": "stopped"}
    with pytest.raises(StopRun):
        run_recbole_routedk(Stopped, "toy", config_dict=QUIET | places)
    (stopped,) = (tmp_path / "stopped").rglob("config.json")

    load_generator(finished, model_class=Threshold)
    assert caplog.messages == []
    load_generator(stopped.parent, model_class=Stopped)
    assert "this run was stopped after 1 epochs; the best weights until then answer" in caplog.text
    assert "--resume=True" in caplog.text
