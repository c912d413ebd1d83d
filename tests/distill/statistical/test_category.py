"""Categories inferred from titles, and that a given category gives nothing away."""

from __future__ import annotations

import numpy as np
from small_store import small_split, without_categories

from recbole_routedk.data.session import Item, Session
from recbole_routedk.distill.encoder import SentenceEncoder
from recbole_routedk.distill.statistical.category import (
    CategoryModel,
    SessionCategories,
    category_label,
    frequent_labels,
    label_phrases,
    leaf,
    useful_depth,
)
from recbole_routedk.distill.statistical.pairs import session_folds


def test_labels_are_paths_cut_at_the_depth() -> None:
    assert category_label("A > B > C", 2) == "A > B"
    assert leaf("A > B") == "B"
    assert frequent_labels([("A > B > C", "A > B > D"), ("E",), ()], 2) == ("A > B", "E")
    assert frequent_labels([(), ()], 2) == ("",)


def test_the_useful_depth_has_six_items_a_label() -> None:
    items = [(f"A > {'B' if number < 6 else 'C'} > {number}",) for number in range(12)]
    assert useful_depth([*items, ()], 4) == 2
    assert useful_depth(items, 1) == 1
    assert useful_depth([("A > B",), ()], 2) == 1


def test_a_phrase_names_the_part_above_where_the_last_part_is_shared() -> None:
    assert label_phrases(["Women > Shoes", "Men > Shoes", "Men > Watches"]) == {
        "Women > Shoes": "Women, Shoes",
        "Men > Shoes": "Men, Shoes",
        "Men > Watches": "Watches",
    }


def test_neighbours_vote_by_closeness_and_the_own_title_never_votes() -> None:
    titles = ["camping tent", "tent for hiking", "hdmi cable", "usb cable"]
    vectors = SentenceEncoder().encode(titles)
    given = [("Wrong",), ("Tents",), ("Cables",), ("Cables",)]
    model = CategoryModel.fit(titles, vectors, given, ("Cables", "Tents", "Wrong"), 1)
    shares = model.infer(["camping tent"], vectors[:1])[0]
    assert shares[2] == 0.0
    assert shares.argmax() == 1
    assert np.isclose(shares.sum(), 1.0)


def test_without_any_known_category_all_items_are_unknown() -> None:
    sessions = [without_categories(labelled.session) for labelled in small_split(0, 4)]
    categories = SessionCategories(SentenceEncoder(), 2)
    categories.fit(sessions, session_folds(4, 2, 0))
    assert categories.best(sessions, categories.training_shares) == [("",) * 5] * 4


def test_what_is_inferred_for_a_training_item_does_not_tell_whether_it_has_a_category() -> None:
    sessions = [labelled.session for labelled in small_split(0, 20)]
    folds = session_folds(20, 5, 0)
    whole = SessionCategories(SentenceEncoder(), 2)
    whole.fit(sessions, folds)
    bare = [without_categories(sessions[0]), *sessions[1:]]
    stripped = SessionCategories(SentenceEncoder(), 2)
    stripped.fit(bare, folds)
    assert np.array_equal(whole.training_shares[:5], stripped.training_shares[:5])


def test_the_department_is_found_from_the_title() -> None:
    sessions = [labelled.session for labelled in small_split(0, 20)]
    categories = SessionCategories(SentenceEncoder(), 2)
    categories.fit(sessions, session_folds(20, 5, 0))
    asked = [Session("q", (Item("x", "Frying pan for eggs"), Item("y", "Boots of leather")))]
    assert categories.best(asked, categories.shares(asked)) == [("Home > Kitchen", "Clothing > Shoes")]
