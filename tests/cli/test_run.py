"""The run command and the program around it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from recbole_routedk import plugins
from recbole_routedk.cli import dispatch
from recbole_routedk.cli.run import parse_settings
from recbole_routedk.errors import UserError
from recbole_routedk.literals import load_yaml, properties_folder
from recbole_routedk.registry import about_model, model_names, model_schema

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "words, settings",
    [
        (["--epochs=3"], {"epochs": "3"}),
        (["--epochs", "3"], {"epochs": "3"}),
        (["--weight_decay", "-1"], {"weight_decay": "-1"}),
        (["--student=a=b=c"], {"student": "a=b=c"}),
        (["--gpu_id="], {"gpu_id": ""}),
        (["--resume", "--seed=1"], {"resume": "True", "seed": "1"}),
        (["--config_files=a.yaml", "b.yaml"], {"config_files": "a.yaml b.yaml"}),
        (["--config_files", "a.yaml", "b.yaml", "--seed", "1"], {"config_files": "a.yaml b.yaml", "seed": "1"}),
    ],
)
def test_settings_are_read_in_every_common_form(words: list[str], settings: dict[str, str]) -> None:
    assert parse_settings(words) == settings


@pytest.mark.parametrize(
    "words, message",
    [
        (["epochs=3"], "'epochs=3' belongs to no setting"),
        (["--seed=1", "--seed=1"], "--seed is given twice"),
        (["--=3"], "names no setting"),
    ],
)
def test_words_that_are_no_setting_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_settings(words)


@pytest.fixture
def toy_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy models under their names."""
    (tmp_path / "properties" / "model").mkdir(parents=True)
    for name in ("Threshold", "Counting"):
        file = tmp_path / "properties" / "model" / f"{name}.yaml"
        quick = "train_batch_size: 4\nlearning_rate: 0.5\n" if name == "Threshold" else ""
        file.write_text(f"model_class: toy:{name}\n{quick}", encoding="utf-8")
    monkeypatch.setattr(plugins, "properties_folder", lambda: tmp_path / "properties")


def test_run_then_evaluate_what_was_saved(toy_data: Path, toy_models: None, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--model=Threshold, Counting", "--dataset=toy", f"--data_path={toy_data}"]
    words += ["--baselines=[]", "--show_progress", "False"]

    assert dispatch.main(words) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows[2:4]] == [["Threshold", "1.000"], ["Counting", "0.739"]]

    exact = json.loads(Path("output/toy/leaderboard.json").read_text(encoding="utf-8"))["results"]
    (folder,) = [result["run_folder"] for result in exact if result["model"] == "Threshold"]
    assert dispatch.main(["run", f"--checkpoint={folder}", "--evaluate_only"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[2][:2] == ["Threshold", "1.000"]


@pytest.mark.parametrize(
    "words, message",
    [
        (["--epoch=3"], "Did you mean 'epochs'"),
        (["--model=Treshold"], "Did you mean 'Threshold'"),
        (["--dataset=tox"], "Did you mean 'toy'"),
        (["--evaluate_only"], "--evaluate_only needs --checkpoint"),
        (["--checkpoint=nowhere"], "nowhere/config.json: there is no such file"),
        (["--checkpoint=nowhere", "--model=Threshold"], "leave out --model"),
        (["--config_files=absent.yaml"], "absent.yaml: there is no such file"),
        (["3"], "belongs to no setting"),
    ],
)
def test_what_a_user_can_mend_is_said_without_traceback(
    toy_data: Path, toy_models: None, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    given = {word.split("=")[0] for word in words}
    defaults = {"--model": "Threshold", "--dataset": "toy", "--data_path": str(toy_data), "--baselines": "[]"}
    if "--checkpoint" not in given and words != ["3"]:
        words = [*words, *(f"{key}={value}" for key, value in defaults.items() if key not in given)]

    assert dispatch.main(["run", *words]) == 2

    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert captured.out == ""


def test_the_table_is_shown_although_one_model_failed(
    toy_data: Path, toy_models: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise UserError("has no fingers")

    monkeypatch.setattr("toy.Counting.fit_sessions", fail)
    words = ["run", "--model=Threshold,Counting", "--dataset=toy", f"--data_path={toy_data}", "--baselines=[]"]

    assert dispatch.main([*words, "--show_progress=False", "--epochs=0"]) == 2
    shown = capsys.readouterr()
    head, rule, row = (line.split()[0] for line in shown.out.splitlines()[:3])
    assert (head, set(rule), row) == ("Model", {"-"}, "Threshold")
    assert "error: 1 of 2 runs failed" in shown.err
    assert "Counting-seed2020-" in shown.err
    assert shown.err.rstrip().endswith("has no fingers")


def test_a_forgotten_command_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.main(["--model=RouteDK"]) == 2
    assert "did you mean 'run --model=RouteDK'" in capsys.readouterr().err


def test_help_names_commands_models_and_data_sets(
    toy_data: Path, toy_models: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        dispatch.main(["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("run", "convert", "evaluate"))

    assert dispatch.main(["run", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "  Counting\n  Threshold\n" in shown
    assert "bundle-mini" in shown


def test_help_explains_every_setting_with_its_default_and_what_it_may_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.main(["run", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name in model_names():
        assert about_model(name).split()[0] in shown
        assert all(f"--{key}=" in shown for key in model_schema(name)), name
    assert all(f"--{key}=" in shown for key in load_yaml(properties_folder() / "overall.yaml"))
    assert "--warmup_ratio=0.05 a number from 0 to 1: share of the steps of a stage in which the rate climbs" in shown

    assert dispatch.main(["run", "--help", "--model=POG"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "--epochs=6 a whole number, at least 0" in shown
    assert "--lora_rank" not in shown


def test_help_on_an_unknown_model_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.main(["run", "--help", "--model=RouteDX"]) == 2
    assert "Did you mean 'RouteDK'?" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["run_recbole_routedk.py"], ["-m", "recbole_routedk", "run"]])
def test_both_ways_in_are_the_same_program(command: list[str]) -> None:
    done = subprocess.run([sys.executable, *command, "epochs=3"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "'epochs=3' belongs to no setting" in done.stderr  # said before torch is imported
