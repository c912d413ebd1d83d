"""The examples of docs/extending.md: short, shown as they are, and run through the commands that users type."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from recbole_routedk.cli.dispatch import main
from recbole_routedk.data.atomic import SplitSessions, read_atomic, write_atomic
from recbole_routedk.evaluation.recbole_metrics import own_metrics
from recbole_routedk.plugins import PLUGINS_VARIABLE
from recbole_routedk.registry import shipped_datasets

ROOT = Path(__file__).parents[2]
EXTEND = ROOT / "examples" / "extend"
EXAMPLES = {
    "shared_word.py": "model/SharedWord.yaml",
    "word_overlap.py": "teacher/word_overlap.yaml",
    "floored_router.py": "router/floored.yaml",
    "outside_rate.py": "metric/OutsideRate.yaml",
}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in with some sessions of bundle-mini as data set "shop", and the examples as plug-ins."""
    whole = read_atomic(shipped_datasets() / "bundle-mini", "bundle-mini")
    write_atomic(
        tmp_path / "dataset" / "shop", "shop", SplitSessions(whole.train[:20], whole.valid[:3], whole.test[:4])
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(PLUGINS_VARIABLE, str(EXTEND))
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def run(*words: str) -> None:
    assert main(["run", "--dataset=shop", "--baselines=[]", "--show_progress=False", "--run_name=tried", *words]) == 0


def results(model: str) -> dict[str, dict[str, float]]:
    told: dict[str, dict[str, float]] = json.loads(Path(f"output/shop/{model}/tried/result.json").read_text())
    return told


def test_there_is_no_other_file() -> None:
    files = {path.relative_to(EXTEND).as_posix() for path in EXTEND.rglob("*") if path.suffix in (".py", ".yaml")}
    assert files == {*EXAMPLES, *EXAMPLES.values()}


@pytest.mark.parametrize("code", EXAMPLES)
def test_each_takes_less_than_50_lines_with_its_yaml(code: str) -> None:
    files = [EXTEND / code, EXTEND / EXAMPLES[code]]
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files) < 50


def test_the_page_shows_the_files_as_they_are() -> None:
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"`examples/extend/([\w./]+)`:\n\n```(?:python|yaml)\n(.*?)```", page, re.DOTALL))

    assert shown == {name: (EXTEND / name).read_text(encoding="utf-8") for name in (*EXAMPLES, *EXAMPLES.values())}


def test_the_model_and_the_metric_from_training_to_answers(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--model=SharedWord", "--metrics=MatchedF1,OutsideRate", "--least_share=0.7")

    assert "outsiderate" in capsys.readouterr().out
    state = json.loads(Path("output/shop/SharedWord/tried/best.json").read_text(encoding="utf-8"))["extra_state"]
    word = state["binding"][0]
    (shop / "new.jsonl").write_text(json.dumps([f"Red {word}", "No such thing", f"{word.upper()} of steel"]) + "\n")
    assert main(["generate", "--run=output/shop/SharedWord/tried", "--input=new.jsonl", "--output=answers.jsonl"]) == 0
    (bundle,) = json.loads(Path("answers.jsonl").read_text(encoding="utf-8"))["bundles"]
    assert [item["title"] for item in bundle["items"]] == [f"Red {word}", f"{word.upper()} of steel"]

    # The command that scores anybody's predictions knows the metric too, and comes to the same.
    capsys.readouterr()
    predictions = "--predictions=output/shop/SharedWord/tried/predictions_test.json"
    assert main(["evaluate", "--dataset=shop", predictions, "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    assert scored["outsiderate"] == results("SharedWord")["test_result"]["outsiderate"]
    assert main(["evaluate", "--dataset=shop", predictions]) == 0
    assert f"outsiderate {scored['outsiderate']:>12.4f}" in capsys.readouterr().out


def test_the_metric_counts_items_outside_all_gold_bundles(shop: Path) -> None:
    metric = own_metrics()["outsiderate"]
    gold = [[frozenset({0, 1}), frozenset({1, 2})], [frozenset({0, 1})]]
    answered = [[frozenset({0, 2, 3}), frozenset({3, 4})], []]
    assert metric.score(gold, answered, [0, 0]) == 2 / 4
    assert metric.score([[]], [[]], [0]) == 0


def test_the_teacher_and_the_router_in_routedk(
    shop: Path, tiny_student_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--train_batch_size=10", "--consensus_samples=2", "--first_adapted_layer=0", "--title_tokens=4"]
    given = ["--teacher=word_overlap", "--teacher_least_overlap=0.2", "--router=floored", "--router_floor=0.6"]
    run("--model=RouteDK", f"--student={tiny_student_folder}", *quick, *given)

    told = json.loads(Path("output/shop/RouteDK/tried/sessions_test.json").read_text(encoding="utf-8"))
    assert len(told) == 4
    for session in told.values():
        assert sum(session["gates"]) == pytest.approx(1, abs=1e-5)
        assert min(session["gates"]) >= 0.6 / 3 - 1e-6
    result = json.loads(Path("output/shop/RouteDK/tried/result.json").read_text(encoding="utf-8"))
    assert "router=floored" in result["name"]
    assert "router_floor=0.6" in result["name"]
    assert "teacher=word_overlap, teacher_least_overlap=0.2" in result["name"]
    capsys.readouterr()
    assert main(["distill", "show", "--task=thought", "--limit=1"]) == 0
    assert '"related"' in capsys.readouterr().out
