"""The embedded data set: the committed files are what the script makes, and they are what they claim."""

from __future__ import annotations

import csv
import runpy
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from recbole_routedk.data.atomic import SplitSessions, read_atomic
from recbole_routedk.data.session import Bundle, Item, LabelledSession, drop_redundant_bundles

FOLDER = Path(__file__).resolve().parents[2] / "dataset" / "bundle-mini"
FILES = [f"bundle-mini.{kind}" for kind in ("item", "bundle", "train.inter", "valid.inter", "test.inter")]
DEPARTMENTS = {"Electronics", "Home & Kitchen", "Sports & Outdoors"}


@pytest.fixture(scope="module")
def splits() -> SplitSessions:
    return read_atomic(FOLDER, "bundle-mini")


@pytest.fixture(scope="module")
def catalogue() -> list[dict[str, str]]:
    rows = []
    for name in ("electronics", "home-kitchen", "sports-outdoors"):
        rows += _read_table(FOLDER / "catalog" / f"{name}.tsv")
    return rows


@pytest.fixture(scope="module")
def intent_of_phrase() -> dict[str, str]:
    rows = _read_table(FOLDER / "catalog" / "intents.tsv")
    return {phrase: row["intent"] for row in rows for phrase in row["phrases"].split("|")}


def test_committed_files_are_what_the_script_makes(tmp_path: Path) -> None:
    _make(["--seed", "42", "--out", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


def test_another_seed_makes_other_sessions(tmp_path: Path, splits: SplitSessions) -> None:
    _make(["--seed", "7", "--out", str(tmp_path)])
    other = read_atomic(tmp_path, "bundle-mini")
    assert not _contents(other.all()) & _contents(splits.all())
    assert [len(other.train), len(other.valid), len(other.test)] == [60, 20, 40]


def test_catalogue_has_hand_written_titles_of_three_departments(catalogue: list[dict[str, str]]) -> None:
    titles = [row["title"] for row in catalogue]
    assert len(titles) >= 600
    assert len({title.casefold() for title in titles}) == len(titles)
    assert all(4 <= len(title.split()) <= 16 for title in titles)
    assert {row["category"].split(" > ")[0] for row in catalogue} == DEPARTMENTS


def test_every_intent_has_enough_titles_and_phrases_of_its_own(
    catalogue: list[dict[str, str]], intent_of_phrase: dict[str, str]
) -> None:
    titles = Counter(intent for row in catalogue for intent in row["intents"].split(","))
    phrases = Counter(intent_of_phrase.values())
    assert len(titles) >= 40
    assert set(titles) == set(phrases)
    assert min(titles.values()) >= 14
    assert min(phrases.values()) >= 3


def test_data_set_uses_the_catalogue(splits: SplitSessions, catalogue: list[dict[str, str]]) -> None:
    known = {row["title"]: row["category"] for row in catalogue}
    items = _items(splits.all())
    assert len(items) >= 600
    for item in items:
        assert item.categories in ((), (known[item.title],))


def test_splits_and_sessions_have_the_promised_sizes(splits: SplitSessions) -> None:
    assert [len(splits.train), len(splits.valid), len(splits.test)] == [60, 20, 40]
    assert {len(labelled.session) for labelled in splits.all()} == set(range(3, 11))
    assert {len(labelled.bundles) for labelled in splits.all()} == {1, 2, 3}
    assert any(_outside(labelled) for labelled in splits.all())


def test_no_session_equals_one_of_another_split(splits: SplitSessions) -> None:
    train, valid, test = (_contents(splits.split(name)) for name in ("train", "valid", "test"))
    assert not train & test
    assert not train & valid
    assert not valid & test


def test_every_intent_is_in_train_and_in_another_split(splits: SplitSessions, intent_of_phrase: dict[str, str]) -> None:
    train = {intent_of_phrase[phrase] for labelled in splits.train for phrase in labelled.intents}
    others = {intent_of_phrase[phrase] for labelled in splits.valid + splits.test for phrase in labelled.intents}
    assert len(train) == 42
    assert others == train


def test_most_test_items_are_unseen_in_training(splits: SplitSessions) -> None:
    test = _items(splits.test)
    assert len(test - _items(splits.train)) > len(test) / 2


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_some_bundles_overlap_and_none_is_within_another(splits: SplitSessions, split: str) -> None:
    sessions = splits.split(split)
    assert any(one & other for labelled in sessions for one, other in combinations(labelled.bundles, 2))
    for labelled in sessions:
        assert drop_redundant_bundles(list(labelled.bundles)) == list(range(len(labelled.bundles)))


def test_bundles_are_exactly_the_items_that_serve_an_intent_together(
    splits: SplitSessions, catalogue: list[dict[str, str]], intent_of_phrase: dict[str, str]
) -> None:
    serves = {row["title"]: row["intents"].split(",") for row in catalogue}
    for labelled in splits.all():
        places: dict[str, set[int]] = {}
        for position, item in enumerate(labelled.session.items):
            for intent in serves[item.title]:
                places.setdefault(intent, set()).add(position)
        expected = {intent: frozenset(found) for intent, found in places.items() if len(found) > 1}
        named = [intent_of_phrase[phrase] for phrase in labelled.intents]
        assert dict(zip(named, labelled.bundles, strict=True)) == expected


def test_a_missing_category_tells_nothing(splits: SplitSessions) -> None:
    inside, outside = Counter[bool](), Counter[bool]()
    for labelled in splits.all():
        noise = _outside(labelled)
        for position, item in enumerate(labelled.session.items):
            (outside if position in noise else inside)[not item.categories] += 1
    assert inside[True] > 0
    assert outside[True] > 0
    assert inside[True] / inside.total() == pytest.approx(outside[True] / outside.total(), abs=0.01)


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize(
    "guess", [lambda size: frozenset(range(size)), lambda size: frozenset({0, 1})], ids=["whole", "first two"]
)
def test_trivial_guesses_score_low(splits: SplitSessions, split: str, guess: Callable[[int], Bundle]) -> None:
    exact, soft = [], []
    for labelled in splits.split(split):
        bundle, gold = guess(len(labelled.session)), labelled.bundles
        # One prediction: 2|P & G| / (|P| + |G|), with the best Jaccard as its soft hit in MatchedF1.
        exact.append(2 * (bundle in gold) / (1 + len(gold)))
        soft.append(2 * max(len(bundle & one) / len(bundle | one) for one in gold) / (1 + len(gold)))
    assert sum(exact) / len(exact) < 0.15
    assert sum(soft) / len(soft) < 0.55


def _make(arguments: list[str]) -> None:
    runpy.run_path(str(FOLDER / "make_bundle_mini.py"))["main"](arguments)


def _read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _items(sessions: tuple[LabelledSession, ...]) -> set[Item]:
    return {item for labelled in sessions for item in labelled.session.items}


def _contents(sessions: tuple[LabelledSession, ...]) -> set[frozenset[str]]:
    return {frozenset(item.title for item in labelled.session.items) for labelled in sessions}


def _outside(labelled: LabelledSession) -> frozenset[int]:
    return frozenset(range(len(labelled.session))).difference(*labelled.bundles)
