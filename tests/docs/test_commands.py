"""Every command on the pages is run as it stands, or, with a reason, read by the program that it is for.

``RUN`` is run in this order, with a tiny student and a few sessions in place of the real ones, and with the words that
stand beside each. What is in ``READ`` is not run, since it takes long, or needs a network, a key or another program.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import PAGES, ROOT, blocks, commands

from recbole_routedk.cli.dispatch import main
from recbole_routedk.data.atomic import SplitSessions, read_atomic, write_atomic
from recbole_routedk.data.session import LabelledSession
from recbole_routedk.errors import UserError
from recbole_routedk.plugins import PLUGINS_VARIABLE
from recbole_routedk.registry import shipped_datasets

BARE = "--show_progress=False"
QUIET = "--baselines=[] --show_progress=False --state=ERROR"
SMALL = f"--student=STUDENT --consensus_samples=2 --first_adapted_layer=0 --title_tokens=4 {QUIET}"

ONE_MODEL = "--model=StockBundler --seed=2020"

RUN = {
    "python run_recbole_routedk.py --help": "",
    "python -m recbole_routedk convert --input=sessions.jsonl --name=my-shop": "",
    "python -m recbole_routedk doctor --model=RouteDK --dataset=my-shop": "--student=STUDENT",
    "python -m recbole_routedk run --model=RouteDK --dataset=my-shop --run_name=first": SMALL,
    "python -m recbole_routedk generate --run=output/my-shop/RouteDK/first --input=new.jsonl --output=bundles.jsonl "
    "--intents": "",
    "python -m recbole_routedk run --model=TitleCluster,StockBundler --dataset=my-shop --run_name=first": QUIET,
    "python -m recbole_routedk report --dataset=my-shop": "",
    "python -m recbole_routedk tune --model=TitleCluster --dataset=my-shop --trials=3": BARE,
    "python -m recbole_routedk run --checkpoint=output/my-shop/RouteDK/first --consensus_samples=4": BARE,
    "python -m recbole_routedk evaluate --dataset=my-shop "
    "--predictions=output/my-shop/RouteDK/first/predictions_test.json": "",
    "python -m recbole_routedk export --run=output/my-shop/RouteDK/first --output=my-shop-lora --format=static": "",
    "python -c \"import json; [print(json.dumps(session)) for session in json.load(open('array.json'))]\" "
    "> array.jsonl": "",
    "python -m recbole_routedk convert --input=pantry": "",
    "python -m recbole_routedk run --model=TitleCluster --dataset=pantry": QUIET,
    "python -m recbole_routedk convert --input=sessions.jsonl --name=my-brands --item_fields=brand,price": "",
    "python -m recbole_routedk run --model=TitleCluster --dataset=my-brands --item_fields=brand,price": QUIET,
    "python -m recbole_routedk convert --input=bundle_recommendation/dataset/electronic --name=electronic": "",
    "python run_recbole_routedk.py --model=RouteDK,RouteDK:fusion=base,NaiveDK --dataset=electronic": SMALL,
    "python run_recbole_routedk.py --config_files=properties/benchmark/electronic.yaml": f"{ONE_MODEL} {QUIET}",
    "python run_recbole_routedk.py --config_files=properties/study/knowledge.yaml": f"{SMALL} --model=KD --seed=2020",
    "python run_recbole_routedk.py --model=RouteDK --dataset=bundle-mini": SMALL,
    ".venv/bin/python run_recbole_routedk.py --model=RouteDK --dataset=bundle-mini": SMALL,
    "python -m recbole_routedk generate --run=output/my-shop/RouteDK/first --input=yoochoose "
    "--output=yoochoose.jsonl --title_field=label": "",
    "python -m recbole_routedk distill --dataset=electronic --teacher=openai --teacher_model=gpt-4o-mini --dry_run": "",
    "export RECBOLE_ROUTEDK_PLUGINS=examples/extend": "",
    "python -m recbole_routedk run --model=SharedWord --dataset=bundle-mini --metrics=MatchedF1,OutsideRate": QUIET,
    "python -m recbole_routedk run --model=RouteDK --dataset=bundle-mini --teacher=word_overlap "
    "--router=floored": SMALL,
    "python -m recbole_routedk distill show --task=thought --limit=3": "",
    "python run_recbole_routedk.py --model=KD --knowledge_format=rules --knowledge_use=icl+sft "
    "--dataset=bundle-mini": SMALL,
}
"""The commands in the order in which they are run, and the words that are added to each."""


def read_run(words: list[str]) -> None:
    """Plan the runs, and check the settings of each."""
    from recbole_routedk.cli.run import parse_settings
    from recbole_routedk.comparison.plan import Given, make_plan
    from recbole_routedk.config import model_list

    given = parse_settings(words)
    files, dataset = given.pop("config_files", "").split(), given.pop("dataset", None)
    models = model_list(given.pop("model", ""), "--model") or None
    plan = make_plan(Given(files, {}, given), models, dataset)
    assert plan.runs
    for name in {run.model: run for run in plan.runs}.values():
        assert name.config().schema


def read_distill(words: list[str]) -> None:
    """Let the command say what it would ask."""
    assert main([*words, "--dry_run"]) == 0


def read_torchrun(words: list[str]) -> None:
    """torchrun's own parser, then ours."""
    from torch.distributed.run import get_args_parser

    args = get_args_parser().parse_args(words)
    assert (ROOT / args.training_script).is_file()
    read_run(args.training_script_args)


