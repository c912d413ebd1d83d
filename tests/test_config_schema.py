"""The schema in the comments of the YAML files: types, limits and meanings, of every key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_routedk.config_schema import Limits, Setting, joined, read_schema, with_defaults
from recbole_routedk.errors import UserError
from recbole_routedk.literals import load_yaml, properties_folder

OURS = [
    properties_folder() / "overall.yaml",
    *sorted(properties_folder().glob("model/*.yaml")),
    *sorted(properties_folder().glob("teacher/*.yaml")),
    *sorted(properties_folder().glob("router/*.yaml")),
]


def written(tmp_path: Path, text: str) -> dict[str, Setting]:
    """The schema of a file with this text."""
    file = tmp_path / "some.yaml"
    file.write_text(text, encoding="utf-8")
    return dict(read_schema(file))


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_every_key_is_typed_ranged_and_explained_and_its_default_allowed(path: Path) -> None:
    documented = joined(read_schema(OURS[0]), read_schema(path))
    for key in load_yaml(path):
        setting = documented[key]
        if key.endswith("_class"):
            continue
        assert len(setting.types) == 1, key
        assert setting.limits != Limits() or setting.types[0] not in (int, float), key
        assert setting.meaning, key
        assert setting.check(setting.default, "the file") == setting.default, key


def test_a_key_of_several_files_has_the_same_type_in_all() -> None:
    types: dict[str, Any] = {}
    for path in OURS:
        for key, setting in read_schema(path).items():
            assert types.setdefault(key, setting.types) == setting.types, (path, key)


def test_a_comment_says_type_limits_and_meaning(tmp_path: Path) -> None:
    schema = written(
        tmp_path,
        "share: 1             # (float, 0 to 1) of all\n"
        "steps: 3   # (int, from 2) walked\n"
        "heat: 2.5  # (float, above 0)\n"
        "kind: a    # (str, a|b+c) which\n"
        "kinds: [a] # (list, one or more of a|b) which\n"
        "free: ~    # (str) a name (of anything)\n"
        "undocumented: 7\n"
        "several:   # (dict) more\n"
        "  inner: 1 # (int) not a key\n",
    )

    assert set(schema) == {"share", "steps", "heat", "kind", "kinds", "free", "undocumented", "several"}
    assert {key: setting.allowed() for key, setting in schema.items()} == {
        "share": "a number from 0 to 1",
        "steps": "a whole number, at least 2",
        "heat": "a number, above 0",
        "kind": "one of a, b+c",
        "kinds": "one or more of a, b",
        "free": "text",
        "undocumented": "a whole number",
        "several": "a mapping such as {a: 1}",
    }
    assert schema["free"].meaning == "a name (of anything)"


def test_the_documented_type_rules_not_that_of_the_default(tmp_path: Path) -> None:
    alpha = written(tmp_path, "alpha: 16  # (float, above 0) scale\n")["alpha"]

    assert alpha.check("16.5", "here") == 16.5
    assert alpha.check("16", "here") == 16


@pytest.mark.parametrize(
    "comment, good, bad",
    [
        ("(float, 0 to 1)", [0, 1, 0.5, "0.5", "1e-3"], [-0.1, 1.1, "2", ".nan", ".inf", True, "x", None, [0.5]]),
        ("(int, from 2)", [2, "3", 10**9], [1, "1", 2.5, "2.5", True, "", "two", None]),
        ("(float, above 0)", [1e-9, "3"], [0, "-1", ".nan"]),
        ("(str, a|b+c)", ["a", "b+c"], ["", "A", "a|b", "c", 3, True]),
        ("(list, a|b)", ["a", "a,b", "[a, b]", ["b"], [], "[]"], ["c", "a,c", [1], {"a": 1}]),
        ("(list, one or more of a|b)", ["a", ["a", "b"]], ["[]", [], "c"]),
        ("(dict, a|b)", ["{a: 1}", {"b": 2}, {}, None], ["{c: 1}", "a", ["a"]]),
        ("(str)", ["x", "12", 12, "None", "[a"], [True, 1.5, ["x"]]),
        ("(bool)", [True, "False", "yes"], ["perhaps", 1, "1", 0.0]),
    ],
)
def test_values_are_taken_or_refused(tmp_path: Path, comment: str, good: list[Any], bad: list[Any]) -> None:
    default = {"(d": "{}", "(l": "[]", "(b": "True", "(s": "text"}.get(comment[:2], "1")
    setting = written(tmp_path, f"key: {default}  # {comment} meaning\n")["key"]

    for value in good:
        setting.check(value, "here")
    for value in bad:
        with pytest.raises(UserError, match="here: key has to be") as error:
            setting.check(value, "here")
        assert setting.allowed() in str(error.value)
        assert repr(value) in str(error.value)


@given(low=st.integers(0, 50), width=st.integers(0, 50), value=st.integers(-100, 200))
def test_a_range_holds_what_lies_between_its_ends(low: int, width: int, value: int) -> None:
    setting = Setting("key", low, (int,), Limits.read(f"{low} to {low + width}"))

    if low <= value <= low + width:
        assert setting.check(str(value), "here") == value
    else:
        with pytest.raises(UserError):
            setting.check(str(value), "here")


SOME = Setting("share", 0.5, (float,), Limits.read("0 to 1"))
CHOICE = Setting("kind", "a", (str,), Limits.read("a|b"))
PARTS = Setting("parts", [], (list,), Limits.read("a|b"))


@given(st.text(max_size=30), st.sampled_from([SOME, CHOICE, PARTS]))
def test_any_text_gives_an_allowed_value_or_a_user_error(text: str, setting: Setting) -> None:
    try:
        value = setting.check(text, "here")
    except UserError:
        return
    assert type(value) in setting.types
    assert setting.limits.holds(value)


def test_a_later_file_keeps_what_it_does_not_say(tmp_path: Path) -> None:
    first = written(tmp_path, "rate: 0.1  # (float, from 0) of learning\n")
    (tmp_path / "own.yaml").write_text("rate: 0.5  # (float)\n", encoding="utf-8")

    rate = joined(first, read_schema(tmp_path / "own.yaml"))["rate"]

    assert (rate.default, rate.meaning, rate.limits.low) == (0.5, "of learning", 0)


def test_other_defaults_are_checked_too(tmp_path: Path) -> None:
    schema = written(tmp_path, "rate: 0.1  # (float, from 0) of learning\n")

    assert with_defaults(schema, {"rate": 2}, "data.yaml")["rate"].default == 2.0
    with pytest.raises(UserError, match=r"data.yaml: rate has to be a number, at least 0, not -1"):
        with_defaults(schema, {"rate": -1}, "data.yaml")


def test_limits_that_are_none_are_an_error_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"some.yaml: in a comment, 'some' are no limits"):
        written(tmp_path, "rate: 0.1  # (float, some) of learning\n")


def test_a_number_for_text_is_refused_where_yaml_may_have_changed_it(tmp_path: Path) -> None:
    revision = written(tmp_path, "revision: ~  # (str) a commit\n")["revision"]

    assert revision.check(1234567, "my.yaml") == "1234567"
    with pytest.raises(UserError, match=r"put it into quotes"):
        revision.check(12e67, "my.yaml")  # written as 12e67
