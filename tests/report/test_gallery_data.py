"""What the gallery is given to show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import HOSTILE, small_test
from markupsafe import escape

from recbole_routedk.report.gallery import gallery, shown_text, spread_out, verdict
from recbole_routedk.report.gather import gather
from recbole_routedk.report.page import render

GOLD = [frozenset({0, 1, 2}), frozenset({3, 4})]


@pytest.mark.parametrize(
    "predicted, told",
    [
        ([{3, 4}, {0, 1, 2}], "right"),
        ([{0, 1, 2}], "partly"),
        ([{0, 1, 2}, {3, 4}, {5, 6}], "partly"),
        ([{0, 1, 5}], "partly"),
        ([{0, 3}], "wrong"),
        ([], "wrong"),
    ],
)
def test_an_answer_is_right_partly_right_or_wrong(predicted: list[set[int]], told: str) -> None:
    assert verdict(GOLD, [frozenset(bundle) for bundle in predicted]) == told


def test_a_few_sessions_are_spread_over_the_split() -> None:
    test = small_test()
    assert spread_out(test, 4) == [test[0], test[3], test[6], test[9]]
    assert spread_out(test, 99) == list(test)


def test_sessions_and_answers_stand_side_by_side(field: Path) -> None:
    told = gather("small", field, sessions=6).gallery

    assert told["total"] == 12
    assert [session["id"] for session in told["sessions"]] == ["hostile", "s2", "s4", "s6", "s8", "s10"]
    models = {model["name"]: model for model in told["models"]}
    assert models["RouteDK"]["experts"] == ["base", "rule", "thought"]
    assert models["Teacher"]["experts"] == []
    # Teacher answers rightly, with the whole session, and wrongly in turn; every second of those sessions is shown.
    verdicts = [answer["verdict"] for answer in models["Teacher"]["answers"]]
    assert verdicts == ["right", "wrong", "partly"] * 2
    first = models["RouteDK"]["answers"][0]
    assert first == {"bundles": [[0, 1]], "verdict": "right", "score": 1.0, "agreement": 0.5, "gates": [0.8, 0.1, 0.1]}


def test_the_gallery_is_json(field: Path) -> None:
    gathered = gather("small", field)
    assert json.loads(json.dumps(gallery(small_test(), gathered.runs, 5))) == gallery(small_test(), gathered.runs, 5)


def test_a_page_without_sessions_holds_no_title_and_no_script(field: Path) -> None:
    titles = [item.title for labelled in small_test() for item in labelled.session.items]

    page, full = (render(gather("small", field, sessions=count)) for count in (0, 12))

    assert "it holds no title of any item" in page
    assert "Thing 1.0" in full
    assert not any(title in page or str(escape(title)) in page for title in titles)
    assert "<script" not in page
    assert "RouteDK" in page


def test_control_and_direction_characters_become_visible() -> None:
    assert shown_text(HOSTILE[0]) == HOSTILE[0]
    assert shown_text(HOSTILE[2]) == "Tripod \ufffdgnp.exe\ufffd"
    assert shown_text(HOSTILE[3]) == "bell␇ and escape␛[31m"
    assert shown_text("שלום café 😀") == "שלום café 😀"


@given(st.text(st.characters(exclude_categories=())))
def test_shown_text_can_be_written_and_steers_nothing(text: str) -> None:
    shown = shown_text(text)

    assert len(shown) == len(text)
    assert shown.encode().decode() == shown
    assert not any(ord(character) < 32 or character in "\u202e\u202d\u2066\x7f" for character in shown)
    assert shown_text(shown) == shown
