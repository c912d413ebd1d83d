"""The ``distill`` command: ask a teacher for knowledge, and look after what it answered."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recbole_routedk.cli import distill_store
from recbole_routedk.cli.run import parse_settings
from recbole_routedk.data.files import write_texts
from recbole_routedk.distill.pricing import estimated_input, price_of
from recbole_routedk.distill.store.budget import BudgetedTeacher, BudgetReachedError
from recbole_routedk.distill.store.dry_run import DryTeacher
from recbole_routedk.distill.store.meter import MeteredTeacher, table_lines
from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.store.stored_teacher import StoredTeacher
from recbole_routedk.distill.store.transfer import StepUnansweredError, UnaskedTeacher, batch_lines
from recbole_routedk.distill.teachers.address import checked_address
from recbole_routedk.distill.teachers.protocol import Identity, Task, Teacher, Usage, is_deterministic
from recbole_routedk.errors import UserError
from recbole_routedk.progress import progress_shown
from recbole_routedk.ray_cluster import ray_cluster, ray_options

if TYPE_CHECKING:
    from recbole_routedk.config import Config
    from recbole_routedk.data.session import LabelledSession, Session

HELP = """\
Asks a teacher for knowledge about the training sessions of a data set: patterns, rules and thoughts. Every
answer is kept in a store, so that training a model afterwards asks nothing twice; a run that was stopped or
killed at any point goes on with the same command.

  distill [--key=value ...]           ask what is not in the store yet
  distill show                        print requests and answers of the store
  distill export --output=FILE        write the store as JSON lines
  distill import FILE                 take rows of an exported file into the store
  distill batch write --output=FILE   write the next unanswered requests as an OpenAI Batch-API input file
  distill batch read FILE             take the answers of the batch's output file into the store

Any setting is given as --key=value (see properties/overall.yaml, "Distillation", and properties/teacher/):
  --dataset=NAME --model=RouteDK      whose sessions, and whose settings of knowledge_format, thought_check, ...
  --teacher=NAME                      teachers: {teachers}
  --knowledge_format=rules,thoughts   patterns, rules, thoughts
  --knowledge_ratio=0.1, --knowledge_sampling=length, --knowledge_from=NAME, --teacher_model=..., ...

Of this command alone:
  --dry_run                           print calls, tokens, cache hits and cost; ask nothing
  --budget=5.00                       stop before these US dollars are passed (exit code 3); teacher_prices tells
                                      the price of each model
  --split=valid[,test]                ask about the sessions of these splits too, never showing their labels
  --store=FILE                        the store (default: <output_dir>/knowledge.sqlite), for every form above
  --engine=local|ray                  ray asks by workers of a Ray cluster; the store is written here alone, and what a
                                      killed worker had in hand is asked again; pip install 'recbole_routedk[ray]'
  --workers=N                         of ray: so many teachers (default: one a GPU of the cluster, else one a CPU), each
                                      with the settings above: teacher_concurrency and rate limits hold for each
  --ray_address=HOST:PORT             of ray: the cluster to join (default: RAY_ADDRESS, else the one that `ray start`
                                      left on this machine, else a new one on this machine); a key has to be in the
                                      environment of its machines, it is never sent there

A key to a paid service is read from the environment (OPENAI_API_KEY) and is never a setting.

Examples
  python -m recbole_routedk distill --dataset=bundle-mini
  python -m recbole_routedk distill --dataset=electronic --teacher=openai --teacher_model=gpt-4o-mini --dry_run
  python -m recbole_routedk distill --dataset=electronic --teacher=openai --budget=2.50 --split=valid,test
  python -m recbole_routedk distill show --task=thought --limit=3
