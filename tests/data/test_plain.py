"""What people give for a session is read as they mean it, or refused with the reason."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_routedk.data.plain import BadSessionError, plain_bundles, plain_session, title_id
from recbole_routedk.data.session import Item, Session

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["items", "title", "item_id", "bundles"]), inner),
    max_leaves=12,
)


def test_titles_are_a_session() -> None:
    plain = plain_session(["Tripod", "Camera bag", ""], "line-7")

    assert plain.session.session_id == "line-7"
    assert [item.title for item in plain.session.items] == ["Tripod", "Camera bag", ""]
    expected = "t-" + hashlib.sha256(b"Tripod").hexdigest()[:16]
    assert plain.session.items[0].item_id == title_id("Tripod") == expected


def test_a_mapping_has_ids_and_categories() -> None:
    value = {
        "session_id": 12,
        "items": ["Tripod", {"item_id": 3, "title": "Bag", "categories": ["Cameras > Bags", ""], "price": 5}],
        "user": "left alone",
    }

    assert plain_session(value, "x").session == Session(
        "12", (Item(title_id("Tripod"), "Tripod"), Item("3", "Bag", ("Cameras > Bags",)))
    )


def test_a_repeated_item_keeps_its_first_place_and_bundles_follow() -> None:
    value = {"items": ["Tea", "Cup", "Tea", "Pot"], "bundles": [[2, 3], [1, 3]], "intents": ["tea time", "table"]}
    plain = plain_session(value, "x")

    assert [item.title for item in plain.session.items] == ["Tea", "Cup", "Pot"]
    assert plain.repeated == 1
    assert plain_bundles(value, plain) == [(frozenset({0, 2}), "tea time"), (frozenset({1, 2}), "table")]


def test_bundles_may_name_item_ids() -> None:
    value = {"items": [{"item_id": "a", "title": "Tea"}, {"item_id": "b", "title": "Cup"}], "bundles": [["b", "a"]]}

    assert plain_bundles(value, plain_session(value, "x")) == [(frozenset({0, 1}), "")]


def test_a_number_in_a_bundle_is_a_place_or_an_id_that_is_a_number() -> None:
    items = [{"item_id": 4711, "title": "Tea"}, {"item_id": 1, "title": "Cup"}, {"item_id": "2", "title": "Pot"}]
    by_id, by_place = ({"items": items, "bundles": [bundle]} for bundle in ([4711, 1], [0, 2]))

    assert plain_bundles(by_id, plain_session(by_id, "x")) == [(frozenset({0, 1}), "")]
    assert plain_bundles(by_place, plain_session(by_place, "x")) == [(frozenset({0, 2}), "")]  # "2" is a text


def test_a_number_that_names_two_items_is_refused() -> None:
    items = [{"item_id": 2, "title": "Milk"}, {"item_id": 1, "title": "Bread"}, {"item_id": 0, "title": "Soap"}]
    value = {"items": items, "bundles": [[2, 1]]}
    with pytest.raises(BadSessionError, match="bundle member 2 is a place and, for another item, an item id"):
        plain_bundles(value, plain_session(value, "x"))


def test_null_is_nothing() -> None:
    value = {"items": [{"title": "Tea", "categories": [None, "Food"]}, "Cup"], "bundles": [[0, 1]], "intents": [None]}
    plain = plain_session(value, "x")
    assert plain.session.items[0].categories == ("Food",)
    assert plain_bundles(value, plain) == [(frozenset({0, 1}), "")]


@pytest.mark.parametrize(
    "value, reason",
    [
        ("Tripod", "is no session"),
        (7, "is no session"),
        ({"item": ["Tripod"]}, "is no session"),
        ([], "has no item"),
        (["Tripod", 3], "item 1 is no text but int"),
        ([{"item_id": "a"}], "item 0 has no title"),
        ([{"title": "Tea", "item_id": " "}], "the item_id of item 0 is empty"),
        ([{"title": "Tea", "item_id": True}], "the item_id of item 0 is no text but bool"),
        ([{"title": "Tea", "categories": "Food"}], "the categories of item 0 have to be a list"),
        (["half \ud800"], "item 0 holds half a character"),
        ({"items": ["Tea"], "session_id": ["x"]}, "session_id is no text but list"),
    ],
)
def test_what_is_no_session_is_refused_with_the_reason(value: Any, reason: str) -> None:
    with pytest.raises(BadSessionError, match=reason):
        plain_session(value, "x")


@pytest.mark.parametrize(
    "fields, reason",
    [
        ({"bundles": [[0, 2]]}, "bundle member 2 is no place below 2"),
        ({"bundles": [["Mug"]]}, "bundle member 'Mug' is no"),
        ({"bundles": [[True, 0]]}, "bundle member True is no"),
        ({"bundles": [3]}, "a bundle has to be a list"),
        ({"bundles": "01"}, "have to be lists"),
        ({"bundles": [[0, 1]], "intents": ["a", "b"]}, "1 bundles and 2 intents"),
    ],
)
def test_bundles_that_are_none_are_refused(fields: dict[str, Any], reason: str) -> None:
    value = {"items": ["Tea", "Cup"]} | fields
    with pytest.raises(BadSessionError, match=reason):
        plain_bundles(value, plain_session(value, "x"))


@given(json_values)
def test_any_value_is_a_session_or_is_refused(value: Any) -> None:
    with suppress(BadSessionError):
        plain = plain_session(value, "x")
        assert len({item.item_id for item in plain.session.items}) == len(plain.session) >= 1
