"""What a setting may be: reading YAML and command-line values as literals, and checking them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from recbole_routedk.errors import UserError

_FORMATS = ("patterns", "rules", "thoughts")
CHOICES = {
    "consensus": ("mbr", "vote"),
    "decoding": ("constrained", "free"),
    "fusion": ("routed", "uniform", "base", "pattern", "rule", "thought", "naive"),
    "inference_view": _FORMATS,
    "knowledge_format": _FORMATS,
    "knowledge_sampling": ("random", "length", "diversity", "difficulty"),
    "knowledge_use": ("icl", "sft", "icl+sft"),
    "learner": ("adamw", "adam", "sgd", "adagrad", "rmsprop"),
    "lr_scheduler": ("linear", "cosine", "constant"),
    "router": ("softmax", "top_k", "straight_through", "sparsegen", "static", "arrow"),
    "router_gates": ("prompt", "layer"),
    "router_learns": ("answer", "best_expert"),
    "state": ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    "retriever": ("bm25", "embeddings"),
    "teacher_dtype": ("float32", "bfloat16", "float16"),
    "thought_check": ("keep", "drop", "regenerate"),
    "thought_source": ("teacher", "retrieved", "target", "written"),
}
"""What a setting may be; of a list, what each of its parts may be."""

TEXTS = ("checkpoint_dir", "knowledge_store", "run_name", "student_revision", "teacher_revision")
"""Settings without a default that are text, whatever they look like."""

EMPTY_TYPES = {"answer_budget": float, "first_adapted_layer": int}
"""Types of settings that are empty by default and have one; the others take anything."""

RANGES = {
    "answer_budget": (0, None),
    "answer_tokens": (3, None),  # the shortest answer: two items and the end
    "consensus_samples": (1, None),
    "fine_tuning_budget": (0, None),
    "fine_tuning_wait": (0, None),
    "first_adapted_layer": (0, None),
    "least_affinity": (0, 1),
    "knowledge_ratio": (0, 1),
    "knowledge_weight": (0, None),
    "lora_rank": (1, None),
    "max_items": (2, None),
    "max_patterns": (0, None),
    "max_rules": (0, None),
    "pairs_per_item": (0, None),
    "pattern_confidence": (0, 1),
    "pattern_support": (0, 1),
    "router_epochs": (1, None),
    "router_learning_rate": (0, None),
    "router_temperature": (0.001, None),
    "router_top_k": (1, None),
    "rule_batch": (1, None),
    "rule_least_coverage": (0, 1),
    "rule_least_precision": (0, 1),
    "teacher_batch_size": (1, None),
    "teacher_concurrency": (1, None),
    "teacher_max_tokens": (1, None),
    "teacher_temperature": (0, 2),
    "teacher_timeout": (0.001, None),
    "similar_sessions": (1, None),
    "student_batch_size": (1, None),
    "temperature": (0.01, None),
    "text_tokens": (1, None),
    "thought_attempts": (1, None),
    "thought_tokens": (1, None),
    "title_tokens": (1, None),
    "vote_share": (0, 1),
    "demonstrations": (1, None),
    "epochs": (0, None),
    "eval_batch_size": (1, None),
    "eval_step": (0, None),
    "feedback_rounds": (0, None),
    "learning_rate": (0, None),
    "metric_decimal_place": (0, None),
    "seed": (0, 2**32 - 1),
    "stopping_step": (0, None),
    "train_batch_size": (1, None),
    "warmup_ratio": (0, 1),
    "weight_decay": (0, None),
}
TYPE_NAMES = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list such as [a, b]",
    dict: "a mapping such as {a: 1}",
}


class LiteralLoader(yaml.SafeLoader):
    """YAML's plain values only, with 1e-4 read as a number, and an error for a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping, refusing a repeated key (YAML itself keeps the last one silently)."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", node.value[position][0].start_mark
                )
        return super().construct_mapping(node, deep)


LiteralLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)
LiteralLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^None$"), ["N"])
# A date is no setting: 2026-01-31 stays the text it is.
LiteralLoader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in LiteralLoader.yaml_implicit_resolvers.items()
}