"""
BUDGET_REACHED = 3
INTERRUPTED = 130
MOST_IN_BATCH = 50_000
_OTHER_SPLITS = ("valid", "test")


def help_text() -> str:
    """The text of ``distill --help`` with the teachers that there are."""
    from recbole_routedk.registry import teacher_names

    return HELP.format(teachers=", ".join(teacher_names()))


def run(argv: Sequence[str]) -> int:
    """Do what the words say; returns the exit code: 3 where the budget was reached. Raises UserError."""
    words = list(argv)
    if words and words[0] in distill_store.COMMANDS:
        return distill_store.main(words)
    if any(word in ("-h", "--help") for word in words):
        print(help_text())
        return 0
    if words[:2] == ["batch", "read"]:
        return distill_store.main(["read", *words[2:]])
    batch = words[:2] == ["batch", "write"]
    if words and not words[0].startswith("--") and not batch:
        raise UserError(f"distill {words[0]}: there is no such form; see 'distill --help'")
    given = parse_settings(words[2:] if batch else words)
    output = given.pop("output", "") if batch else ""
    if batch and not output:
        raise UserError("distill batch write: name the file to write with --output=FILE")
    dry = _switch("dry_run", given.pop("dry_run", "False"))
    job = _Job(given)
    with job.watched():
        if batch:
            return _write_batch(job, Path(output).expanduser())
        return _dry_run(job) if dry else _distil(job)


class _Job:
    """Whose knowledge is asked for, with which settings: read from the words of the command."""

    def __init__(self, given: dict[str, str]) -> None:
        # Imported here: torch takes seconds, and a typing mistake is answered before.
        from recbole_routedk.config import Config
        from recbole_routedk.registry import model_settings

        self._on_ray = ray_options(given)
        self.budget = _amount(given.pop("budget", None))
        self.splits = _splits(given.pop("split", ""))
        if "store" in given:
            given["knowledge_store"] = given.pop("store")
        files = given.pop("config_files", "").split()
        model = given.pop("model", "RouteDK")
        if "knowledge_format" in given and "inference_view" in model_settings(model):
            # Nothing is answered here, so nothing of another format has to be there to be read.
            given.setdefault("inference_view", "[]")
        self.config: Config = Config(model, given.pop("dataset", None), files, command_line=given)
        if not self.config.uses_knowledge:
            raise UserError(f"--model: {self.config['model']} reads no knowledge; choose one such as RouteDK or KD")
        self.store_path = Path(self.config["knowledge_store"])
        self.report_lines: list[str] = []
        self._build()

    def _build(self) -> None:
        from recbole_routedk.data.dataset import BundleDataset
        from recbole_routedk.data.session import first_items, first_labelled

        train, valid, test = BundleDataset(self.config).build()
        # As the model reads them, or it would ask again about those that are longer.
        limit: int = self.config["max_items"] or sys.maxsize  # None for a model of the user's own that has no limit
        self.train: list[LabelledSession] = [first_labelled(each, limit) for each in train.labelled_sessions]
        by_split = {"valid": valid.sessions, "test": test.sessions}
        self.sessions: list[Session] = [first_items(each, limit) for split in self.splits for each in by_split[split]]

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Show log and bars within the block as the settings say."""
        from recbole_routedk.run_log import logging_to

        with logging_to(None, self.config["state"]), progress_shown(self.config["show_progress"]):
            yield

    def learn(self, teacher: Teacher) -> None:
        """Ask the teacher for all that is wanted; ``report_lines`` then says what came of it, also where it stopped."""
        from recbole_routedk.distill.source import KnowledgeSource

        source = KnowledgeSource(self.config, self.train, teacher=teacher)
        try:
            source.for_training()
            if self.sessions:
                source.for_sessions(self.sessions)
        finally:
            self.report_lines = source.report.lines()

    def teacher(self) -> Teacher:
        """Make the teacher that is to be asked."""
        from recbole_routedk.distill.teachers.factory import make_teacher

        return make_teacher(self.config, self.train)

    def by_engine(self, teacher: Teacher) -> Teacher:
        """Return the teacher, or one that asks it on the workers of ``cluster``."""
        if self._on_ray is None:
            return teacher
        from recbole_routedk.distill.ray_distillation import RayTeacher

        make = partial(_teacher_there, self.config.plain(), self.train)
        return RayTeacher(teacher, make, self._on_ray, self.config["use_gpu"])

    def cluster(self) -> AbstractContextManager[None]:
        """The cluster to ask within, where the engine is Ray."""
        return nullcontext() if self._on_ray is None else ray_cluster(self._on_ray)

    def endpoint(self) -> Identity | None:
        """The endpoint that is to be asked, found out without a key; None for a teacher that runs here."""
        config: Any = self.config
        if not config["teacher_base_url"]:
            return None
        address = checked_address(config["teacher_base_url"])
        return Identity(config["teacher"], config["teacher_model"], config["teacher_revision"] or "", address)


def _teacher_there(plain: dict[str, Any], train: Sequence[LabelledSession]) -> Teacher:
    """Make the teacher of a job on a worker."""
    from recbole_routedk.config import Config
    from recbole_routedk.distill.teachers.factory import make_teacher

    return make_teacher(Config.from_plain(plain), train)


