"""The ``tune`` command: search for the settings of models on the valid split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recbole_routedk.cli.run import parse_settings
from recbole_routedk.errors import UserError

HELP = """\
Tries settings of models and ranks them on the valid split; no test session is answered.

  --model=NAME[,NAME]        models; NAME:key=value fixes a setting
  --dataset=NAME             data set
  --trials=20                settings tried for each model, the configured ones being the first
  --params_file=FILE         search space: YAML as in properties/tuning/, or RecBole's lines such as
                               learning_rate loguniform -8,0
                               hidden_size choice [64,128]
                             (loguniform: powers of e). Default: properties/tuning/<Name>.yaml
  --algo=bayes               bayes (tree of Parzen estimators; its first 20 proposals are random) or random
  --early_stop=0             end a model's search after so many trials without a better one; 0: never
  --config_files=A [B ...]   YAML files with settings
  --seed, --epochs, ...      any setting, fixed in all trials

Every trial is added to <output_dir>/<dataset>/tuning/<Name>.jsonl when it is done. The same command goes on where it
was stopped, and repeats no trial; a table and the best settings are written beside it as <Name>.md.

Example
  python -m recbole_routedk tune --model=TitleCluster,CLHE --dataset=electronic --trials=20
"""


def run(argv: Sequence[str]) -> int:
    """Tune the models one after the other, and print their tables and best settings. Raises UserError."""
    if any(word in ("-h", "--help") for word in argv):
        print(HELP)
        return 0
    given = parse_settings(argv)
    from recbole_routedk.config import model_list
    from recbole_routedk.data.files import write_texts
    from recbole_routedk.trials import best_lines, table
    from recbole_routedk.tuning import ALGORITHMS, TRIALS, searches, tune

    models = model_list(given.pop("model", ""), "--model")
    if not models:
        raise UserError("tune needs --model=NAME[,NAME]")
    trials = _count(given.pop("trials", str(TRIALS)), "trials", 1)
    early_stop = _count(given.pop("early_stop", "0"), "early_stop", 0)
    algorithm = given.pop("algo", "bayes")
    if algorithm not in ALGORITHMS:
        raise UserError(f"--algo has to be one of {', '.join(ALGORITHMS)}, not {algorithm!r}")
    params_file = given.pop("params_file", None)
    files, dataset = given.pop("config_files", "").split(), given.pop("dataset", None)
    space = Path(params_file).expanduser() if params_file is not None else None
    for search in searches(models, dataset, files, given, space):
        done = tune(search, trials, algorithm, early_stop)
        told = f"# {search.model} on {search.config.dataset}, valid split\n\n{table(done)}\n\n"
        told += f"Best, for properties/model/{search.model}.yaml:\n\n```yaml\n{best_lines(done)}\n```\n"
        write_texts({search.log.with_suffix(".md"): told})
        print(f"{told}\nTrials: {search.log}\n")
    return 0


def _count(text: str, key: str, least: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise UserError(f"--{key} has to be a whole number, at least {least}, not {text!r}")
    return int(text)
