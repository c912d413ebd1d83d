"""Settings: which source wins, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy import Counting, Threshold

from recbole_routedk.config import Config, shared_schema, shared_setting
from recbole_routedk.config_schema import joined
from recbole_routedk.distill.formats.sampling import STRATEGIES
from recbole_routedk.distill.formats.thoughts import THOUGHT_CHECKS
from recbole_routedk.distill.knowledge import FORMATS
from recbole_routedk.errors import UserError
from recbole_routedk.model.content import CONTENTS
from recbole_routedk.model.language.lessons import THOUGHT_SOURCES
from recbole_routedk.model.routedk import EXPERTS
from recbole_routedk.model.statistical.clustering import LINKAGES
from recbole_routedk.registry import model_names, model_schema


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
        ({"learning_rte": "1"}, "no setting 'learning_rte'. Did you mean 'learning_rate' (a number, at least 0)?"),
        ({"epochs": "many"}, "command line: epochs has to be a whole number, at least 0, not 'many'"),
        ({"epochs": "1.5"}, "epochs has to be a whole number, at least 0, not '1.5'"),
        ({"epochs": "-1"}, "epochs has to be a whole number, at least 0, not '-1'"),
        ({"epochs": ""}, "epochs has to be a whole number"),
        ({"learning_rate": "nan"}, "learning_rate has to be a number"),
        ({"learning_rate": ".nan"}, "learning_rate has to be a number, at least 0, not '.nan'"),
        ({"learning_rate": ".inf"}, "learning_rate has to be a number, at least 0, not '.inf'"),
        ({"warmup_ratio": "2"}, "warmup_ratio has to be a number from 0 to 1, not '2'"),
        ({"shuffle": "perhaps"}, "shuffle has to be True or False"),
        ({"lr_scheduler": "cubic"}, "lr_scheduler has to be one of linear, cosine, constant, not 'cubic'"),
        ({"lr_scheduler": "linnear"}, "not 'linnear'. Did you mean 'linear'?"),
        ({"clip_grad_norm": "{a: "}, "--clip_grad_norm={a: : not a value"),
        ({"clip_grad_norm": "{norm: 1}"}, "clip_grad_norm has to be a mapping with keys of max_norm, norm_type"),
        ({"clip_grad_norm": "{norm_type: 1}"}, "lacks the number max_norm"),
        ({"worker": "many"}, "worker has to be a whole number, not 'many'"),  # RecBole's own settings have types too
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


@pytest.mark.parametrize(
    "model, texts, message",
    [
        ("BBPR", {"search": "anneal"}, "search has to be one of greedy, annealed, not 'anneal'. Did you mean"),
        ("BYOB", {"reward": "sparse"}, "reward has to be one of dense, terminal"),
        ("StockBundler", {"interactions": "baskets"}, "interactions has to be one of bundle, session"),
        ("StockBundler", {"neighbours": "0"}, "neighbours has to be a whole number, at least 1"),
        ("TitleCluster", {"linkages": "average,ward"}, "linkages has to be one or more of average, complete, single"),
        ("TitleCluster", {"linkages": "[]"}, "linkages has to be one or more of average, complete, single"),
        ("Freq", {"student": "x"}, "student is a setting of AICL, BBPR"),
    ],
)
def test_settings_of_a_model_are_checked_before_it_is_loaded(
    toy_data: Path, monkeypatch: pytest.MonkeyPatch, model: str, texts: dict[str, str], message: str
) -> None:
    monkeypatch.setattr("recbole_routedk.config.resolve_model", lambda name: pytest.fail(f"{name} was loaded"))

    with pytest.raises(UserError) as error:
        Config(model, "toy", None, {"data_path": str(toy_data)}, texts)

    assert message in str(error.value)


# Teachers and their knowledge ---------------------------------------------------------------------


def routedk(toy_data: Path, **texts: str) -> Config:
    """The settings of a model that reads a teacher's knowledge."""
    return Config("RouteDK", "toy", config_dict={"data_path": str(toy_data)}, command_line=texts)


