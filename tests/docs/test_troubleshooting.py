"""Every message of docs/troubleshooting.md is what the program says, word for word, when what it speaks of happens."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from toy import toy_splits

from recbole_routedk.cli.dispatch import main
from recbole_routedk.data.atomic import write_atomic
from recbole_routedk.plugins import PLUGINS_VARIABLE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^### ([^\n]+)\n\n```text\n(.*?)\n```", PAGE, re.MULTILINE | re.DOTALL))
"""The messages by the headings that they stand below."""


@dataclass(frozen=True)
class Case:
    """What makes the program say it: a command, the files that it meets, and what is done before."""

    words: str
    files: dict[str, str] = field(default_factory=dict)
    before: Callable[[], object] = lambda: None
    status: int = 2


TOY = "run --dataset=toy --baselines=[] --show_progress=False"
BAG = '{"items": ["Tripod", "Camera bag", "Mat"]'


def stopped_run() -> None:
    assert main(f"{TOY} --model=Freq --run_name=stopped".split()) == 0


def moved_data() -> None:
    stopped_run()
    splits = toy_splits()
    write_atomic(Path("moved/toy"), "toy", type(splits)(splits.train[:9], splits.valid, splits.test))


def damaged_run() -> None:
    stopped_run()
    shutil.copytree("output/toy/Freq/stopped", "damaged")
    (weights,) = Path("damaged").glob("best-*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-4] + b"oops")


CASES = {
    "A command comes first": Case("--model=RouteDK"),
    "A word without a key": Case("run epochs=3"),
    "A setting that does not exist": Case(f"{TOY} --model=TitleCluster --epoch=3"),
    "A value that is none": Case(f"{TOY} --model=TitleCluster --epochs=many"),
    "A setting of another model": Case(f"{TOY} --model=TitleCluster --lora_rank=4"),
    "Settings that contradict each other": Case(f"{TOY} --model=RouteDK --fusion=rule --knowledge_format=thoughts"),
    "A key is never a setting": Case(f"{TOY} --model=RouteDK --openai_api_key=sk-1"),
    "No such model": Case(f"{TOY} --model=RouteDX"),
    "A plug-in that is not found": Case(f"{TOY} --model=Mine", {"own/model/Mine.yaml": "model_class: mine:Mine\n"}),
    "No such data set": Case("run --model=FirstTwo --baselines=[] --dataset=my-shop"),
    "No such input": Case("convert --input=sessions.jsonl --name=my-shop"),
    "A line that is not JSON": Case("convert --input=array.jsonl", {"array.jsonl": f"[\n{BAG}}}]\n"}),
    "An item without a title": Case(
        "convert --input=names.jsonl", {"names.jsonl": '{"items": [{"name": "Tripod"}, {"name": "Mat"}]}\n'}
    ),
    "A bundle of something else": Case(
        "convert --input=members.jsonl", {"members.jsonl": BAG + ', "bundles": [[1, 3]]}\n'}
    ),
    "Nothing to train on": Case("convert --input=unlabelled.jsonl", {"unlabelled.jsonl": BAG + "}\n"}),
    "Too few sessions": Case("convert --input=two.jsonl", {"two.jsonl": (BAG + ', "bundles": [[0, 1]]}\n') * 2}),
    "A name that is none": Case("convert --input=shop.jsonl --name=my_shop", {"shop.jsonl": "\n"}),
    "A broken CSV file": Case("convert --input=csv", {"csv/session_item.csv": "session ID,item ID\n1,2,3\n"}),
    "No saved run": Case("generate --run=output/toy/WholeSession"),
    "Resumed with other settings": Case(
        f"{TOY} --model=Freq --run_name=stopped --min_support=0.5 --resume",
        before=stopped_run,
    ),
    "The data changed after the training": Case(
        "run --checkpoint=output/toy/Freq/stopped --data_path=moved", before=moved_data
    ),
    "A damaged checkpoint": Case("run --checkpoint=damaged", before=damaged_run),
    "Some runs failed": Case(
        "run --dataset=toy --baselines=[] --model=FirstTwo,StockBundler --base_model=Absent --show_progress=False"
    ),
    "Lines that are no session": Case(
        "generate --run=whole --input=bad.jsonl", {"bad.jsonl": '["Tea", "Cup"]\n["Tea", 4]\n'}, status=1
    ),
    "The output is there already": Case(
        "generate --run=whole --input=new.jsonl --output=there.jsonl", {"new.jsonl": '["a", "b"]\n', "there.jsonl": ""}
    ),
    "An unfinished output of another command": Case(
        "generate --run=whole --input=new.jsonl --output=begun.jsonl",
        {
            "new.jsonl": '["a", "b"]\n',
            "begun.jsonl.part": "{}\n",
            "begun.jsonl.part.json": json.dumps(
                {"asked": {"run": "another"}, "done": {"entries": 1, "sessions": 1, "bad": 0, "size": 3, "digest": ""}}
            ),
        },
    ),
    "No such student": Case(f"{TOY} --model=SFT --student=my-student"),
    "A hub id without revision": Case(f"{TOY} --model=SFT --student=owner/name"),
    "No key": Case("distill --dataset=toy --teacher=openai"),
    "No price, no budget": Case(
        "distill --dataset=toy --teacher=openai --teacher_model=my-model --budget=1 "
        "--teacher_base_url=http://127.0.0.1:9/v1"
    ),
    "No store yet": Case("distill show"),
}
SOURCED = {
    "RecBole is missing": "recbole_routedk/cli/dispatch.py",
    "Another Python": "Makefile",
    "The embedded student is missing": "recbole_routedk/student/backbone.py",
    "The package openai is missing": "recbole_routedk/distill/teachers/openai_sdk.py",
    "The training loss is no number": "recbole_routedk/trainer.py",
    "The endpoint cannot be reached": "recbole_routedk/distill/teachers/openai_endpoint.py",
    "Stopped by hand": "recbole_routedk/cli/dispatch.py",
    "torchrun in front of another command": "recbole_routedk/cli/dispatch.py",
    "More processes than GPUs": "recbole_routedk/distributed.py",
    "A model that cannot be used": "recbole_routedk/student/routed_student.py",
}
"""What other tests bring about, or what would take long: the text stands in a file."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data set "toy" and the run "whole"."""
    folder = tmp_path_factory.mktemp("made")
    write_atomic(folder / "dataset" / "toy", "toy", toy_splits())
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(f"{TOY} --model=WholeSession --run_name=whole".split()) == 0
    finally:
        os.chdir(before)
    shutil.move(folder / "output" / "toy" / "WholeSession" / "whole", folder / "whole")
    shutil.rmtree(folder / "output")
    return folder


def test_every_entry_is_tried() -> None:
    assert ENTRIES.keys() == {*CASES, *SOURCED}
    assert not CASES.keys() & SOURCED.keys()


@pytest.mark.parametrize("heading", CASES)
def test_the_program_says_so(
    heading: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[heading]
    shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name, text in case.files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    if Path("own").is_dir():
        monkeypatch.setenv(PLUGINS_VARIABLE, "own")
    case.before()
    capsys.readouterr()

    # A name with a space cannot be split into words like the others.
    assert main([word.replace("my_shop", "my shop") for word in case.words.split()]) == case.status

    said = capsys.readouterr().err
    expected = ".*".join(map(re.escape, ENTRIES[heading].split("...")))
    assert re.search(f"^{expected}$", said, re.MULTILINE), said


@pytest.mark.parametrize("heading", SOURCED)
def test_the_text_stands_in_the_source(heading: str) -> None:
    source = (ROOT / SOURCED[heading]).read_text(encoding="utf-8")
    in_one_piece = re.sub(r"\{(?! )[^{}]*\}", "...", re.sub(r'"\n\s*f?"', "", source))
    assert ENTRIES[heading].removeprefix("error: ") in in_one_piece
