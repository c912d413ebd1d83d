"""RecBole's Config over our YAML files: values are literals, keys and types are checked."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import recbole
from recbole.config import Config as RecBoleConfig
from recbole.evaluator.register import metrics_dict

from recbole_routedk.config_schema import Schema, Setting, check_keys, joined, read_schema, with_defaults
from recbole_routedk.contradictions import check_together
from recbole_routedk.distill.teachers.address import checked_address
from recbole_routedk.distributed import own_gpu
from recbole_routedk.errors import UserError, did_you_mean
from recbole_routedk.evaluation.recbole_metrics import register_metrics, result_keys
from recbole_routedk.literals import LiteralLoader, load_yaml, properties_folder
from recbole_routedk.plugins import plugin_files, plugin_names, plugin_schema
from recbole_routedk.registry import (
    dataset_folder,
    dataset_names,
    model_names,
    model_schema,
    model_settings,
    resolve_model,
    shipped_datasets,
    teacher_names,
    teacher_schema,
    teacher_settings,
)

PLACES = frozenset({"checkpoint_dir", "data_path", "output_dir", "run_name"})
WATCHING = frozenset({"gpu_id", "resume", "reuse", "show_progress", "state"})
ASKING = frozenset(
    {
        "fine_tuning_budget",
        "fine_tuning_prices",
        "fine_tuning_wait",
        "answer_budget",
        "knowledge_store",
        "teacher_batch_size",
        "teacher_concurrency",
        "teacher_key_variable",
        "teacher_prices",
        "teacher_timeout",
    }
)
_DATA = ("train_share", "test_on", "item_fields")
_LEARNING = frozenset(
    {
        "clip_grad_norm",
        "enable_amp",
        "epochs",
        "eval_step",
        "learner",
        "learning_rate",
        "lr_scheduler",
        "shuffle",
        "stopping_step",
        "train_batch_size",
        "warmup_ratio",
        "weight_decay",
    }
)
"""Settings that only what is trained by gradient reads, wherever they stand."""
_UNNAMED = frozenset({"eval_batch_size", "metric_decimal_place", "metrics", "reproducibility", "seed", "use_gpu"})
"""Settings that make no other model of one: seeds are averaged, and the others change no answer."""
STUDENT = "student"
"""What ``answered_by`` says where the student answers and no teacher is asked."""
LATER: dict[str, Any] = {
    "consensus_utility": ["matchedf1"],
    "item_fields": [],
    "item_orders": 1,
    "student_dtype": "auto",
}
"""Settings that earlier runs did not have: at these values a CPU computes as before, and runs keep their names."""
UNHASHED = PLACES | WATCHING | ASKING | {"baselines", "benchmark", "model"}
"""Settings that say where, beside what and how fast a run happens, not what it computes."""

# They start RecBole's NCCL-only distributed training, or write pickles.
REFUSED = ("local_rank", "nproc", "world_size", "offset", "ip", "port", "save_dataset", "save_dataloaders")

_NUMPY_NAMES = {
    "bool": np.bool_,
    "int": np.int_,
    "float": np.float64,
    "complex": np.complex128,
    "object": np.object_,
    "str": np.str_,
    "long": np.int_,
    "unicode": np.str_,
}


class Config(RecBoleConfig):
    """The settings of one run of one model.

    ``model`` is a name of ``properties/model`` or a class. ``command_line`` maps keys to their text;
    ``sys.argv`` is not read. ``companions`` are models that run beside this one with the same
    arguments: a key that only they know is left out instead of refused. Raises UserError for an
    unknown key or model, for a value of the wrong type or out of its limits, and for values that contradict each
    other, before the model's class is imported. ``schema`` documents every setting of this run.
    """

    parameters: dict[str, list[str]]
    schema: Schema

    def __init__(
        self,
        model: str | type | None = None,
        dataset: str | None = None,
        config_file_list: Sequence[str | Path] | None = None,
        config_dict: Mapping[str, Any] | None = None,
        command_line: Mapping[str, Any] | None = None,
        companions: Sequence[str] = (),
    ) -> None:
        register_metrics()
        self._command_line = dict(command_line or {})
        self._companions = tuple(companions)
        files = [str(path) for path in config_file_list or ()]
        super().__init__(model, dataset, files, dict(config_dict or {}))

    @property
    def run_folder(self) -> Path:
        """Where this run writes everything."""
        return Path(self["checkpoint_dir"]) / self["run_name"]

    @property
    def uses_knowledge(self) -> bool:
        """Whether this model reads a teacher's knowledge: its own YAML then names ``knowledge_format``."""
        return "knowledge_format" in self._model_defaults

    def _asks_for(self, key: str) -> bool:
        """Whether a setting of teachers is about one that this model asks, for knowledge or for its answers."""
        return is_knowledge_setting(key) and (self.uses_knowledge or (bool(self._asked) and key.startswith("teacher_")))

    def changed_model_settings(self, trained: bool = True) -> dict[str, Any]:
        """What makes this model another than its YAML's: all it computes with that was given another value, by key.

        ``trained``: by gradient, so that the settings of training count.
        """
        unread = _UNNAMED | (_LEARNING - self._model_defaults.keys() if not trained else frozenset())
        unread |= frozenset() if STUDENT in self._model_defaults else {"student_dtype"}
        computing = [key for key in self.computing(self.settings) if key in self._defaults and key not in unread]
        own = [*_DATA, *self._model_defaults]
        ordered = [*(key for key in own if key in computing), *(key for key in computing if key not in own)]
        return {key: self.settings[key] for key in ordered if self.settings[key] != self._defaults[key]}

    def computing(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Those of ``settings`` that say what this run computes, not where, beside what or how fast."""
        return {
            key: value
            for key, value in settings.items()
            if key not in UNHASHED
            and (self._asks_for(key) or not is_knowledge_setting(key))
            and (key not in LATER or value != LATER[key])
        }

    def plain(self) -> dict[str, Any]:
        """JSON-able ``{"model", "dataset", "settings"}``, from which ``from_plain`` makes this Config."""
        settings = {key: value for key, value in self.settings.items() if key not in ("model", "dataset")}
        settings["data_path"] = str(Path(self["data_path"]).resolve())
        return {"model": self.model, "dataset": self.dataset, "settings": settings}

    @classmethod
    def from_plain(
        cls,
        plain: Mapping[str, Any],
        overrides: Mapping[str, Any] | None = None,
        model: type | None = None,
    ) -> Config:
        """The Config that ``plain`` was taken of, with some settings replaced."""
        settings = plain["settings"]
        return cls(model or plain["model"], plain["dataset"], config_dict=settings, command_line=overrides)

    # RecBole's steps, in the order in which its __init__ calls them.

    def compatibility_settings(self) -> None:
        """Give numpy the old names that RecBole uses, where this numpy lacks them."""
        for name, value in _NUMPY_NAMES.items():
            if name not in vars(np):
                setattr(np, name, value)

    def _init_parameters_category(self) -> None:
        super()._init_parameters_category()
        self.parameters = copy.deepcopy(self.parameters)  # the stock lists are shared by all Configs

    def _build_yaml_loader(self) -> type:
        return LiteralLoader

    def _load_config_files(self, file_list: Sequence[str]) -> dict[str, Any]:
        self._sources = [(path, load_yaml(Path(path))) for path in file_list]
        return {key: value for _, settings in self._sources for key, value in settings.items()}

    def _load_variable_config_dict(self, config_dict: dict[str, Any]) -> dict[str, Any]:
        self._sources.append(("config_dict", config_dict))
        return config_dict

    def _load_cmd_line(self) -> dict[str, Any]:
        self._sources.append(("command line", self._command_line))
        return self._command_line

    def _get_model_and_dataset(self, model: str | type | None, dataset: str | None) -> tuple[str, type, str]:
        given = _values(shared_schema()) | self.external_config_dict
        chosen = model or _only_model(given["model"])
        name = chosen.__name__ if isinstance(chosen, type) else str(chosen)
        # Settings are checked before the class is imported: a typing mistake is answered at once.
        self._load_settings(name, str(dataset or given["dataset"]), isinstance(chosen, type))
        model_class = chosen if isinstance(chosen, type) else resolve_model(name)
        return name, model_class, self.settings["dataset"]

    def _load_settings(self, model: str, dataset: str, is_class: bool) -> None:
        own: Schema = {} if is_class and model not in model_names() else model_schema(model)
        own = joined(own, self._router_schema(own))
        self._model_defaults = _values(own)
        schema = joined(shared_schema(), self._teacher_schema(own), own)
        if file := plugin_files("dataset").get(dataset):
            schema = with_defaults(schema, _for_model(load_yaml(file), model, str(file)), str(file))
        self.schema = schema
        self._defaults = _values(schema) | {"dataset": dataset}
        self.settings = copy.deepcopy(self._defaults)
        for source, given in self._sources:
            for key, value in self._known(given, source, model).items():
                checked = schema[key].check(value, source)
                # A default that is given is the default: 16 stays 16 in a setting that may be 16.5.
                self.settings[key] = self._defaults[key] if checked == self._defaults[key] else checked
        check_together(self.settings)
        for settings in (self._defaults, self.settings):
            settings |= {"model": model, "dataset": dataset}  # one of those that "model" lists
        if not self.uses_knowledge:
            self.settings["knowledge_from"] = []  # the comparison beside it stays on its own data set

    def _teacher_schema(self, own: Schema) -> Schema:
        """The settings of the YAML files of the teachers that this model asks, for knowledge and for its answers."""
        asked_by = ["teacher"] if self.uses_knowledge else []
        asked_by += ["answered_by"] if "answered_by" in self._model_defaults else []
        names = [self._named(own, key) for key in asked_by]
        self._asked = tuple(name for name in dict.fromkeys(names) if name != STUDENT)
        files = [teacher_schema(name) for name in self._asked]
        if len([file for file in files if file]) > 1:
            raise UserError(
                f"teacher: {' and '.join(self._asked)} cannot be asked in one run, since they share the names of their "
                "settings; let teacher and answered_by be the same"
            )
        return joined(*files)

    def _router_schema(self, own: Schema) -> Schema:
        """The settings of the YAML file of the router that this model has."""
        return plugin_schema("router", self._named(own, "router")) if "router" in own else {}

    def _named(self, own: Schema, key: str) -> str:
        """What a setting was given last, before the schema that checks it is known."""
        given = [_values(joined(shared_schema(), own)), *(given for _, given in self._sources)]
        return [str(each[key]) for each in given if key in each][-1]

    def _load_internal_config_dict(self, model: str, model_class: Any, dataset: str) -> None:
        self.internal_config_dict = self._defaults | {"MODEL_TYPE": model_class.type}

    def _get_final_config_dict(self) -> dict[str, Any]:
        return self.internal_config_dict | copy.deepcopy(self.settings)

    def _set_default_parameters(self) -> None:
        final = self.final_config_dict
        self._check_metrics()
        data_path = Path(final["data_path"])
        super()._set_default_parameters()
        final["data_path"] = str(dataset_folder(self.dataset, data_path))
        others = [("knowledge_from", name) for name in final["knowledge_from"]]
        final["knowledge_folders"] = {name: self._other_folder(key, name, data_path) for key, name in others}
        tested = final["test_on"]
        final["test_folder"] = None if tested is None else self._other_folder("test_on", tested, data_path)
        final["knowledge_store"] = str(final["knowledge_store"] or Path(final["output_dir"]) / "knowledge.sqlite")
        _check_no_secret(final.get("teacher_base_url"), final.get("teacher_key_variable"))
        self._set_run_folder()

    def _other_folder(self, key: str, name: str, data_path: Path) -> str:
        """Where another data set lies: beside this one, or among those that are shipped."""
        if name == self.dataset:
            raise UserError(f"{key}: {name} is the data set itself; name another, or leave the setting out")
        # data_path may be the data set's own folder: that of a saved run is.
        for root in (data_path, data_path.parent, shipped_datasets()):
            if (root / name / f"{name}.item").is_file():
                return str(root / name)
        names = [known for known in dataset_names(data_path) if known != self.dataset]
        raise UserError(f"{key}: there is no data set {name!r} in {data_path}.{did_you_mean(name, names)}")

    def _init_device(self) -> None:
        if not self.final_config_dict["use_gpu"]:
            self.final_config_dict["gpu_id"] = ""  # the stock version looks at gpu_id alone
        self.final_config_dict["gpu_id"] = own_gpu(self.final_config_dict["gpu_id"])
        super()._init_device()

    def _check_metrics(self) -> None:
        """Refuse metrics that are not ours; ``valid_metric`` becomes the key it has in results."""
        final, keys = self.final_config_dict, result_keys()
        for name in final["metrics"]:
            if name.lower() not in keys:
                names = [metrics_dict[key].__name__ for key in keys]
                raise UserError(f"metrics: there is no metric {name!r}.{did_you_mean(name, names)}")
        reported = [keys[name.lower()] for name in final["metrics"]]
        wanted = final["valid_metric"].lower()
        final["valid_metric"] = keys.get(wanted, wanted)
        if final["valid_metric"] not in reported:
            raise UserError(
                f"valid_metric: {self.settings['valid_metric']!r} is not among the metrics "
                f"{', '.join(final['metrics'])}; add it there or choose one of them"
            )

    def _known(self, given: Mapping[str, Any], source: str, model: str) -> dict[str, Any]:
        """The settings of this model among those given, the rest being its companions'."""
        foreign = {key for name in self._companions for key in model_settings(name)} - set(self._defaults)
        foreign |= self._foreign_teacher_keys(given, source)
        if "router" not in self._model_defaults:
            foreign |= {key for name in plugin_names("router") for key in plugin_schema("router", name)}
        own = {key: value for key, value in given.items() if key not in foreign}
        for key in own:
            owners = [] if key in self._defaults else [n for n in model_names() if key in model_settings(n)]
            if owners:
                raise UserError(f"{source}: {key} is a setting of {', '.join(owners)}, not of {model}")
        check_keys(own, self.schema, source)
        return own

    def _foreign_teacher_keys(self, given: Mapping[str, Any], source: str) -> set[str]:
        """The given settings of teachers that are not asked: of all, if none can be, else of one named in vain."""
        owners = {key: name for name in teacher_names() for key in teacher_settings(name)}
        foreign = {key for key in given if key in owners and key not in self._defaults}
        may_ask = self.uses_knowledge or "answered_by" in self._model_defaults
        named = {given[key] for key in ("teacher", "answered_by") if key in given} - {*self._asked, STUDENT}
        if foreign and may_ask and not named:
            key, asked = min(foreign), " and ".join(self._asked) or f"{STUDENT} (answered_by)"
            raise UserError(f"{source}: {key} is a setting of the teacher {owners[key]}, not of {asked}")
        return foreign

    def _set_run_folder(self) -> None:
        final = self.final_config_dict
        hashed = json.dumps(self.computing(self.settings), sort_keys=True)
        digest = hashlib.sha256(hashed.encode()).hexdigest()[:8]
        final["run_name"] = str(final["run_name"] or f"{self.model}-seed{final['seed']}-{digest}")
        default = Path(final["output_dir"]) / self.dataset / self.model
        final["checkpoint_dir"] = str(final["checkpoint_dir"] or default)


def is_knowledge_setting(key: str) -> bool:
    """Whether a setting is about teachers and what they are asked for."""
    return key == "teacher" or key.startswith(("teacher_", "knowledge_", "pattern_", "rule_", "thought_"))


def _check_no_secret(base_url: str | None, key_variable: str | None) -> None:
    """Refuse settings that carry a secret, without repeating it: they would be printed and saved."""
    if base_url is not None:
        checked_address(base_url)
    if key_variable is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key_variable):
        raise UserError(
            "teacher_key_variable: has to be the name of an environment variable, such as OPENAI_API_KEY; the key "
            "itself is never a setting"
        )