def test_the_chosen_teacher_brings_its_own_settings(toy_data: Path) -> None:
    config = routedk(toy_data, teacher="openai", teacher_timeout="9")

    assert (config["teacher_model"], config["teacher_timeout"]) == ("gpt-4o-mini", 9.0)
    assert routedk(toy_data)["teacher_model"] is None  # the embedded one has none
    assert config["knowledge_store"] == "output/knowledge.sqlite"


def test_the_chosen_router_brings_defaults_of_its_own(toy_data: Path) -> None:
    own = model_schema("RouteDK")["router_learning_rate"].default

    assert routedk(toy_data)["router_learning_rate"] == routedk(toy_data, router="top_k")["router_learning_rate"] == own
    assert routedk(toy_data, router="static")["router_learning_rate"] > own > 0
    assert routedk(toy_data, router="static", router_learning_rate="0.5")["router_learning_rate"] == 0.5
    with pytest.raises(UserError, match="router_learning_rate has to be a number, at least 0"):
        routedk(toy_data, router="static", router_learning_rate="-1")


@pytest.mark.parametrize(
    "texts, message",
    [
        ({"teacher": "opnai"}, "no teacher 'opnai'. Did you mean 'openai'"),
        ({"teacher_modl": "m"}, "no setting 'teacher_modl'"),
        ({"teacher_base_url": "x"}, "teacher_base_url is a setting of the teacher openai, not of statistical"),
        ({"teacher": "local", "teacher_base_url": "x"}, "is a setting of the teacher openai, not of local"),
        (
            {"knowledge_format": "rules,poems"},
            "some of patterns, rules, thoughts, not 'rules,poems'",
        ),
        ({"knowledge_ratio": "1.5"}, "knowledge_ratio has to be a number from 0 to 1"),
        ({"thought_check": "perhaps"}, "thought_check has to be one of keep, drop, regenerate"),
        ({"knowledge_from": "toy"}, "toy is the data set itself"),
        ({"test_on": "toy"}, "test_on: toy is the data set itself"),
        ({"test_on": "nowhere"}, "test_on: there is no data set 'nowhere'"),
        ({"knowledge_from": "tox"}, "knowledge_from: there is no data set 'tox'"),
    ],
)
def test_settings_of_teachers_are_checked(toy_data: Path, texts: dict[str, str], message: str) -> None:
    with pytest.raises(UserError) as error:
        routedk(toy_data, **texts)

    assert message in str(error.value)


@pytest.mark.parametrize(
    "texts",
    [
        {"openai_api_key": "sk-1"},
        {"teacher_api_key": "sk-1"},
        {"teacher": "openai", "TEACHER_APIKEY": "sk-1"},
        {"teacher": "openai", "teacher_base_url": "https://user:sk-1@host/v1"},
        {"teacher": "openai", "teacher_base_url": "https://host/v1?key=sk-1"},
        {"teacher": "openai", "teacher_base_url": "https://[sk-1/v1"},
        {"teacher": "openai", "teacher_key_variable": "sk-1"},
    ],
)
def test_a_secret_is_refused_and_not_repeated(toy_data: Path, texts: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"printed and saved|never a setting") as error:
        routedk(toy_data, **texts)

    assert "sk-1" not in str(error.value)


def test_models_beside_do_not_choke_on_a_teacher_that_they_do_not_ask(toy_data: Path) -> None:
    def freq(**texts: str) -> Config:
        return Config("Freq", "toy", None, {"data_path": str(toy_data)}, texts, ["RouteDK", "Freq"])

    asked = freq(teacher="openai", teacher_model="m", knowledge_format="rules", knowledge_from="bundle-mini")

    assert asked.run_folder == freq().run_folder
    assert asked["knowledge_from"] == []
    assert asked.changed_model_settings() == {}


def test_a_model_that_learns_otherwise_has_another_name(toy_data: Path) -> None:
    changed = {"weight_decay": "0.1", "lr_scheduler": "constant", "student_dtype": "bfloat16", "lora_rank": "4"}
    told = {"lora_rank": 4, "student_dtype": "bfloat16", "lr_scheduler": "constant", "weight_decay": 0.1}

    assert routedk(toy_data, **changed).changed_model_settings() == told
    assert next(iter(routedk(toy_data, **changed).changed_model_settings())) == "lora_rank"  # its own ones first
    assert routedk(toy_data, seed="7", eval_batch_size="3", resume="True").changed_model_settings() == {}


