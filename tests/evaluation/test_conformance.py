"""The published three and the error types agree with the reference implementation on real sessions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recbole_routedk.data.session import Bundle
from recbole_routedk.evaluation.error_types import error_type
from recbole_routedk.evaluation.metrics import score_sessions

VECTORS = json.loads((Path(__file__).parent / "electronic_vectors.json").read_text(encoding="utf-8"))
STYLES = {style["name"]: style for style in VECTORS["styles"]}


def to_bundles(sessions: list[list[list[int]]]) -> list[list[Bundle]]:
    return [[frozenset(positions) for positions in session] for session in sessions]


GOLD = to_bundles(VECTORS["gold"])


def predictions_of(name: str) -> list[list[Bundle]]:
    made = {
        "whole_session": [[frozenset(range(items))] for items in VECTORS["items"]],
        "first_two_items": [[frozenset({0, 1})]] * len(GOLD),
        "gold": GOLD,
    }
    return made[name] if name in made else to_bundles(STYLES[name]["predictions"])


@pytest.mark.parametrize("name", STYLES)
def test_the_published_three_match_the_reference_in_both_modes(name: str) -> None:
    scores = score_sessions(GOLD, predictions_of(name))
    expected = STYLES[name]["expected"]
    for key in ("precision", "recall", "coverage"):
        assert scores[key] == pytest.approx(expected["count_empty"][key], abs=1e-9)
        assert scores[f"{key}_drop_empty"] == pytest.approx(expected["drop_empty"][key], abs=1e-9)
    assert scores["emptyrate"] == expected["empty_sessions"] / expected["sessions"]


@pytest.mark.parametrize("name", STYLES)
def test_every_error_type_matches_the_reference(name: str) -> None:
    for gold, predicted, types in zip(GOLD, predictions_of(name), STYLES[name]["error_types"], strict=True):
        assert [error_type(bundle, gold) for bundle in predicted] == types


@pytest.mark.parametrize(
    ("name", "bundle_f1", "matched_f1", "pair_f1"),
    [("whole_session", 0.261, 0.556, 0.519), ("first_two_items", 0.174, 0.379, 0.235), ("gold", 1, 1, 1)],
)
def test_set_metrics_match_the_known_scores_of_trivial_guesses(
    name: str, bundle_f1: float, matched_f1: float, pair_f1: float
) -> None:
    scores = score_sessions(GOLD, predictions_of(name))
    assert scores["bundlef1"] == pytest.approx(bundle_f1, abs=5e-4)
    assert scores["matchedf1"] == pytest.approx(matched_f1, abs=5e-4)
    assert scores["pairf1"] == pytest.approx(pair_f1, abs=5e-4)


def test_the_random_style_holds_repeated_bundles_so_that_counting_them_is_tested() -> None:
    predictions = predictions_of("random")
    assert sum(len(bundles) - len(set(bundles)) for bundles in predictions) == 23