def _only_model(given: Any) -> str:
    names = model_list(given, "model")
    if len(names) != 1:
        raise UserError(f"model: one run has one model, not {', '.join(names) or 'none'}; compare_models runs several")
    return str(names[0])


def shared_schema() -> dict[str, Setting]:
    """The settings of every model: RecBole's own that can be set, then those of ``properties/overall.yaml``."""
    stock = Path(recbole.__file__).parent / "properties"
    files = (stock / "overall.yaml", stock / "dataset" / "sample.yaml", properties_folder() / "overall.yaml")
    return {key: each for key, each in joined(*map(read_schema, files)).items() if key not in REFUSED}


def model_list(given: Any, source: str) -> list[str]:
    """The names in a setting ``model``: a list, or a text with commas between. Raises UserError."""
    names: list[str] = shared_schema()["model"].check(given, source)
    return names


def _values(schema: Schema) -> dict[str, Any]:
    return {key: setting.default for key, setting in schema.items()}


def _for_model(values: dict[str, Any], model: str, source: str) -> dict[str, Any]:
    """A data set's settings for a model: those for all, then those under its name in ``models``."""
    own = values.pop("models", {})
    if not isinstance(own, dict) or not all(isinstance(each, dict) for each in own.values()):
        raise UserError(f"{source}: models is written as {{RouteDK: {{epochs: 2}}, ...}}")
    known = model_names()
    if unknown := [name for name in own if name not in known]:
        raise UserError(f"{source}: models: there is no model {unknown[0]!r}.{did_you_mean(str(unknown[0]), known)}")
    return {**values, **own.get(model, {})}


def shared_setting(
    key: str,
    config_file_list: Sequence[str | Path] | None = None,
    config_dict: Mapping[str, Any] | None = None,
    command_line: Mapping[str, Any] | None = None,
) -> Any:
    """The value of a key of ``properties/overall.yaml`` before any model is chosen."""
    setting = shared_schema()[key]
    value = copy.deepcopy(setting.default)
    files = [(str(path), load_yaml(Path(path))) for path in config_file_list or ()]
    for source, given in [*files, ("config_dict", config_dict or {}), ("command line", command_line or {})]:
        if key in given:
            value = setting.check(given[key], source)
    return value
