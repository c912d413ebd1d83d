"""Can the data set be read and trusted, does the student load, does the endpoint answer?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recbole_routedk.data.atomic import SPLITS, SplitSessions, read_atomic
from recbole_routedk.data.leaks import leaks
from recbole_routedk.doctor.finding import Finding, Level
from recbole_routedk.errors import UserError

if TYPE_CHECKING:
    from recbole_routedk.config import Config

ENDPOINT_SECONDS = 10.0
_NAMED = 5


def data_set(config: Config) -> Iterator[Finding]:
    """Read the data set whole, count its splits, and look for what gives answers away."""
    name = str(config["dataset"])
    try:
        splits = read_atomic(Path(config["data_path"]), name, config["item_fields"])
    except UserError as error:
        yield Finding(Level.ERROR, "data set", str(error), "convert it again: python -m recbole_routedk convert --help")
        return
    counts = ", ".join(f"{len(splits.split(split))} {split}" for split in SPLITS)
    for split in SPLITS:
        if not splits.split(split):
            yield Finding(Level.ERROR, "data set", f"{name} has no {split} session", "split it by file again")
    for told in leaks(splits):
        mend = "complete the texts or make other splits; until then results say little"
        yield Finding(Level.WARNING, "data set", f"{name}: {told}", mend)
    yield from _long_sessions(splits, config["max_items"])
    yield Finding(Level.OK, "data set", f"{name} in {config['data_path']}: {counts} sessions")


def _long_sessions(splits: SplitSessions, limit: int | None) -> Iterator[Finding]:
    long = [each for each in splits.all() if limit is not None and len(each.session) > limit]
    if long:
        told = f"{len(long)} sessions are longer than max_items: {limit}; what follows is not read"
        yield Finding(Level.WARNING, "data set", told, f"--max_items={max(len(each.session) for each in long)}")


def needs_student(config: Config) -> bool:
    """Whether the model runs a language model on this machine."""
    if "student" not in config.schema or config["answered_by"] not in (None, "student"):
        return False
    return "title_tokens" in config.schema or config["content"] == "student"


def student(config: Config) -> Finding:
    """Load the student, and see whether its tokenizer can write prompts and answers."""
    # Imported here: a doctor that cannot import them still says what is missing.
    from recbole_routedk.data.prompts import PromptEncoder
    from recbole_routedk.student.backbone import load_student

    started = time.perf_counter()
    try:
        loaded = load_student(config["student"], revision=config["student_revision"])
        if "title_tokens" in config.schema:
            PromptEncoder(loaded.tokenizer, config["title_tokens"], config["max_items"])
    except UserError as error:
        mend = "name another with --student, or leave it out for the embedded one"
        return Finding(Level.ERROR, "student", str(error).removeprefix("student: "), mend)
    size = sum(weight.numel() for weight in loaded.model.parameters())
    seconds = time.perf_counter() - started
    fit = "its tokenizer fits" if "title_tokens" in config.schema else "read for title vectors"
    return Finding(Level.OK, "student", f"{loaded.name}: {size / 1e6:.0f} M parameters, {fit}; {seconds:.1f} s")


def endpoint(config: Config) -> Finding | None:
    """Ask the endpoint that the settings name which models it has, at no cost; None where none is to be asked."""
    if "teacher_base_url" not in config.schema:
        return None
    from recbole_routedk.distill.teachers.openai_endpoint import OpenAITeacher
    from recbole_routedk.distill.teachers.openai_sdk import openai_sdk, quiet_sdk_logs
    from recbole_routedk.distill.teachers.secret import Secret

    variable, url, model = config["teacher_key_variable"], config["teacher_base_url"], config["teacher_model"]
    try:
        OpenAITeacher.from_settings(config)
        key = Secret(variable)
    except UserError as error:
        return Finding(
            Level.ERROR, "endpoint", str(error).removeprefix("teacher: "), "see properties/teacher/openai.yaml"
        )
    quiet_sdk_logs()
    sdk: Any = openai_sdk()
    try:
        with sdk.OpenAI(
            api_key=key.reveal() or "none", base_url=url, timeout=ENDPOINT_SECONDS, max_retries=0
        ) as client:
            names = [each.id for each in client.models.list()]
    except sdk.APIStatusError as error:
        return _refused(error.status_code, url, variable, bool(key))
    except sdk.OpenAIError as error:  # its own words may repeat the address and what was sent: only its kind is told
        told = f"nothing answers at {url} within {ENDPOINT_SECONDS:.0f} s ({type(error).__name__})"
        return Finding(Level.ERROR, "endpoint", told, "start the server, or set --teacher_base_url")
    if model in names:
        return Finding(Level.OK, "endpoint", f"{url} has {model}")
    there = key.scrubbed(", ".join(names[:_NAMED])) or "none"
    told = f"{url} does not list {model!r}; it lists {len(names)} models: {there}"
    return Finding(Level.WARNING, "endpoint", told, "set --teacher_model to one that it has")


def _refused(status: int, url: str, variable: str, has_key: bool) -> Finding:
    if status in (401, 403):
        what = "does not take the key in" if has_key else "wants a key in"
        told = f"{url} {what} the environment variable {variable} ({status})"
        return Finding(Level.ERROR, "endpoint", told, f"set {variable} to a key of that service")
    told = f"{url} answers {status} where it should list its models"
    mend = "the address of an OpenAI-compatible server often ends in /v1: see --teacher_base_url"
    return Finding(Level.WARNING, "endpoint", told, mend)
