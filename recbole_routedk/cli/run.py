"""The ``run`` command: train and evaluate models, or evaluate a saved run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recbole_routedk.errors import UserError

HELP = """\
Trains and evaluates a model and the cheap baselines beside it, and prints one leaderboard.

Any setting is given as --key=value or --key value; later beats earlier:
  properties/overall.yaml, properties/model/<Name>.yaml, properties/dataset/<name>.yaml,
  --config_files, the command line.

  --model=NAME[,NAME]        what runs; NAME:key=value is a model with a setting of its own
  --dataset=NAME             on which data
  --baselines=[]             cheap models that run beside; [] for none
  --config_files=A [B ...]   YAML files with settings
  --resume                   go on with the same runs where they were stopped; finished ones are not repeated
  --checkpoint=FOLDER        evaluate the saved run in FOLDER instead of training
  --evaluate_only            the same, said explicitly; needs --checkpoint
  --help --model=NAME        this text with the settings of that model alone and its own defaults

Everything is written below --output_dir (default output/): <dataset>/leaderboard.md and .json, and a
folder for each run with its settings, checkpoints, log, results and test predictions.

Examples
  python run_recbole_routedk.py --model=RouteDK --dataset=bundle-mini
  python -m recbole_routedk run --model=RouteDK,RouteDK:fusion=base,Freq --dataset=electronic
  python -m recbole_routedk run --checkpoint=output/bundle-mini/RouteDK/RouteDK-seed2020-0a1b2c3d

In several processes, each with a GPU of its own or a part of the CPU, and the same results:
  torchrun --nproc_per_node=2 run_recbole_routedk.py --model=RouteDK --dataset=bundle-mini

'python -m recbole_routedk doctor' with the same settings says whether this machine can run them.
"""


def help_text(model: str | None = None) -> str:
    """The text of ``run --help``: models, data sets and settings; UserError for an unknown model."""
    from recbole_routedk.cli.listing import dataset_lines, model_lines, setting_lines

    lists = ["Models", *model_lines(), "", "Data sets", *dataset_lines(), "", *setting_lines(model)]
    return "\n".join([HELP, *lists])


def run(argv: Sequence[str]) -> int:
    """Train and compare, or evaluate a saved run; prints the leaderboard. Raises UserError."""
    if any(word in ("-h", "--help") for word in argv):
        about = parse_settings([word for word in argv if word not in ("-h", "--help")]).get("model")
        print(help_text(about))
        return 0
    given = parse_settings(argv)
    from recbole_routedk.comparison.runner import SomeFailed, compare_models
    from recbole_routedk.config import model_list
    from recbole_routedk.quick_start import evaluate_saved

    checkpoint = given.pop("checkpoint", None)
    evaluate_only = given.pop("evaluate_only", "False").lower() in ("true", "yes", "1")
    files = given.pop("config_files", "").split()
    dataset = given.pop("dataset", None)
    if checkpoint is not None:
        _show([evaluate_saved(checkpoint, _for_checkpoint(given, dataset, files))], folders=False)
    elif evaluate_only:
        raise UserError("--evaluate_only needs --checkpoint=FOLDER, the folder of a saved run")
    else:
        names = model_list(given.pop("model", ""), "--model") or None
        try:
            _show(compare_models(names, dataset, files, command_line=given))
        except SomeFailed as error:
            _show(error.results)
            raise
    return 0


def _show(results: Sequence[Mapping[str, Any]], folders: bool = True) -> None:
    """Print a leaderboard for each data set, and where the runs lie; of several processes the first one does."""
    from recbole_routedk.comparison.files import summary_of
    from recbole_routedk.comparison.tables import leaderboard
    from recbole_routedk.distributed import is_first

    if not is_first():
        return
    datasets = list(dict.fromkeys(result["dataset"] for result in results))
    split = "test" if all(result["test_result"] for result in results) else "valid"
    for dataset in datasets:
        if len(datasets) > 1:
            print(f"{dataset}\n")
        own = [each for each in results if each["dataset"] == dataset]
        print(leaderboard(summary_of(own, split=split), style="simple"))
        print()
    if folders and results:
        print("Run folders, each with settings, checkpoints, log and test predictions:")
        print(*(f"  {result['name']}: {result['run_folder']}" for result in results), sep="\n")


def parse_settings(argv: Sequence[str]) -> dict[str, str]:
    """Read ``--key=value``, ``--key value ...`` and ``--flag`` words; UserError for anything else.

    Only the first "=" separates. Several values after a key are joined by a space; a key alone is "True".
    """
    given: dict[str, str | None] = {}
    key = ""
    for word in argv:
        if not word.startswith("--"):
            if not key:
                raise UserError(f"{word!r} belongs to no setting; write --key=value")
            before = given[key]
            given[key] = word if before is None else f"{before} {word}"
            continue
        key, equals, value = word.removeprefix("--").partition("=")
        if not key:
            raise UserError(f"{word!r} names no setting; write --key=value")
        if key in given:
            raise UserError(f"--{key} is given twice; give it once")
        given[key] = value if equals else None
    return {key: "True" if value is None else value for key, value in given.items()}


def _for_checkpoint(given: dict[str, str], dataset: str | None, files: list[str]) -> dict[str, str]:
    """The settings that may replace those of a saved run."""
    fixed = [name for name, value in {"dataset": dataset, "config_files": files}.items() if value]
    fixed += [name for name in ("model", "resume") if name in given]
    if fixed:
        raise UserError(f"--checkpoint takes the run as it was saved; leave out --{', --'.join(fixed)}")
    return given