def read_generate(words: list[str]) -> None:
    """The words of the engine are read; the others are run without it."""
    from recbole_routedk.cli.run import parse_settings
    from recbole_routedk.ray_cluster import ray_options

    given = parse_settings(words[1:])
    if find_spec("ray") is None:  # an extra, which need not be installed
        with pytest.raises(UserError, match="needs Ray"):
            ray_options(given)
    else:
        assert ray_options(given) is not None
    given["output"] += ".again"
    assert main([words[0], *(f"--{key}={value}" for key, value in given.items())]) == 0


def read_make(words: list[str]) -> None:
    """make knows the target and what it would do."""
    done = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def read_pip(words: list[str]) -> None:
    """The extras and the requirements file are there."""
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    for word in words:
        for extra in re.findall(r"\[(\w+)\]", word):
            assert f"\n{extra} =\n" in text
        if word.endswith(".txt"):
            assert (ROOT / word).is_file()


def read_files(words: list[str]) -> None:
    """The files that are named are there."""
    assert all((ROOT / word).is_file() for word in words if word.endswith(".py"))


def read_git(words: list[str]) -> None:
    """It clones what our settings of the data set say too."""
    yaml = (ROOT / "properties" / "dataset" / "electronic.yaml").read_text(encoding="utf-8")
    assert " ".join(["git", *words]) in yaml


READ: dict[str, tuple[Callable[[list[str]], None], str]] = {
    "make run": (read_make, "installs; then runs what the first command of README.md under 'Use it' does"),
    "make test": (read_make, "is this suite"),
    "make install": (read_make, "needs a package index"),
    "make lint": (read_make, "installs first, which needs a package index"),
    "python -m recbole_routedk distill --dataset=electronic --teacher=openai --teacher_model=gpt-4o-mini "
    "--budget=2.50 --split=valid,test": (read_distill, "needs a key to a paid service"),
    "python run_recbole_routedk.py --model=RouteDK --dataset=electronic --teacher=openai --teacher_model=gpt-4o-mini": (
        read_run,
        "needs a key to a paid service",
    ),
    "torchrun --nproc_per_node=2 run_recbole_routedk.py --model=RouteDK --dataset=bundle-mini": (
        read_torchrun,
        "two processes with the real student; tests/distributed runs them with a tiny one",
    ),
    "python -m recbole_routedk generate --run=output/my-shop/RouteDK/first --input=new.jsonl --output=bundles.jsonl "
    "--engine=ray --workers=2": (read_generate, "starts a cluster; the tests of Ray do"),
    "git clone --depth 1 https://github.com/BundleRec/bundle_recommendation": (read_git, "needs the network"),
    "python3 -m venv .venv": (read_files, "belongs to Python"),
    ".venv/bin/python scripts/install_torch.py": (read_files, "needs a package index; tests/scripts runs it"),
    ".venv/bin/python -m pip install -e '.[dev]'": (read_pip, "needs a package index"),
    ".venv/bin/python -m pip install --no-deps -r requirements/no-deps.txt": (read_pip, "needs a package index"),
    ".venv/bin/python -m pytest": (read_files, "is this suite"),
    "OMP_NUM_THREADS=1 .venv/bin/python -m pytest -q tests/cli/test_convert.py": (read_files, "is part of this suite"),
}
"""The commands that are not run: what reads them, and why they are not run."""


