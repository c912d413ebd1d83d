"""The ``generate`` command: bundles for sessions that nobody has seen, with a saved run."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recbole_routedk.cli.run import parse_settings
from recbole_routedk.errors import UserError
from recbole_routedk.ray_cluster import RayOptions, ray_cluster, ray_options, workers_of

if TYPE_CHECKING:
    from recbole_routedk.serving.answering_files import Report
    from recbole_routedk.serving.output import Done, Output
    from recbole_routedk.serving.ray_generation import AnsweringRun
    from recbole_routedk.serving.sources import SessionSource

    Answering = Callable[[SessionSource, Output, Report, str], Done]

HELP = """\
Answers sessions with the model of a saved run. It needs the run folder alone.

  --run=FOLDER               run folder, as `run` prints it
  --input=FILE               JSON lines, a session each; without it, standard input. A line is a list of titles,
                               ["Tripod", "Camera bag"], or an object, of which only items is needed:
                               {"session_id": "s1", "items": [{"item_id": "b2", "title": "Camera bag"}, "Tripod"]}
                             or a session data set of RecBole: the folder NAME with NAME.inter and NAME.item, or an
                             .inter file. No bundles are needed. Rows of a session follow one another.
  --output=FILE              JSON lines; without it, standard output
  --intents                  name each bundle's intent, after the annotated training bundle that is most like it
  --batch_size=N             sessions answered at once (default: the run's eval_batch_size)
  --overwrite                replace an output file that is there
  --engine=local|ray         ray answers on Ray Data: the same lines in the same order, and what a killed worker had in
                             hand is done again. It needs --input and `pip install 'recbole_routedk[ray]'`. What one
                             engine has begun the other one goes on with.
  --workers=N                of ray: so many load the model and answer (default: one a GPU of the cluster, else one a
                             CPU), each with one thread unless OMP_NUM_THREADS says otherwise
  --ray_address=HOST:PORT    of ray: the cluster to join (default: RAY_ADDRESS, else the one that `ray start` left on
                             this machine, else a new one on this machine). Its machines need this package and the
                             folders of run and student; only the one of this command reads --input, writes --output.
  --title_field=A[,B]        columns of NAME.item that make the title (default: title, name, ...)
  --session_field, --item_field, --time_field    columns of NAME.inter
  --consensus_samples, --use_gpu, --data_path, ...     any setting of the run, replaced

An answer is one line, in the order of the input:
  {"line": 1, "session_id": "s1", "bundles": [{"items": [{"item_id": "b2", "title": "Camera bag"}, ...]}],
   "score": 0.9, "gates": {"base": 0.2, "rule": 0.3, "thought": 0.5}}
line is the place in the input; an item without id is named after its title; score is how far the samples agree.

Lines that are no session are told on standard error with their number and reason, and left out. Exit status: 0 when
every line was answered, 1 when some were bad, 2 for an error, 130 when stopped. The same command goes on where it was
stopped or killed; the output file appears when it is complete.

Examples
  python -m recbole_routedk generate --run=output/bundle-mini/RouteDK/RouteDK-seed2020-0a1b2c3d \\
    --input=sessions.jsonl --output=bundles.jsonl --intents
  echo '["Tripod", "Camera bag", "Yoga mat"]' | python -m recbole_routedk generate --run=FOLDER
"""
_SOME_BAD = 1
_INTERRUPTED = 130
_OWN = ("input", "output", "batch_size", "title_field", "session_field", "item_field", "time_field")


def run(argv: Sequence[str]) -> int:
    """Answer the input; returns the exit code, 1 for bad lines. Raises UserError."""
    if any(word in ("-h", "--help") for word in argv):
        print(HELP)
        return 0
    given = parse_settings(argv)
    folder = given.pop("run", "")
    if not folder:
        raise UserError("generate needs --run=FOLDER, the folder of a saved run")
    own = {key: given.pop(key, "") for key in _OWN}
    intents, overwrite = (_flag(given.pop(key, "False"), key) for key in ("intents", "overwrite"))
    batch_size = _batch_size(own["batch_size"])
    on_ray = ray_options(given)
    if on_ray is not None and own["input"] in ("", "-"):
        raise UserError("--engine=ray needs --input=FILE: a task that is done again reads the input again")

    import torch

    from recbole_routedk.measure import peak_memory_mib
    from recbole_routedk.run_log import logging_to
    from recbole_routedk.saved_run import generator_config
    from recbole_routedk.serving.ray_generation import AnsweringRun

    with logging_to(None, "WARNING"):
        path = Path(folder).expanduser()
        config = generator_config(path, given)
        source = _source(own, tuple(config["item_fields"]))
        size = batch_size or int(config["eval_batch_size"])
        run_there = AnsweringRun(path, Path.cwd(), given, size, intents)
        answer = _here(run_there) if on_ray is None else _on_ray(run_there, on_ray, config["use_gpu"])
        asked = {"run": _digest(path), "settings": given, "intents": intents, "batch_size": size}
        output = _output(own["output"], asked, overwrite)
        device = torch.device("cpu") if on_ray else config["device"]
        before, started = output.done.sessions, time.perf_counter()
        try:
            done = answer(source, output, _reporter(source), f"{config['model']} answers")
        except KeyboardInterrupt:
            _say(
                f"stopped after {output.done.sessions} sessions" + ("; the same command goes on" * bool(own["output"]))
            )
            return _INTERRUPTED
    answered, seconds = done.sessions - before, time.perf_counter() - started
    more = f" ({before} before)" if before else ""
    _say(
        f"{answered} sessions answered{more}, {done.bad} bad lines, {answered / max(seconds, 1e-9):.2f} sessions/s, "
        f"peak memory {peak_memory_mib(device):.0f} MiB"
    )
    return _SOME_BAD if done.bad else 0


def _here(asked: AnsweringRun) -> Answering:
    """Load the model, and answer in this process."""
    from recbole_routedk.serving.answering_files import answer_source

    answerer = asked.load()
    return lambda source, output, report, title: answer_source(
        answerer, source, output, asked.batch_size, report, title
    )


def _on_ray(asked: AnsweringRun, options: RayOptions, use_gpu: bool) -> Answering:
    """Answer by the workers of a cluster."""
    from recbole_routedk.serving.ray_generation import answer_source_on_ray

    def answer(source: SessionSource, output: Output, report: Report, title: str) -> Done:
        with ray_cluster(options):
            return answer_source_on_ray(asked, source, output, workers_of(options, use_gpu), report, title)

    return answer


def _source(own: dict[str, str], item_fields: tuple[str, ...]) -> SessionSource:
    from recbole_routedk.data.recbole_sessions import FieldNames, RecBoleSessions, is_recbole
    from recbole_routedk.serving.sources import JsonLines

    path = Path(own["input"]).expanduser() if own["input"] not in ("", "-") else None
    titles = tuple(name for name in own["title_field"].split(",") if name)
    if path is not None and is_recbole(path):
        names = FieldNames(own["session_field"], own["item_field"], own["time_field"], titles, item_fields)
        return RecBoleSessions(path, names)
    named = [key for key in _OWN if key.endswith("_field") and own[key]]
    if named:
        raise UserError(f"--{named[0]} is for a data set of RecBole; JSON lines have fixed names")
    return JsonLines(path, item_fields)


def _output(path: str, asked: dict[str, object], overwrite: bool) -> Output:
    from recbole_routedk.serving.output import OutputFile, StandardOutput

    return StandardOutput() if path in ("", "-") else OutputFile(Path(path).expanduser(), asked, overwrite)


def _reporter(source: SessionSource) -> Report:
    from tqdm import tqdm

    def report(number: int, reason: str) -> None:
        line = f"{source.name}, line {number}: {reason}"
        if sys.stderr.isatty():
            tqdm.write(line, file=sys.stderr)
        else:
            _say(line)  # in a log, the bar would be written again after each line

    return report


def _digest(folder: Path) -> str:
    """The weights and settings that answer: another training into the same folder is another model."""
    from recbole_routedk.trainer import BEST

    return hashlib.sha256((folder.expanduser() / f"{BEST}.json").read_bytes()).hexdigest()[:16]


def _flag(text: str, key: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise UserError(f"--{key} is given alone, or as True or False, not {text!r}")
    return text.lower() == "true"


def _batch_size(text: str) -> int | None:
    if text and (not text.isascii() or not text.isdigit() or int(text) < 1):
        raise UserError(f"--batch_size has to be a whole number, at least 1, not {text!r}")
    return int(text) if text else None


def _say(line: str) -> None:
    print(line, file=sys.stderr)
