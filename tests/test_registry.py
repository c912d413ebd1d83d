"""Names of models and data sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_routedk import plugins, registry
from recbole_routedk.errors import UserError
from recbole_routedk.model.bundle_generator import BundleGenerator


@pytest.mark.parametrize("name", registry.model_names())
def test_every_model_file_names_a_generator(name: str) -> None:
    model = registry.resolve_model(name)

    assert issubclass(model, BundleGenerator)
    assert model.__name__ == name


def test_an_unknown_model_is_answered_with_the_nearest(own_models: Path) -> None:
    with pytest.raises(UserError, match=r"no model 'Treshold'.*Did you mean 'Threshold'"):
        registry.resolve_model("Treshold")


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A properties folder with one model, which lives in a file of its own."""
    (tmp_path / "model").mkdir()
    yaml = "model_class: toy:Threshold\nstart: 3\n"
    (tmp_path / "model" / "Threshold.yaml").write_text(yaml, encoding="utf-8")
    monkeypatch.setattr(plugins, "properties_folder", lambda: tmp_path)
    return tmp_path


def test_a_yaml_file_registers_a_model(own_models: Path) -> None:
    from toy import Threshold

    assert registry.model_names() == ["Threshold"]
    assert registry.resolve_model("Threshold") is Threshold
    assert registry.model_settings("Threshold") == {"start": 3}


@pytest.mark.parametrize(
    "line, message",
    [
        ("start: 3", "needs a line 'model_class: package.module:Class'"),
        ("model_class: toy:Absent", "names toy:Absent, which does not exist"),
        ("model_class: absent_module:Absent", "names absent_module:Absent, which does not exist"),
    ],
)
def test_a_yaml_file_without_its_class_is_named(own_models: Path, line: str, message: str) -> None:
    (own_models / "model" / "Threshold.yaml").write_text(line + "\n", encoding="utf-8")

    with pytest.raises(UserError, match=message) as error:
        registry.resolve_model("Threshold")

    assert "Threshold.yaml" in str(error.value)


def test_data_sets_are_found_in_the_data_path(toy_data: Path) -> None:
    assert "toy" in registry.dataset_names(toy_data)
    assert registry.dataset_folder("toy", toy_data) == toy_data / "toy"


def test_the_embedded_data_set_is_found_from_any_folder(toy_data: Path) -> None:
    assert (registry.dataset_folder("bundle-mini", Path("dataset")) / "bundle-mini.bundle").is_file()
