"""Further fields of items, such as a brand or a price: from every form of input to what models read."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from recbole_routedk import BundleGenerator, UserError, run_recbole_routedk
from recbole_routedk.cli.dispatch import main
from recbole_routedk.config import Config
from recbole_routedk.data.atomic import SplitSessions, read_atomic, write_atomic
from recbole_routedk.data.from_jsonl import read_jsonl
from recbole_routedk.data.plain import BadSessionError, plain_session
from recbole_routedk.data.prompts import PromptEncoder
from recbole_routedk.data.public import read_public
from recbole_routedk.data.recbole_sessions import FieldNames, RecBoleSessions
from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.student.backbone import embedded_folder

FIELDS = ("brand", "price")
TRIPOD = {"item_id": "a", "title": "Tripod", "brand": "Acme", "price": 19.9, "stock": 7}


def splits_of(*items: Item) -> SplitSessions:
    one = LabelledSession(Session("s", items), (frozenset({0, 1}),), ("",))
    return SplitSessions((one,), (), ())


def test_models_read_the_title_and_what_the_fields_say() -> None:
    assert Item("a", "Tripod", (), (("brand", "Acme"), ("colour", ""), ("price", "19.9"))).text == "Tripod, Acme, 19.9"
    assert Item("a", "Tripod", (), (("brand", ""),)).text == "Tripod"


def test_fields_are_read_of_a_mapping_where_they_are_asked_for() -> None:
    (item, other) = plain_session({"items": [TRIPOD, "Bag"]}, "x", FIELDS).session.items

    assert item.fields == (("brand", "Acme"), ("price", "19.9"))
    assert other.fields == (("brand", ""), ("price", ""))
    assert plain_session({"items": [TRIPOD]}, "x").session.items[0].fields == ()
    assert plain_session({"items": [TRIPOD]}, "x", ["size"]).session.items[0].fields == (("size", ""),)


@pytest.mark.parametrize("value", [["Acme"], {"name": "Acme"}, True, "\ud83d"])
def test_a_field_is_a_text_or_a_number(value: Any) -> None:
    with pytest.raises(BadSessionError, match="brand of item 0"):
        plain_session({"items": [TRIPOD | {"brand": value}]}, "x", FIELDS)


@given(st.lists(st.text(), min_size=2, max_size=2), st.lists(st.text(), min_size=2, max_size=2))
def test_atomic_files_give_fields_back(tmp_path_factory: pytest.TempPathFactory, first: Any, second: Any) -> None:
    folder = tmp_path_factory.mktemp("atomic")
    items = [
        Item(str(n), f"title {n}", (), tuple(zip(FIELDS, own, strict=True))) for n, own in enumerate((first, second))
    ]

    write_atomic(folder, "a", splits_of(*items))

    assert read_atomic(folder, "a", FIELDS) == splits_of(*items)
    (price_alone,) = read_atomic(folder, "a", ["price"]).train
    assert [item.fields for item in price_alone.session.items] == [(("price", own[1]),) for own in (first, second)]
    (titles_alone,) = read_atomic(folder, "a").train
    assert all(item.fields == () for item in titles_alone.session.items)


def test_a_column_that_is_missing_or_taken_is_told(tmp_path: Path) -> None:
    write_atomic(tmp_path, "a", splits_of(Item("1", "Tripod", (), (("brand", "Acme"),)), Item("2", "Bag")))

    with pytest.raises(UserError, match=r"a\.item, line 1: item_fields wants the column 'price'.*--item_fields=brand"):
        read_atomic(tmp_path, "a", FIELDS)
    for names in (["title"], ["brand", "brand"], ["a b"], [""]):
        with pytest.raises(UserError, match="is no further field of an item"):
            read_atomic(tmp_path, "a", names)


def test_json_lines_keep_fields_that_do_not_contradict_each_other(tmp_path: Path) -> None:
    lines = [{"items": [TRIPOD, "Bag", f"Mat {n}"], "bundles": [[0, 1]]} for n in range(4)]
    path = tmp_path / "shop.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")

    assert {each.session.items[0].fields for each in read_jsonl(path, 1, FIELDS)[0].all()} == {
        (("brand", "Acme"), ("price", "19.9"))
    }
    lines[2]["items"] = [TRIPOD | {"price": 5}, "Bag", "Mat 2"]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert read_jsonl(path, 1, ["brand"])[0].all()
    with pytest.raises(UserError, match=r"line 3: item 'a' had another title, other categories or other fields"):
        read_jsonl(path, 1, FIELDS)


def test_csv_files_have_them_beside_the_titles(tmp_path: Path) -> None:
    files = {
        "session_item.csv": "session ID,item ID\n" + "".join(f"{n},1\n{n},2\n" for n in range(4)),
        "session_bundle.csv": "session ID,bundle ID\n" + "".join(f"{n},{n}\n" for n in range(4)),
        "bundle_item.csv": "bundle ID,item ID\n" + "".join(f"{n},1\n{n},2\n" for n in range(4)),
        "item_titles.csv": "item ID,titles,Brand\n1,Tripod,Acme\n2,Bag,\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    splits, report = read_public(tmp_path, 1, ["brand"])

    assert {item.text for each in splits.all() for item in each.session.items} == {"Tripod, Acme", "Bag"}
    assert report.counts == read_public(tmp_path, 1)[1].counts  # a row counts once
    with pytest.raises(UserError, match=r"item_titles\.csv, line 1: needs the column 'price'"):
        read_public(tmp_path, 1, FIELDS)


def test_recbole_data_sets_have_them_beside_the_titles(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "r.inter").write_text("session_id:token\titem_id:token\n1\ta\n1\tb\n", encoding="utf-8")
    (tmp_path / "r" / "r.item").write_text(
        "item_id:token\tname:token_seq\tbrand:token\na\tTripod\tAcme\nb\tBag\t\n", encoding="utf-8"
    )
    source = RecBoleSessions(tmp_path / "r", FieldNames(item_fields=("brand",)))

    (session,) = [source.session(number, entry) for number, entry in source.entries()]

    assert [item.text for item in session.items] == ["Tripod, Acme", "Bag"]
    with pytest.raises(UserError, match=r"r\.item, line 1: has no column size.*--item_fields="):
        RecBoleSessions(tmp_path / "r", FieldNames(item_fields=("size",)))


def test_texts_of_a_foreign_file_with_our_columns_stand_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "r.inter").write_text("session_id:token\titem_id:token\n1\ta\n", encoding="utf-8")
    (tmp_path / "r" / "r.item").write_text(
        "item_id:token\ttitle:token\tcategories:token\tbrand:token\na\tC:\\dir\t\tA\\B\n", encoding="utf-8"
    )
    source = RecBoleSessions(tmp_path / "r", FieldNames(item_fields=("brand",)))

    (session,) = [source.session(number, entry) for number, entry in source.entries()]

    assert session.items[0].text == "C:\\dir, A\\B"


def test_a_long_title_leaves_room_in_the_prompt_for_what_the_fields_say() -> None:
    tokenizer = AutoTokenizer.from_pretrained(embedded_folder())
    prompts = PromptEncoder(tokenizer, title_tokens=4, max_items=9)
    item = Item("a", "One two three four five six", (), (("brand", "Acme\n B: x"), ("price", "19 EUR and more")))

    shown = tokenizer.decode(prompts.items(Session("s", (item, Item("b", "Bag")))))

    assert shown == " A: One two three four, Acme B:\n B: Bag\n"  # four tokens each, on one line


def test_runs_without_fields_are_named_as_before_there_were_any(toy_data: Path) -> None:
    plain, fields = (
        Config("TitleCluster", "toy", config_dict={"data_path": str(toy_data)} | given)
        for given in ({}, {"item_fields": ["brand"]})
    )

    assert "item_fields" not in plain.computing(plain.settings)
    assert plain["run_name"] != fields["run_name"]
    assert fields.changed_model_settings() == {"item_fields": ["brand"]}


def test_what_titles_do_not_tell_fields_tell_from_training_to_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw, kinds = random.Random(5), ("camera and lens", "garden hose and rake", "baby bottle")
    lines = []
    for number in range(30):
        said = draw.sample([kinds[0], kinds[0], kinds[1], kinds[1], kinds[2]], 5)
        items = [{"item_id": f"{number}.{n}", "title": f"Article {n}", "use": use} for n, use in enumerate(said)]
        bundles = [[n for n, use in enumerate(said) if use == kind] for kind in kinds[:2]]
        lines.append({"items": items, "bundles": bundles})
    Path("shop.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    quiet: dict[str, Any] = {"data_path": "dataset", "show_progress": False, "state": "ERROR"}

    assert main(["convert", "--input=shop.jsonl", "--item_fields=use"]) == 0
    blind = run_recbole_routedk("TitleCluster", "shop", config_dict=quiet)
    told = run_recbole_routedk("TitleCluster", "shop", config_dict=quiet | {"item_fields": ["use"]})

    assert blind["test_result"]["matchedf1"] < 0.8
    assert told["test_result"]["matchedf1"] == 1.0
    generator = BundleGenerator.from_pretrained(told["run_folder"])
    answered = [answer.bundles for answer in generator.generate(lines[:9])]
    assert answered == [tuple(sorted(map(frozenset, line["bundles"]), key=sorted)) for line in lines[:9]]
    Path("new.jsonl").write_text(json.dumps({"items": lines[0]["items"]}), encoding="utf-8")
    assert main(["generate", f"--run={told['run_folder']}", "--input=new.jsonl", "--output=out.jsonl"]) == 0
    (bundles,) = [json.loads(line)["bundles"] for line in Path("out.jsonl").read_text("utf-8").splitlines()]
    assert {frozenset(item["item_id"] for item in each["items"]) for each in bundles} == {
        frozenset(f"0.{n}" for n in bundle) for bundle in lines[0]["bundles"]
    }
    assert {item["title"] for each in bundles for item in each["items"]} <= {f"Article {n}" for n in range(5)}
