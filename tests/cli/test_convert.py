"""``convert`` takes a public folder to a data set that reads back, and says what it did."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from recbole_routedk.cli import convert
from recbole_routedk.data.atomic import read_atomic
from recbole_routedk.errors import UserError

FILES = {
    "session_item.csv": "session ID,item ID\n1,10\n1,20\n2,20\n2,30\n3,10\n3,30\n4,10\n4,20\n",
    "session_bundle.csv": "session ID,bundle ID\n1,0\n2,1\n3,2\n",
    "bundle_item.csv": "bundle ID,item ID\n0,10\n0,20\n1,20\n1,30\n2,10\n2,30\n",
    "bundle_intent.csv": "bundle ID,intent\n0,tea\n1,sweet\n2,snack\n",
    "item_titles.csv": 'item ID,titles\n10,Green tea\n20,"Honey, 1 lb"\n30,☕ cup\n',
    "item_categories.csv": 'item ID,categories\n10,"[[Food,Coffee, Tea & Cocoa]]"\n',
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "pantry"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    convert.add_arguments(parser)
    return convert.main(parser.parse_args(arguments))


def test_a_folder_becomes_a_data_set(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"--input={source}", f"--output={tmp_path / 'dataset'}", "--name=shelf") == 0
    folder = tmp_path / "dataset" / "shelf"
    splits = read_atomic(folder, "shelf")
    assert sorted(part.session.session_id for part in splits.all()) == ["1", "2", "3"]
    assert [len(splits.split(name)) for name in ("train", "valid", "test")] == [1, 1, 1]
    printed = capsys.readouterr().out
    assert "pantry: 3 sessions, 3 bundles, 3 items" in printed
    assert "Split: 7:1:2 by session with seed 42, as there is no split.json" in printed
    assert "1  sessions without a bundle: left out (session 4)" in printed
    assert "2  items without a category: kept with none" in printed
    assert str(folder) in printed


def test_the_report_is_kept_beside_the_files(source: Path, tmp_path: Path) -> None:
    run("--input", str(source), "--output", str(tmp_path / "out"))
    report = json.loads((tmp_path / "out" / "pantry" / "conversion.json").read_text(encoding="utf-8"))
    assert report["split_rule"] == "7:1:2 by session with seed 42, as there is no split.json"
    assert report["rows"]["categories_missing"]["count"] == 2


def test_names_and_folder_have_defaults(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("--input=pantry")
    assert (tmp_path / "dataset" / "pantry" / "pantry.item").exists()


def test_the_other_spellings_do_the_same(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(f"--input_path={source}", "--output_path", str(out), "--dataset", "a", "--seed", "3")
    run(f"--input={source}", f"--output={out}", "--name=b", "--seed=3")
    assert read_atomic(out / "a", "a") == read_atomic(out / "b", "b")


def test_a_second_conversion_writes_the_same_bytes(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(f"--input={source}", f"--output={out}")
    first = {path.name: path.read_bytes() for path in (out / "pantry").iterdir()}
    run(f"--input={source}", f"--output={out}")
    assert {path.name: path.read_bytes() for path in (out / "pantry").iterdir()} == first


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "two words"])
def test_a_name_that_is_no_folder_name_is_refused(source: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot name a data set"):
        run(f"--input={source}", f"--output={tmp_path / 'out'}", f"--name={name}")


def test_a_broken_file_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    (source / "item_titles.csv").write_text("item ID,titles\n10,Tea, green\n")
    with pytest.raises(UserError, match=r"item_titles\.csv, line 2: has 3 fields"):
        run(f"--input={source}", f"--output={tmp_path / 'out'}")
    assert not (tmp_path / "out").exists()


def test_an_input_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"shop\.jsonl: there is no such file or folder"):
        run(f"--input={tmp_path / 'shop.jsonl'}", f"--output={tmp_path / 'out'}")


def test_an_output_that_is_a_file_is_named(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("here first")
    with pytest.raises(UserError, match=r"out.*cannot be written"):
        run(f"--input={source}", f"--output={tmp_path / 'out'}")
