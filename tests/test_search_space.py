"""Search spaces: the files that ship, and both ways to write one."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_routedk.config import UNHASHED, Config
from recbole_routedk.errors import UserError
from recbole_routedk.literals import properties_folder
from recbole_routedk.registry import model_names, model_settings
from recbole_routedk.search_space import check_space, read_space


@pytest.mark.parametrize("name", [name for name in model_names() if model_settings(name)])
def test_every_model_with_settings_has_a_search_space(name: str) -> None:
    space, source = read_space(name)

    check_space(space, Config(name, "bundle-mini").schema, UNHASHED, source)
    assert 1 <= sum(map(len, space.values())) <= 8


def test_every_search_space_is_that_of_a_model() -> None:
    spaces = {path.stem for path in (properties_folder() / "tuning").glob("*.yaml")}

    assert spaces <= set(model_names())


def test_recboles_lines_and_yaml_say_the_same(tmp_path: Path) -> None:
    lines, settings = tmp_path / "space.txt", tmp_path / "space.yaml"
    lines.write_text(
        "# mine\nlearning_rate loguniform -8,0\n\nhidden choice [64, 128]\ndropout uniform 0, 0.5\n"
        "layers quniform 1,3,1\n",
        encoding="utf-8",
    )
    settings.write_text(
        "loguniform: {learning_rate: [-8, 0]}\nchoice:\n  hidden: [64, 128]\nuniform: {dropout: [0, 0.5]}\n"
        "quniform: {layers: [1, 3, 1]}\n",
        encoding="utf-8",
    )

    assert read_space("Freq", lines)[0] == read_space("Freq", settings)[0]
    assert read_space("Freq", lines)[0]["loguniform"] == {"learning_rate": [-8, 0]}


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("a.txt", "x uniform\n", "a.txt, line 1: has to read 'setting kind values'"),
        ("a.txt", "x normal 0,1\n", "line 1: .*one of choice, uniform, quniform, loguniform"),
        ("a.txt", "x uniform 0,1\nx choice [1]\n", "line 2: x stands there twice"),
        ("a.txt", "x uniform 1,0\n", r"x has to be \[low, high\] with low < high, not \[1, 0\]"),
        ("a.txt", "x choice __import__('os')\n", "x has to be a list"),
        ("a.yaml", "x: [0, 1]\n", "has to hold settings below choice, uniform, quniform, loguniform, not 'x'"),
        ("a.yaml", "quniform: {x: [0, 1]}\n", r"\[low, high, step\]"),
        ("a.yaml", "choice: {x: 3}\nuniform: {y: [0, 1]}\n", "x has to be a list, not 3"),
        ("a.yaml", "choice: {x: [3]}\nuniform: {x: [0, 1]}\n", "x stands there twice"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")

    with pytest.raises(UserError, match=message):
        read_space("Freq", path)


@pytest.mark.parametrize(
    "line, message",
    [
        ("min_suport uniform 0,1", "Did you mean 'min_support'"),
        ("seed choice [1,2]", "seed is not to be searched"),
        ("output_dir choice [a,b]", "output_dir is not to be searched"),
        ("category_depth choice [1,many]", "category_depth has to be a whole number, at least 1, not 'many'"),
    ],
)
def test_what_a_model_does_not_take_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "space.txt"
    path.write_text(line, encoding="utf-8")
    space, source = read_space("Freq", path)

    with pytest.raises(UserError, match=message):
        check_space(space, Config("Freq", "bundle-mini").schema, UNHASHED, source)


def test_a_model_without_a_space_is_told_where_to_write_one() -> None:
    with pytest.raises(UserError, match=r"WholeSession has no search space: write .*tuning/WholeSession.yaml"):
        read_space("WholeSession")