def _distil(job: _Job) -> int:
    with RequestStore(job.store_path) as store:
        teacher = job.by_engine(job.teacher())
        price = price_of(teacher.identity, job.config["teacher_prices"])
        asked = teacher if job.budget is None else BudgetedTeacher(teacher, price, job.budget)
        metered = MeteredTeacher(StoredTeacher(asked, store))
        code, last = 0, ""
        try:
            with job.cluster():
                job.learn(metered)
        except BudgetReachedError as error:
            code, last = BUDGET_REACHED, str(error)
        except KeyboardInterrupt:
            code, last = INTERRUPTED, "stopped; every answer so far is kept: the same command goes on"
        finally:
            print(*job.report_lines, "", sep="\n")
            print(*table_lines(metered.tallies, price, teacher.identity.model), sep="\n")
            print(f"{metered.seconds:.1f} s, {metered.tokens_per_second():.1f} output tokens/s; store: {store.path}")
            if failed := metered.total().failures:
                again = "would fail again" if is_deterministic(teacher) else "are asked again by the same command"
                print(f"{failed} requests failed and {again} ('distill show --failures')")
    if last:
        print(last, file=sys.stderr)
    return code


def _dry_run(job: _Job) -> int:
    from recbole_routedk.distill.teachers.statistical import StatisticalCompletion

    stand_in = StatisticalCompletion(job.train, job.config["seed"])
    endpoint = job.endpoint()
    here = stand_in if job.config["teacher"] == "statistical" else None
    teacher: Any = None if endpoint else here or job.teacher()
    counts = getattr(teacher, "count_tokens", None)
    identity = endpoint or teacher.identity
    price = price_of(identity, job.config["teacher_prices"])
    with RequestStore(job.store_path) if job.store_path.is_file() else nullcontext() as store:
        dry = DryTeacher(identity, store, stand_in, counts or estimated_input, is_deterministic(teacher))
        metered = MeteredTeacher(dry)
        job.learn(metered)
    print(f"Dry run: {identity.teacher} ({identity.model}) was asked nothing. Without repeats of failed requests:\n")
    print(*table_lines(metered.tallies, price, identity.model), sep="\n")
    how = "counted with the teacher's own tokenizer" if counts else "estimates (4 characters a token)"
    print(f"\nInput tokens are {how}.")
    guessed = set(metered.tallies) - dry.measured
    if dry.measured:
        print(f"Output tokens for {_names(dry.measured)}: the mean of the model's stored answers.")
    if guessed:
        print(f"Output tokens for {_names(guessed)}: estimates from the statistical teacher's answers.")
    if job.budget is not None and price is not None:
        total = metered.total()
        cost = price.cost(Usage(total.input_tokens, total.output_tokens))
        print(f"--budget={job.budget:g} would {'do' if cost <= job.budget else 'stop it on the way'}.")
    return 0


def _write_batch(job: _Job, path: Path) -> int:
    identity = job.endpoint()
    if identity is None:
        raise UserError(f"distill batch write: the teacher {job.config['teacher']} has no Batch API; --teacher=openai")
    with RequestStore(job.store_path) as store:
        teacher = UnaskedTeacher(identity, store)
        try:
            job.learn(teacher)
        except StepUnansweredError:
            # The store first: a file whose answers it does not wait for would be lost work.
            store.expect(identity, list(teacher.unanswered.values()))
            write_texts({path: "".join(f"{line}\n" for line in batch_lines(identity, teacher.unanswered))})
            print(f"{len(teacher.unanswered)} requests written to {path}; hand it to the Batch API, then:")
            print(f"  distill batch read OUTPUT.jsonl --store={store.path}")
            if len(teacher.unanswered) > MOST_IN_BATCH:
                print(f"OpenAI takes at most {MOST_IN_BATCH:,} requests a file: split it, a request is a line.")
            print("Later steps need these answers: write again afterwards, until nothing is left to be asked.")
        else:
            print("Everything is answered already; no file is written.")
    return 0


def _names(tasks: set[Task]) -> str:
    return ", ".join(sorted(task.value for task in tasks))


def _switch(name: str, text: str) -> bool:
    """Read a switch; a mistyped word must not be taken for "no", where "no" costs money."""
    if text.lower() not in ("true", "yes", "1", "false", "no", "0"):
        raise UserError(f"--{name} has to be True or False, not {text!r}")
    return text.lower() in ("true", "yes", "1")


def _amount(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise UserError(f"--budget has to be an amount in US dollars such as 5.00, not {text!r}") from None


def _splits(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in _OTHER_SPLITS:
            raise UserError(f"--split has to be valid, test or both, not {name!r}; training sessions are always asked")
    return names
