"""The ``doctor`` command: check that this machine can run what is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recbole_routedk.cli.run import parse_settings
from recbole_routedk.doctor.finding import Finding, Level
from recbole_routedk.errors import UserError

HELP = """\
Checks Python, packages, settings, the data set, the student, GPU, disk and, only where the settings name one, the
endpoint; one line a check, with how to mend it. Nothing is written, trained or paid for.

  --model, --dataset, --student, --teacher, --config_files, ...   as for 'run'

Exit code 1 where something is an error, 0 otherwise.

Examples
  python -m recbole_routedk doctor
  python -m recbole_routedk doctor --model=RouteDK --dataset=electronic --student=./my-student
  python -m recbole_routedk doctor --teacher=openai --teacher_base_url=http://127.0.0.1:11434/v1 --teacher_model=qwen
"""
SOMETHING_WRONG = 1


def run(argv: Sequence[str]) -> int:
    """Print a line a check; returns 1 where one of them is an error. Raises UserError for words that are no setting."""
    if any(word in ("-h", "--help") for word in argv):
        print(HELP)
        return 0
    given = parse_settings(argv)
    told: list[Finding] = []
    for finding in findings(given):
        if finding not in told:  # two models may share a student
            told.append(finding)
            print(finding.line(), flush=True)
    counts = {level: sum(each.level is level for each in told) for level in Level}
    print(f"{counts[Level.ERROR]} errors, {counts[Level.WARNING]} warnings")
    return SOMETHING_WRONG if counts[Level.ERROR] else 0


def findings(given: dict[str, str]) -> Iterator[Finding]:
    """Do the checks one by one; those of a run are left out where its settings or a package are wrong."""
    from recbole_routedk.doctor.installation import installation

    broken = False
    for finding in installation():
        broken = broken or finding.level is Level.ERROR
        yield finding
    if broken:
        yield Finding(Level.WARNING, "the rest", "is not looked at until everything is installed")
        return
    yield from _of_runs(given)


def _of_runs(given: dict[str, str]) -> Iterator[Finding]:
    from recbole_routedk.comparison.plan import parse_model
    from recbole_routedk.config import Config, model_list, shared_setting
    from recbole_routedk.doctor.machine import disk, processor
    from recbole_routedk.doctor.run import data_set, endpoint, needs_student, student

    files = given.pop("config_files", "").split()
    dataset = given.pop("dataset", None)
    try:
        asked = model_list(given.pop("model"), "--model") if "model" in given else shared_setting("model", files)
        parsed = [(name, given | own) for name, own in map(parse_model, asked)]
        names = [name for name, _ in parsed]
        configs = [Config(name, dataset, files, command_line=own, companions=names) for name, own in parsed]
    except UserError as error:
        yield Finding(Level.ERROR, "settings", str(error), "see 'python -m recbole_routedk run --help'")
        return
    yield Finding(Level.OK, "settings", f"{', '.join(names)}: known, in range and without contradiction")
    for config in configs:
        yield from data_set(config)
        if needs_student(config):
            yield student(config)
        yield processor(config)
        yield from disk(config)
        asked_endpoint = endpoint(config)
        if asked_endpoint is not None:
            yield asked_endpoint
