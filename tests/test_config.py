"""Settings: which source wins, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy import Counting, Threshold

from recbole_routedk.config import Config, shared_setting
from recbole_routedk.errors import UserError


@pytest.fixture
def configure(toy_data: Path) -> Any:
    """Makes a Config on the toy data from command-line texts."""

    def make(files: list[Path] | None = None, given: dict[str, Any] | None = None, **texts: str) -> Config:
        settings = {"data_path": str(toy_data)} | (given or {})
        return Config(Threshold, "toy", files, settings, texts)

    return make


def test_command_line_beats_config_dict_beats_files_beats_defaults(configure: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("epochs: 11\nseed: 12\ntrain_batch_size: 13\n", encoding="utf-8")

    config = configure([file], {"seed": 22, "train_batch_size": 23}, train_batch_size="33")

    assert (config["epochs"], config["seed"], config["train_batch_size"]) == (11, 22, 33)
    assert config["valid_metric"] == "matchedf1"  # ours, not RecBole's MRR@10
    assert config["field_separator"] == "\t"  # RecBole's own default


def test_sys_argv_is_not_read(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["pytest", "--epochs=99"])

    assert configure()["epochs"] != 99


@pytest.mark.parametrize(
    "key, text, value",
    [
        ("learning_rate", "1e-4", 0.0001),
        ("learning_rate", "2", 2.0),
        ("stopping_step", "0", 0),
        ("shuffle", "false", False),
        ("gpu_id", "", ""),
        ("gpu_id", "1,2", "1,2"),
        ("clip_grad_norm", "{max_norm: 2}", {"max_norm": 2}),
        ("clip_grad_norm", "None", None),
        ("metrics", "MatchedF1,PairF1", ["MatchedF1", "PairF1"]),
        ("metrics", "['MatchedF1', 'PairF1']", ["MatchedF1", "PairF1"]),
        ("baselines", "[]", []),
        ("run_name", "2026-01-31", "2026-01-31"),
        ("output_dir", "a=b", "a=b"),
    ],
)
def test_text_is_read_as_the_type_of_the_setting(configure: Any, key: str, text: str, value: Any) -> None:
    assert configure(**{key: text})[key] == value


@pytest.mark.parametrize(
    "texts, message",
    [
        ({"learning_rte": "1"}, "no setting 'learning_rte'. Did you mean 'learning_rate'"),
        ({"epochs": "many"}, "epochs has to be a whole number, not 'many'"),
        ({"epochs": "1.5"}, "epochs has to be a whole number, not 1.5"),
        ({"epochs": "-1"}, "epochs has to be at least 0"),
        ({"epochs": ""}, "epochs has to be a whole number"),
        ({"learning_rate": "nan"}, "learning_rate has to be a number"),
        ({"learning_rate": ".nan"}, "learning_rate has to be at least 0"),
        ({"warmup_ratio": "2"}, "warmup_ratio has to be from 0 to 1"),
        ({"shuffle": "perhaps"}, "shuffle has to be True or False"),
        ({"lr_scheduler": "cubic"}, "lr_scheduler has to be one of linear, cosine, constant"),
        ({"clip_grad_norm": "{a: "}, "--clip_grad_norm={a: : not a value"),
        ({"metrics": "MatchedF1,Fame"}, "no metric 'Fame'"),
        ({"metrics": "[]"}, "valid_metric: 'MatchedF1' is not among the metrics"),
        ({"valid_metric": "Recall@10"}, "valid_metric: 'Recall@10' is not among"),
        ({"enable_scaler": "True"}, "needs no loss scaling"),
        ({"nproc": "2"}, "no setting 'nproc'"),
    ],
)
def test_what_cannot_be_meant_is_refused(configure: Any, texts: dict[str, str], message: str) -> None:
    with pytest.raises(UserError) as error:
        configure(**texts)

    assert message in str(error.value)


def test_text_is_never_run_as_code(configure: Any, tmp_path: Path) -> None:
    code = f"__import__('pathlib').Path({str(tmp_path / 'mark')!r}).touch()"

    with pytest.raises(UserError):
        configure(epochs=code)
    configure(run_name=code)

    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "content, message",
    [
        ("epochs: [1", "is not valid YAML"),
        ("just text", "has to hold settings"),
        ("epochs: 1\nepochs: 2\n", "'epochs' is given twice"),
        ("!!python/object/apply:os.system [true]", "is not valid YAML"),
        ("epoch: 3\n", "Did you mean 'epochs'"),
    ],
)
def test_a_bad_file_is_named(configure: Any, tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(content, encoding="utf-8")

    with pytest.raises(UserError, match=r"bad.yaml") as error:
        configure([file])

    assert message in str(error.value)


def test_a_missing_file_is_named(configure: Any) -> None:
    with pytest.raises(UserError, match=r"absent.yaml: there is no such file"):
        configure([Path("absent.yaml")])


def test_a_missing_data_set_is_named_with_those_that_there_are(toy_data: Path) -> None:
    with pytest.raises(UserError, match=r"no data set 'tox'.*Did you mean 'toy'.*convert"):
        Config(Threshold, "tox", config_dict={"data_path": str(toy_data)})


def test_everything_is_written_below_the_output_folder(configure: Any) -> None:
    folder = configure(output_dir="out", seed="7").run_folder

    assert folder.parent == Path("out/toy/Threshold")
    assert folder.name.startswith("Threshold-seed7-")


def test_the_run_folder_tells_settings_apart_but_not_places(configure: Any) -> None:
    assert configure(seed="7").run_folder == configure(seed="7", show_progress="False").run_folder
    assert configure(seed="7").run_folder != configure(seed="7", epochs="9").run_folder
    assert configure(checkpoint_dir="elsewhere", run_name="x").run_folder == Path("elsewhere/x")


def test_plain_settings_are_json_and_give_the_same_config_from_anywhere(
    configure: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = configure(given={"data_path": "data"}, learning_rate="1e-4", metrics="MatchedF1")
    plain = json.loads(json.dumps(config.plain()))
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")

    again = Config.from_plain(plain, {"eval_batch_size": "3"}, Threshold)

    changed = {key for key in config.settings if again.settings[key] != config.settings[key]}
    assert changed == {"data_path", "eval_batch_size"}


def test_use_gpu_false_keeps_to_the_cpu(configure: Any) -> None:
    assert configure(use_gpu="False")["device"].type == "cpu"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_numpy_names_that_recbole_needs_are_there(configure: Any) -> None:
    configure()

    assert vars(np)["float"] is np.float64
    assert vars(np)["bool"] is np.bool_


def test_one_config_leaves_no_trace_in_the_next(configure: Any) -> None:
    from recbole.utils import dataset_arguments

    before = list(dataset_arguments)
    configure(epochs="3")

    assert dataset_arguments == before
    assert configure()["epochs"] != 3


def test_shared_settings_are_known_before_a_model_is(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("baselines: [Freq]\n", encoding="utf-8")

    assert shared_setting("baselines", [file]) == ["Freq"]
    assert shared_setting("baselines", [file], None, {"baselines": "[]"}) == []


def test_a_class_serves_as_model_without_yaml(toy_data: Path) -> None:
    config = Config(Counting, "toy", config_dict={"data_path": str(toy_data)})

    assert config["model"] == "Counting"
    assert config.model_class is Counting
