"""Bars are hidden wherever a run says so."""

from __future__ import annotations

from recbole_routedk.progress import progress_bar, progress_shown


def test_a_bar_is_hidden_by_its_maker_or_by_the_run_around_it() -> None:
    assert not progress_bar(1, "title", "unit").disable
    assert progress_bar(1, "title", "unit", shown=False).disable
    with progress_shown(False):
        assert progress_bar(1, "title", "unit").disable
        with progress_shown(True):
            assert not progress_bar(1, "title", "unit").disable
            assert progress_bar(1, "title", "unit", shown=False).disable
        assert progress_bar(1, "title", "unit").disable
    assert not progress_bar(1, "title", "unit").disable
