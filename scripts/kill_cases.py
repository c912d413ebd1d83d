"""What is killed: a benchmark, answers, a distillation, a conversion; what must hold on the disk after each kill."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from recbole_routedk.checkpoint import load_checkpoint
from recbole_routedk.cli.dispatch import main
from recbole_routedk.comparison.runner import compare_models
from recbole_routedk.data.atomic import read_atomic, write_atomic
from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.store.rows import plain_row
from recbole_routedk.errors import UserError
from recbole_routedk.literals import properties_folder

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))  # of the toy models and their data
SEEDS = (1, 2)
SETTINGS = {"train_batch_size": 4, "learning_rate": 0.5, "epochs": 3, "eval_step": 1, "show_progress": False}
LINES = 40
_UNMEASURED = ("test_result", "best_valid_result", "best_valid_score", "name", "seed", "trained_parameters")

Facts = Mapping[str, Any]


class Case(Protocol):
    """Work that is killed and started again until it ends by itself."""

    name: str

    def run(self, folder: Path) -> int:
        """Do the work in ``folder``, or go on with it; returns the exit status."""

    def finished(self, folder: Path) -> Facts:
        """Read all that is there, as the next run would; returns what is finished and may not change any more."""

    def outcome(self, folder: Path) -> Facts:
        """What the work came to, without times."""

    def redone(self, before: Facts, told: str) -> list[str]:
        """What a run with the output ``told`` did again though it was in ``before``."""


def write_toy(folder: Path) -> None:
    """Write the toy data set ``data/toy``, and ``properties`` with the toy models beside the shipped ones."""
    toy: Any = import_module("toy")
    write_atomic(folder / "data" / "toy", "toy", toy.toy_splits())
    shutil.copytree(properties_folder(), folder / "properties")
    models = folder / "properties" / "model"
    for name in ("Threshold", "Counting"):
        (models / f"{name}.yaml").write_text(f"model_class: toy:{name}\n", encoding="utf-8")


class Benchmark:
    """Two models, one trained by gradient, with two seeds each: training, checkpoints, results, leaderboards."""

    name = "training and benchmark"

    def __init__(self, data: Path) -> None:
        self._data = data

    def run(self, folder: Path) -> int:
        """Compare; with ``resume`` from the first run on, as somebody who expects a crash would."""
        grid = {"models": ["Counting", "Threshold"], "datasets": ["toy"], "seeds": list(SEEDS)}
        given = SETTINGS | {"data_path": str(self._data), "output_dir": str(folder), "resume": True, "state": "INFO"}
        compare_models(config_dict=given | {"benchmark": grid})
        return 0

    def finished(self, folder: Path) -> Facts:
        """The results, and the epochs that a checkpoint keeps."""
        facts: dict[str, Any] = {}
        for run in sorted((folder / "toy").glob("*/*/")):
            for path in run.glob("*.json"):
                json.loads(path.read_text(encoding="utf-8"))
            kept = {name: load_checkpoint(run, name) for name in ("best", "last") if (run / f"{name}.json").is_file()}
            if "last" in kept:  # which ends an epoch; before the first one there is nothing to go on from
                facts |= {f"{run.name} {name}": each.record["progress"]["epochs_before"] for name, each in kept.items()}
            if (run / "result.json").is_file():
                if f"{run.name} last" not in facts:
                    raise FileNotFoundError(f"{run.name} has a result and no checkpoint")
                facts[f"{run.name} result"] = (run / "result.json").read_text(encoding="utf-8")
        for path in (folder / "toy").glob("leaderboard.json"):
            json.loads(path.read_text(encoding="utf-8"))
        return facts

    def outcome(self, folder: Path) -> Facts:
        """Results, answers, scores of sessions and weights of every run; the leaderboard's runs."""
        facts: dict[str, Any] = {}
        for run in sorted((folder / "toy").glob("*/*/")):
            result = json.loads((run / "result.json").read_text(encoding="utf-8"))
            facts |= {f"{run.name} {key}": result[key] for key in _UNMEASURED}
            for name in ("predictions", "sessions"):
                facts[f"{run.name} {name}"] = json.loads((run / f"{name}_test.json").read_bytes())
            for kept in ("best", "last"):
                for name, tensor in load_checkpoint(run, kept).tensors.items():
                    # After the last draw nobody restores the generators any more.
                    if not name.startswith("random/"):
                        facts[f"{run.name} {kept} {name}"] = tensor.tolist()
        board = json.loads((folder / "toy" / "leaderboard.json").read_text(encoding="utf-8"))
        return facts | {"leaderboard": sorted((each["name"], each["seed"]) for each in board["results"])}

    def redone(self, before: Facts, told: str) -> list[str]:
        """Epochs that were trained again; the log names the epoch of every line, and the run where it begins."""
        again, run = [], ""
        seeds = {name.split(" ")[0]: name for name in before if name.endswith(" last")}
        for line in told.splitlines():
            if "Resuming " in line or "training starts anew" in line:
                run = next((name for name in seeds if name in line), "")
            if run and ", epoch " in line and int(line.split(", epoch ")[1].split()[0]) <= before[seeds[run]]:
                again.append(f"{run}: {line}")
        return again


