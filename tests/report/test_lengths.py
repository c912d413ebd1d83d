"""A metric by the length of the session."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import mean_matched_f1, small_test

from recbole_routedk.report.gather import gather
from recbole_routedk.report.lengths import length_groups


def test_lengths_that_are_as_common_are_parted_evenly() -> None:
    lengths = {f"{length}-{copy}": length for length in range(2, 11) for copy in range(20)}

    groups = length_groups(lengths, most=3)

    assert [(group.low, group.high, len(group.sessions)) for group in groups] == [(2, 4, 60), (5, 7, 60), (8, 10, 60)]
    assert [group.title for group in groups] == ["2–4", "5–7", "8–10"]


def test_one_length_is_one_group() -> None:
    (group,) = length_groups({"a": 4, "b": 4})
    assert (group.title, group.sessions) == ("4", ("a", "b"))


@given(st.lists(st.integers(2, 50), min_size=1), st.integers(1, 6))
def test_every_session_is_in_the_one_group_of_its_length(lengths: list[int], most: int) -> None:
    given_lengths = {str(number): length for number, length in enumerate(lengths)}

    groups = length_groups(given_lengths, most)

    assert 1 <= len(groups) <= most
    for name, length in given_lengths.items():
        (own,) = [group for group in groups if name in group.sessions]
        assert own.low <= length <= own.high
    assert all(left.high < right.low for left, right in pairwise(groups))


def test_the_means_of_the_groups_are_those_of_their_sessions(field: Path) -> None:
    gathered = gather("small", field)
    lengths = {session.session.session_id: len(session.session) for session in small_test()}

    # The whole session as a bundle: with g gold bundles of two among n items its MatchedF1 is 2 (2 / n) / (1 + g).
    golds = {session.session.session_id: len(session.bundles) for session in small_test()}
    scores = {name: 2 * (2 / length) / (1 + golds[name]) for name, length in lengths.items()}
    for group, estimate in zip(gathered.groups, gathered.lengths["WholeSession"], strict=True):
        own = [scores[name] for name, length in lengths.items() if group.low <= length <= group.high]
        assert estimate.mean == pytest.approx(fmean(own))
        assert min(own) <= estimate.low <= estimate.mean <= estimate.high <= max(own)
    assert [estimate.mean for estimate in gathered.lengths["RouteDK"]] == [1.0] * len(gathered.groups)


def test_the_leaderboard_shows_what_the_sessions_say(field: Path) -> None:
    rows = {row.name: row for row in gather("small", field).summary.rows}
    folders = {path.parent.name: path.parent for path in field.rglob("result.json")}

    assert rows["RouteDK"].seeds == (1, 2)
    for name, row in rows.items():
        assert row.metrics["matchedf1"].mean == pytest.approx(mean_matched_f1(folders[f"{name}-seed1"]))