def properties_folder() -> Path:
    """The folder of our YAML files: inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "properties", package.parent / "properties"):
        if (folder / "overall.yaml").is_file():
            return folder
    raise UserError(f"properties/overall.yaml is missing beside {package}; install recbole_routedk again")


def load_yaml(path: Path) -> dict[str, Any]:
    """Read the settings of a YAML file; UserError with file and line where it is not a mapping of names."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=LiteralLoader)  # a SafeLoader
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a UTF-8 YAML file ({error})") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(f"{path}: has to hold settings, one 'key: value' a line")
    return content


def parse_literal(key: str, text: str) -> Any:
    """Read the text of a setting as a YAML value: never code."""
    try:
        return yaml.load(text, Loader=LiteralLoader)  # a SafeLoader
    except yaml.YAMLError as error:
        raise UserError(f"--{key}={text}: not a value: {' '.join(str(error).split())}") from None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence naming the nearest known word, or all of a few, or nothing."""
    words = sorted(known)
    by_lower = {each.lower(): each for each in words}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    if near:
        return f" Did you mean {by_lower[near[0]]!r}?"
    return f" There are: {', '.join(words)}." if 0 < len(words) <= 20 else ""


def check_keys(settings: Mapping[str, Any], known: Iterable[str], source: str) -> None:
    """Raise UserError, naming the nearest known key, for a setting that nothing reads."""
    names = set(known)
    for key in settings:
        if key not in names:
            _refuse_secret(key, source)
            raise UserError(f"{source}: there is no setting {key!r}.{did_you_mean(key, names)}")


def _refuse_secret(key: str, source: str) -> None:
    plain = key.lower().replace("-", "_")
    if any(part in plain for part in ("api_key", "apikey", "api_token", "password", "secret")):
        raise UserError(
            f"{source}: {key} is no setting, since settings are printed and saved; put the key into an environment "
            "variable: properties/teacher/<teacher>.yaml names it (OPENAI_API_KEY for openai)"
        )


def check_value(key: str, value: Any, default: Any, source: str) -> Any:
    """Return ``value`` in the type of ``default``; UserError where it has another type or is out of range.

    Text is read as a literal unless the setting is text. A setting that is empty by default takes
    anything but what ``EMPTY_TYPES`` says; a list takes a single value or a comma list.
    """
    wanted = type(default) if default is not None else EMPTY_TYPES.get(key)
    if isinstance(value, str) and not isinstance(default, str) and key not in TEXTS:
        value = _from_text(key, value, default)
    may_be_empty = default is None or isinstance(default, dict)
    if wanted is not None and not (value is None and may_be_empty):
        value = _in_type(key, value, wanted, source)
    _check_range(key, value, source)
    return value


def _from_text(key: str, text: str, default: Any) -> Any:
    if isinstance(default, list) and not text.lstrip().startswith("["):
        # Commas within brackets belong to a part: KD:knowledge_format=[rules,thoughts],Freq are two models.
        return [part.strip() for part in re.split(r",(?![^\[\]]*\])", text) if part.strip()]
    return parse_literal(key, text)


def _in_type(key: str, value: Any, wanted: type, source: str) -> Any:
    if wanted is float and type(value) is int:
        return float(value)
    if wanted is str and type(value) in (int, float):
        return str(value)
    if wanted is list and isinstance(value, (int, float, tuple)) and not isinstance(value, bool):
        return list(value) if isinstance(value, tuple) else [value]
    if type(value) is not wanted:
        raise UserError(f"{source}: {key} has to be {TYPE_NAMES.get(wanted, wanted)}, not {value!r}")
    return value


def _check_range(key: str, value: Any, source: str) -> None:
    for part in value if isinstance(value, list) else [value]:
        if key in CHOICES and part not in CHOICES[key]:
            raise UserError(f"{source}: {key} has to be one of {', '.join(CHOICES[key])}, not {part!r}")
    low, high = RANGES.get(key, (None, None))
    if value is None or low is None:
        return
    if not low <= value or (high is not None and not value <= high):  # written so that NaN is refused
        limits = f"at least {low}" if high is None else f"from {low} to {high}"
        raise UserError(f"{source}: {key} has to be {limits}, not {value!r}")
