"""Searching settings on the valid split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from toy import Threshold

from recbole_routedk import plugins
from recbole_routedk.cli import dispatch
from recbole_routedk.data.session import Generation, Session
from recbole_routedk.errors import UserError
from recbole_routedk.trials import TrialLog, best, best_lines, table
from recbole_routedk.tuning import searches, tune

SPACE = "learning_rate loguniform -9,0\nepochs quniform 1,4,1\nlr_scheduler choice ['constant','linear']\n"
QUICK = {"train_batch_size": "4", "baselines": "[]", "show_progress": "False", "state": "ERROR"}


@pytest.fixture
def space(tmp_path: Path, toy_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search space for the toy models, which are registered by their YAML."""
    folder = tmp_path / "properties" / "model"
    folder.mkdir(parents=True)
    for name in ("Threshold", "Counting"):
        (folder / f"{name}.yaml").write_text(f"model_class: toy:{name}\n", encoding="utf-8")
    monkeypatch.setattr(plugins, "properties_folder", lambda: folder.parent)
    path = tmp_path / "space.txt"
    path.write_text(SPACE, encoding="utf-8")
    return path


def tuned(space: Path, trials: int = 4, model: str = "Threshold", **settings: Any) -> list[dict[str, Any]]:
    given = QUICK | {"data_path": str(space.parent / "data")} | settings
    (search,) = searches([model], "toy", None, given, space)
    return tune(search, trials)


def test_the_first_trial_is_the_configured_model(space: Path) -> None:
    first, *others = tuned(space)

    assert first["settings"] == {"learning_rate": 0.001, "epochs": 5, "lr_scheduler": "linear"}
    assert len(others) == 3
    assert all(1 <= trial["settings"]["epochs"] <= 4 for trial in others)
    assert all(0.0001 < trial["settings"]["learning_rate"] <= 1 for trial in others)


def test_a_seed_gives_the_same_trials_and_another_one_others(space: Path) -> None:
    first, same, other = (
        [(trial["settings"], trial["score"]) for trial in tuned(space, output_dir=folder, seed=seed)]
        for folder, seed in (("a", "1"), ("b", "1"), ("c", "2"))
    )

    assert first == same
    assert [settings for settings, _ in first] != [settings for settings, _ in other]