def test_settings_that_a_model_does_not_read_are_not_in_its_name(toy_data: Path) -> None:
    given = {"epochs": "2", "weight_decay": "0.1", "student_dtype": "bfloat16"}
    freq = Config("Freq", "toy", None, {"data_path": str(toy_data)}, given, ["RouteDK", "Freq"])
    pog = Config("POG", "toy", None, {"data_path": str(toy_data)}, given, ["RouteDK", "POG"])

    assert freq.changed_model_settings(trained=False) == {}
    assert pog.changed_model_settings() == {"epochs": 2, "weight_decay": 0.1, "student_dtype": "bfloat16"}


def test_the_run_folder_tells_what_was_asked_but_not_how(toy_data: Path) -> None:
    plain = routedk(toy_data, teacher="openai")

    for key, value in {
        "teacher_concurrency": "2",
        "teacher_timeout": "5",
        "teacher_prices": "{m: {input: 1, output: 1}}",
        "knowledge_store": "elsewhere.sqlite",
    }.items():
        assert routedk(toy_data, teacher="openai", **{key: value}).run_folder == plain.run_folder, key
    for key, value in {"teacher_model": "m", "thought_gold": "True", "knowledge_ratio": "0.5"}.items():
        other = routedk(toy_data, teacher="openai", **{key: value})
        assert other.run_folder != plain.run_folder, key
        assert set(other.changed_model_settings()) == {"teacher", key}


def test_a_saved_run_can_be_given_another_teacher(toy_data: Path) -> None:
    plain = json.loads(json.dumps(routedk(toy_data, teacher="openai", teacher_model="m").plain()))

    assert Config.from_plain(plain)["teacher_model"] == "m"
    assert Config.from_plain(plain, {"teacher": "statistical"})["teacher_model"] is None


def test_what_a_setting_may_be_is_what_the_parts_know() -> None:
    schema = joined(shared_schema(), *(model_schema(name) for name in model_names()))
    known = {
        "content": CONTENTS,
        "fusion": [*EXPERTS, "routed", "uniform"],
        "inference_view": FORMATS,
        "knowledge_format": FORMATS,
        "knowledge_sampling": STRATEGIES,
        "linkages": LINKAGES,
        "thought_check": THOUGHT_CHECKS,
        "thought_source": THOUGHT_SOURCES,
    }
    assert {key: set(schema[key].limits.choices) for key in known} == {key: set(each) for key, each in known.items()}


def own_dataset_file(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the toy data set have a settings file in a folder of the user's own."""
    (folder / "own" / "dataset").mkdir(parents=True)
    (folder / "own" / "dataset" / "toy.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("RECBOLE_ROUTEDK_PLUGINS", str(folder / "own"))


def test_a_data_set_has_settings_for_all_models_and_for_some(
    toy_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_dataset_file(tmp_path, "seed: 3\nmodels: {POG: {epochs: 7, seed: 4}}\n", monkeypatch)
    settings = {"data_path": str(toy_data)}

    pog, clhe = Config("POG", "toy", None, settings), Config("CLHE", "toy", None, settings)
    given = Config("POG", "toy", None, settings | {"epochs": 2})

    assert (pog["epochs"], pog["seed"], clhe["seed"]) == (7, 4, 3)
    assert clhe["epochs"] == model_schema("CLHE")["epochs"].default
    assert given["epochs"] == 2
    assert "models" not in pog.settings


@pytest.mark.parametrize(
    "text, told",
    [
        ("models: [POG]", r"toy.yaml: models is written as \{RouteDK: \{epochs: 2\}, ...\}"),
        ("models: {POGG: {epochs: 7}}", "toy.yaml: models: there is no model 'POGG'. Did you mean 'POG'"),
        ("models: {POG: {epoch: 7}}", "toy.yaml: there is no setting 'epoch'"),
    ],
)
def test_settings_for_some_models_that_are_none_are_refused(
    toy_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    own_dataset_file(tmp_path, text, monkeypatch)

    with pytest.raises(UserError, match=told):
        Config("POG", "toy", None, {"data_path": str(toy_data)})
