"""Files of your own, in a folder that $RECBOLE_ROUTEDK_PLUGINS names, stand beside those of the package."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from toy import toy_splits

from recbole_routedk.cli.run import help_text
from recbole_routedk.config import Config
from recbole_routedk.data.atomic import write_atomic
from recbole_routedk.errors import UserError
from recbole_routedk.evaluation.recbole_metrics import register_metrics, result_keys
from recbole_routedk.plugins import PLUGINS_VARIABLE
from recbole_routedk.registry import model_names, resolve_model

METRIC = """\
from recbole_routedk.evaluation.metric_base import BundleMetric


class {name}(BundleMetric):
    result_key = "{key}"
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders of your own; the second is the one that tests write to."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setenv(PLUGINS_VARIABLE, os.pathsep.join(map(str, folders)))
    monkeypatch.setattr(sys, "path", [*sys.path])
    return folders[1]


def test_a_model_of_your_own_is_one_beside_ours(own: Path) -> None:
    write(own, {"model/Odd.yaml": "model_class: odd_model_file:Odd\n", "odd_model_file.py": "class Odd: ...\n"})

    assert {"Odd", "RouteDK"} <= set(model_names())
    assert resolve_model("Odd").__name__ == "Odd"


def test_settings_of_a_data_set_may_lie_there(own: Path, tmp_path: Path) -> None:
    write(own, {"dataset/toy.yaml": "eval_batch_size: 3\n"})
    write_atomic(tmp_path / "data" / "toy", "toy", toy_splits())

    config = Config("FirstTwo", "toy", config_dict={"data_path": str(tmp_path / "data")})

    assert config["eval_batch_size"] == 3


def test_a_router_of_your_own_has_settings_of_its_own(own: Path, tmp_path: Path) -> None:
    text = "# loud: for noise.\nrouter_class: loud:Loud\nrouter_volume: 2 # (int, from 1) how loud\n"
    write(own, {"router/loud.yaml": text})
    write_atomic(tmp_path / "data" / "toy", "toy", toy_splits())
    given = {"data_path": str(tmp_path / "data"), "router": "loud", "router_volume": 5}

    assert Config("RouteDK", "toy", config_dict=given)["router_volume"] == 5
    told = " ".join(help_text().split())
    assert "loud for noise. softmax every expert" in told
    assert "--router_volume=2 a whole number, at least 1: how loud [loud]" in told
    # A baseline beside it has no router, and takes the settings of one for its companion's.
    assert "router_volume" not in Config("FirstTwo", "toy", config_dict=given, companions=["RouteDK"]).settings
    with pytest.raises(UserError, match="no setting 'router_volume'"):
        Config("RouteDK", "toy", config_dict=given | {"router": "softmax"})
    with pytest.raises(UserError, match="router_volume has to be a whole number, at least 1"):
        Config("RouteDK", "toy", config_dict=given | {"router_volume": 0})


def test_a_folder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLUGINS_VARIABLE, "/nowhere/at/all")

    with pytest.raises(UserError, match=r"RECBOLE_ROUTEDK_PLUGINS: there is no folder /nowhere/at/all"):
        model_names()


def test_no_file_of_your_own_takes_the_place_of_ours(own: Path) -> None:
    write(own, {"model/RouteDK.yaml": "model_class: other:RouteDK\n"})

    with pytest.raises(UserError, match=r"second/model/RouteDK.yaml: there is a model of this name already"):
        model_names()


def test_a_metric_of_your_own_is_registered(own: Path) -> None:
    text = METRIC.format(name="Registered", key="registered") + "    smaller = True\n"
    write(own, {"metric/Registered.yaml": "metric_class: registered:Registered\n", "registered.py": text})

    register_metrics()

    from recbole.evaluator.register import metrics_dict, smaller_metrics

    assert result_keys()["registered"] == "registered"
    assert metrics_dict["registered"].__name__ == "Registered"
    assert "registered" in smaller_metrics


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("NDCG", METRIC.format(name="NDCG", key="ours"), "metric NDCG: there is one of this name"),
        ("Second", METRIC.format(name="Second", key="matchedf1"), "or of its result_key, already; rename yours"),
        ("Other", METRIC.format(name="Another", key="another").replace("Another", "Wrong"), "names .*, which does not"),
        ("Plain", "class Plain: ...\n", "has to be a BundleMetric called Plain"),
    ],
)
def test_what_cannot_be_a_metric_is_told(own: Path, name: str, text: str, message: str) -> None:
    write(own, {f"metric/{name}.yaml": f"metric_class: of_{name}:{name}\n", f"of_{name}.py": text})

    with pytest.raises(UserError, match=message):
        register_metrics()