def test_a_stopped_search_repeats_no_trial(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Path("output/toy/tuning/Threshold.jsonl")
    whole = tuned(space, 5)
    lines = log.read_bytes().splitlines(keepends=True)
    # What a kill leaves: two whole trials and half of a third.
    log.write_bytes(b"".join(lines[:2]) + lines[2][:40])
    trained: list[str] = []
    steps = Threshold.calculate_loss
    monkeypatch.setattr(
        Threshold,
        "calculate_loss",
        lambda model, batch: trained.append(model.config["run_name"]) or steps(model, batch),
    )

    again = tuned(space, 5)

    assert [trial["settings"] for trial in again] == [trial["settings"] for trial in whole]
    assert [trial["score"] for trial in again] == [trial["score"] for trial in whole]
    assert set(trained) == {trial["run"] for trial in whole[2:]}
    assert [json.loads(line)["run"] for line in log.read_text(encoding="utf-8").splitlines()] == [
        trial["run"] for trial in whole
    ]


def test_the_log_serves_another_search_space_too(space: Path) -> None:
    space.write_text("epochs choice [1,2]\nlr_scheduler choice [linear]\n", encoding="utf-8")
    wide = tuned(space, 3)
    space.write_text("epochs choice [1,2]\n", encoding="utf-8")

    narrow = tuned(space, 3)

    assert [trial["finished"] for trial in narrow] == [trial["finished"] for trial in wide]
    assert [list(trial["settings"]) for trial in narrow] == [["epochs"]] * 3
    assert len(table(narrow).splitlines()) == 5


def test_no_test_session_is_answered(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered: set[str] = set()
    whole = Threshold.predict_bundles

    def watched(model: Threshold, sessions: Sequence[Session]) -> list[Generation]:
        answered.update(session.session_id for session in sessions)
        return whole(model, sessions)

    monkeypatch.setattr(Threshold, "predict_bundles", watched)
    trials = tuned(space, 2)

    assert answered == {"s10", "s11", "s12"}
    assert not any("test" in key for trial in trials for key in trial)
    assert [path.name for path in Path("output/toy").iterdir()] == ["tuning"]


def test_a_small_space_is_searched_whole_and_then_ends(space: Path) -> None:
    space.write_text("epochs choice [1,2,5]\n", encoding="utf-8")

    assert sorted(trial["settings"]["epochs"] for trial in tuned(space, 20)) == [1, 2, 5]


def test_a_trial_that_fails_ends_no_search(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space.write_text("learning_rate choice [0.5, 0.25]\n", encoding="utf-8")
    steps = Threshold.calculate_loss
    monkeypatch.setattr(
        Threshold,
        "calculate_loss",
        lambda model, batch: steps(model, batch) * (float("nan") if model.config["learning_rate"] == 0.5 else 1),
    )

    trials = tuned(space, 3)

    (failed,) = [trial for trial in trials if trial["score"] is None]
    assert failed["settings"] == {"learning_rate": 0.5}
    assert "The training loss is nan" in failed["error"]
    assert len(trials) == 3
    assert best(trials)["score"] == 1.0


def test_what_the_command_line_fixes_is_not_searched(space: Path) -> None:
    trials = tuned(space, 3, epochs="2")

    assert all("epochs" not in trial["settings"] for trial in trials)
    assert len({trial["settings"]["learning_rate"] for trial in trials}) == 3


def test_a_search_may_end_early_when_told(space: Path) -> None:
    (search,) = searches(["Counting"], "toy", None, QUICK | {"data_path": str(space.parent / "data")}, space)

    assert len(tune(search, 15)) == 15
    assert len(tune(search, 15, early_stop=3)) < 10  # Counting scores the same whatever the settings


def test_settings_are_checked_before_the_first_trial(space: Path) -> None:
    given = QUICK | {"data_path": str(space.parent / "data")}

    with pytest.raises(UserError, match="run_name"):
        searches(["Threshold"], "toy", None, given | {"run_name": "mine"}, space)
    with pytest.raises(UserError, match="each model once"):
        searches(["Threshold", "Threshold:epochs=2"], "toy", None, given, space)
    assert not Path("output").exists()


def trial(score: float | None, **settings: Any) -> dict[str, Any]:
    valid = {} if score is None else {"matchedf1": score}
    return {"score": score, "valid": valid, "valid_score_bigger": True, "seconds": 1.25, "settings": settings}


def test_the_best_settings_are_lines_of_yaml() -> None:
    trials = [
        trial(0.5, rate=0.01, kinds=["a"]),
        trial(0.7, rate=1e-05, kinds=["a", "b"]),
        trial(0.7, rate=1, kinds=[]),
    ]

    assert best_lines(trials) == "rate: 1.0e-05\nkinds: [a, b]"


def test_the_table_has_the_best_first_and_says_what_failed() -> None:
    rows = table([trial(0.5, rate=0.01), trial(None, rate=9.0), trial(0.75, rate=0.1)]).splitlines()

    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert cells[0] == ["trial", "MatchedF1", "BundleF1", "PairF1", "s", "rate"]
    assert cells[2:] == [
        ["3", "0.7500", "-", "-", "1.2", "0.1"],
        ["1", "0.5000", "-", "-", "1.2", "0.01"],
        ["2", "-", "-", "-", "1.2", "9.0"],
    ]


def test_a_line_that_is_no_trial_is_named(tmp_path: Path) -> None:
    path = tmp_path / "X.jsonl"
    path.write_text('{"run": "a"}\n', encoding="utf-8")

    with pytest.raises(UserError, match=r"X\.jsonl, line 1: is no trial of tune"):
        TrialLog(path).read()


def test_the_command_prints_and_keeps_table_and_best(space: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "tune",
        "--model=Threshold,Counting",
        "--dataset=toy",
        f"--data_path={space.parent / 'data'}",
        "--trials=3",
    ]
    words += [f"--params_file={space}", *(f"--{key}={value}" for key, value in QUICK.items())]

    assert dispatch.main(words) == 0

    shown = capsys.readouterr()
    assert "# Threshold on toy, valid split" in shown.out
    assert "# Counting on toy, valid split" in shown.out
    assert "```yaml\nlearning_rate: " in shown.out
    assert "Threshold, trial 3 of 3: " in shown.err
    assert Path("output/toy/tuning/Counting.md").read_text(encoding="utf-8") in shown.out


@pytest.mark.parametrize(
    "word, message",
    [
        ("--trials=none", "--trials has to be a whole number, at least 1, not 'none'"),
        ("--trials=0", "at least 1"),
        ("--early_stop=-1", "at least 0"),
        ("--algo=grid", "--algo has to be one of bayes, random, not 'grid'"),
        ("--model=Treshold", "Did you mean 'Threshold'"),
        ("--model=", "tune needs --model"),
        ("--params_file=absent.txt", "absent.txt: there is no such file"),
    ],
)
def test_what_a_user_can_mend_is_said(space: Path, capsys: pytest.CaptureFixture[str], word: str, message: str) -> None:
    words = {"--model": "Threshold", "--dataset": "toy", "--data_path": str(space.parent / "data")}
    words |= {"--params_file": str(space)} | dict([word.split("=", 1)])

    assert dispatch.main(["tune", *(f"{key}={value}" for key, value in words.items())]) == 2
    assert message in capsys.readouterr().err