@pytest.fixture
def place(tmp_path: Path, tiny_student_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as users have one: a checkout's YAML and examples, and their own data."""
    shutil.copytree(ROOT / "properties", tmp_path / "properties")
    shutil.copytree(ROOT / "examples" / "extend", tmp_path / "examples" / "extend")
    whole = read_atomic(shipped_datasets() / "bundle-mini", "bundle-mini")
    small = SplitSessions(whole.train[:9], whole.valid[:2], whole.test[:2])
    write_atomic(tmp_path / "dataset" / "bundle-mini", "bundle-mini", small)
    write_lines(tmp_path, [*small.train, *small.valid, *small.test])
    for name in ("pantry", "bundle_recommendation/dataset/electronic"):
        write_csv(tmp_path / name, whole.train[12:24])
    (tmp_path / "yoochoose").mkdir()
    (tmp_path / "yoochoose" / "yoochoose.inter").write_text("session_id:token\titem_id:token\n1\ta\n1\tb\n2\tb\n")
    (tmp_path / "yoochoose" / "yoochoose.item").write_text("item_id:token\tlabel:token_seq\na\tTea pot\nb\tTea cup\n")
    (tmp_path / "array.json").write_text('[["Tea pot", "Tea cup"]]', encoding="utf-8")
    (tmp_path / "student").symlink_to(tiny_student_folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv(PLUGINS_VARIABLE, "")  # a command sets it
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody-is-asked-in-a-dry-run")
    return tmp_path


def write_lines(folder: Path, sessions: list[LabelledSession]) -> None:
    def line(labelled: LabelledSession) -> str:
        titles = [item.title for item in labelled.session.items]
        return json.dumps({"items": titles, "bundles": [sorted(bundle) for bundle in labelled.bundles]}) + "\n"

    (folder / "sessions.jsonl").write_text("".join(map(line, sessions)), encoding="utf-8")
    shown = next(text for _, text in blocks(ROOT / "docs" / "getting-started.md") if text.startswith("["))
    (folder / "new.jsonl").write_text(shown, encoding="utf-8")


def write_csv(folder: Path, sessions: tuple[LabelledSession, ...]) -> None:
    """The public layout."""
    rows: dict[str, list[list[str]]] = {
        "session_item": [["session ID", "item ID"]],
        "session_bundle": [["session ID", "bundle ID"]],
        "bundle_item": [["bundle ID", "item ID"]],
        "bundle_intent": [["bundle ID", "intent"]],
        "item_titles": [["item ID", "titles"]],
        "item_categories": [["item ID", "categories"]],
    }
    titles: dict[str, str] = {}
    for labelled in sessions:
        session = labelled.session
        rows["session_item"] += [[session.session_id, item.item_id] for item in session.items]
        titles |= {item.item_id: item.title for item in session.items}
        for bundle in labelled.bundles:
            number = str(len(rows["bundle_intent"]))
            rows["session_bundle"].append([session.session_id, number])
            rows["bundle_item"] += [[number, session.items[place].item_id] for place in sorted(bundle)]
            rows["bundle_intent"].append([number, "an intent"])
    rows["item_titles"] += [[item, title] for item, title in titles.items()]
    folder.mkdir(parents=True)
    for name, lines in rows.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(lines)


def program_words(command: str) -> list[str]:
    """The words behind the program's name, as our program gets them."""
    words = [word for word in shlex.split(command) if "=" not in word.partition("-")[0]]
    program = words.pop(0)
    if program.endswith("python") and words[0] == "run_recbole_routedk.py":
        return ["run", *words[1:]]
    return words[2:] if words[:2] == ["-m", "recbole_routedk"] else words


def test_every_command_is_in_one_of_the_lists() -> None:
    found = {command for page in PAGES for command in commands(page)}

    assert not RUN.keys() & READ.keys()
    assert found == {*RUN, *READ}


def test_every_block_says_what_it_is() -> None:
    told = {(page.name, language) for page in PAGES for language, _ in blocks(page)}
    assert {language for _, language in told} <= {"bash", "json", "mermaid", "python", "text", "yaml"}


def test_every_command_runs_or_is_read(place: Path, one_teacher: None, capsys: pytest.CaptureFixture[str]) -> None:
    """One test, since commands need what others before them have left."""
    for command, added in RUN.items():
        run(command, added.replace("STUDENT", str(place / "student")).split())

    first, second = [json.loads(line) for line in Path("bundles.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (first["line"], first["session_id"]) == (1, "session-1")
    assert (second["line"], second["session_id"]) == (2, "visit-7")
    assert sorted(item["item_id"] for item in second["bundles"][0]["items"]) == ["p1", "p2"]
    assert second["bundles"][0]["intent"]
    assert sum(second["gates"].values()) == pytest.approx(1, abs=1e-5)
    assert Path("array.jsonl").read_text(encoding="utf-8") == '["Tea pot", "Tea cup"]\n'

    (shown,) = [text for language, text in blocks(ROOT / "docs" / "getting-started.md") if language == "python"]
    capsys.readouterr()
    exec(compile(shown, "getting-started.md", "exec"), {})
    assert re.fullmatch(r"\[\['.*', '.*'\]\] \('.*',\) [01]\.\d+\n", capsys.readouterr().out)

    for command, (read, reason) in READ.items():
        words = program_words(command)
        assert reason
        read(words[1:] if read is read_run else words)


def run(command: str, added: list[str]) -> None:
    """Run a command with some words more."""
    if command.startswith("export "):
        name, _, value = command.removeprefix("export ").partition("=")
        os.environ[name] = value
    elif command.startswith("python -c "):
        subprocess.run(command.replace("python", shlex.quote(sys.executable), 1), shell=True, check=True)
    else:
        assert main([*program_words(command), *added]) == 0, command