class Answers:
    """``generate`` over a file of sessions."""

    name = "generate"

    def __init__(self, run_folder: Path, given: Path) -> None:
        self._run_folder = run_folder
        self._given = given
        lines = [["tea", f"cup {n}", f"茶 {n}"][: 1 + n % 3] for n in range(LINES)]
        text = "".join(json.dumps(line) + "\n" if n % 9 else "[\n" for n, line in enumerate(lines))
        given.write_text(text, encoding="utf-8")

    def run(self, folder: Path) -> int:
        """Answer; a file that is complete already stays."""
        output = folder / "answers.jsonl"
        if output.exists() and not output.with_name("answers.jsonl.part.json").exists():
            return 0
        words = [f"--run={self._run_folder}", f"--input={self._given}", f"--output={output}", "--batch_size=1"]
        status = main(["generate", *words, "--show_progress=False"])
        return 0 if status == 1 else status  # 1: there were bad lines, and there are

    def finished(self, folder: Path) -> Facts:
        """The lines that the state file speaks for."""
        part, state = folder / "answers.jsonl.part", folder / "answers.jsonl.part.json"
        whole = folder / "answers.jsonl"
        if whole.is_file():
            return {"lines": len(self._lines(whole.read_bytes()))}
        if not state.is_file():
            return {"lines": 0}
        size = json.loads(state.read_text(encoding="utf-8"))["done"]["size"]
        return {"lines": len(self._lines(part.read_bytes()[:size]))}

    @staticmethod
    def _lines(text: bytes) -> list[Any]:
        return [json.loads(line) for line in text.splitlines()]

    def outcome(self, folder: Path) -> Facts:
        """The file, and that nothing lies beside it."""
        return {"text": (folder / "answers.jsonl").read_bytes(), "files": sorted(p.name for p in folder.glob("[!.]*"))}

    def redone(self, before: Facts, told: str) -> list[str]:
        """Sessions that were answered again, by the number that the command says were answered before."""
        says = [line for line in told.splitlines() if "sessions answered" in line]
        known = [int(line.split("(")[1].split()[0]) if "before)" in line else 0 for line in says]
        return [f"{before['lines'] - each} sessions were answered again" for each in known if each < before["lines"]]


class Distillation:
    """``distill`` with the statistical teacher."""

    name = "distillation"

    def __init__(self, data: Path) -> None:
        self._data = data

    def run(self, folder: Path) -> int:
        """Distil into ``knowledge.sqlite``."""
        words = ["--dataset=toy", f"--data_path={self._data}", f"--output_dir={folder}", "--knowledge_format=thoughts"]
        return main(["distill", *words, "--split=valid", "--show_progress=False", "--state=ERROR"])

    def finished(self, folder: Path) -> Facts:
        """The answers, with the moment when each was given."""
        path = folder / "knowledge.sqlite"
        if not path.is_file():
            return {}
        with RequestStore(path) as store:
            rows = [plain_row(row) for row in store.rows() if row.response.text]
        return {json.dumps([row["task"], row["messages"], row["sample"]]): row for row in rows}

    def outcome(self, folder: Path) -> Facts:
        """The answers without times."""
        return {
            name: {key: value for key, value in row.items() if key not in ("created", "seconds")}
            for name, row in self.finished(folder).items()
        }

    def redone(self, before: Facts, told: str) -> list[str]:
        """Nothing beyond what ``created`` and ``attempts`` of the rows tell."""
        return []


class Conversion:
    """``convert`` over a data set of the same name: one of three sessions, then one of six."""

    name = "conversion"
    _sizes = (3, 6)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for size in self._sizes:
            items = [[f"{size} tea {n}", f"{size} cup"] for n in range(size)]
            lines = ({"session_id": f"s{n}", "items": each, "bundles": [[0, 1]]} for n, each in enumerate(items))
            self._given(size).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def _given(self, size: int) -> Path:
        return self._folder / f"given{size}.jsonl"

    def run(self, folder: Path) -> int:
        """Convert the small one, and the large one over it."""
        words = ["convert", f"--output={folder}", "--name=a"]
        return max(main([*words, f"--input={self._given(size)}"]) for size in self._sizes)

    def finished(self, folder: Path) -> Facts:
        """Nothing may be there, or a whole data set with its own report, or what is refused and says so."""
        place = folder / "a"
        if not any(place.glob("[!.]*")):
            return {}
        try:
            sessions = read_atomic(place, "a").all()
        except UserError as error:
            if "not all of one writing" not in str(error):
                raise
            return {}
        reported = json.loads((place / "conversion.json").read_text(encoding="utf-8"))["sessions"]
        titles = [item.title for each in sessions for item in each.session.items]
        if len(sessions) not in self._sizes or sum(reported.values()) != len(sessions):
            raise ValueError(f"{len(sessions)} sessions, and a report of {reported}")
        if not all(title.startswith(f"{len(sessions)} ") for title in titles):
            raise ValueError(f"titles of another writing: {titles}")
        return {}

    def outcome(self, folder: Path) -> Facts:
        """Every file."""
        return {path.name: path.read_bytes() for path in (folder / "a").glob("[!.]*")}

    def redone(self, before: Facts, told: str) -> list[str]:
        """Nothing: both are converted anew."""
        return []
