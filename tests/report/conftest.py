"""A data set and the runs that most tests of the report look at, and the browser that opens pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import find_chromium
from made_runs import alternating, apart, right, small_test, whole, write_data, write_run
from playwright.sync_api import Browser, sync_playwright


@pytest.fixture(scope="session")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder: RouteDK with two seeds, its experts alone, and two baselines.

    Where one expert alone is best: base on sessions 0, 3, 6, 9, rule on 1, 4, 7, 10, and on the others all are alike.
    """
    folder = tmp_path_factory.mktemp("field")
    data, output = write_data(folder / "data"), folder / "output"
    gates = [[(0.8, 0.1, 0.1), (0.1, 0.7, 0.2), (0.2, 0.2, 0.6)][place % 3] for place in range(len(small_test()))]
    for seed in (1, 2):
        write_run(output, data, "RouteDK", alternating(right), seed, gates, [2.0, 1.0])
    for expert, turns in {"base": (right, whole), "rule": (whole, right), "thought": (whole, whole)}.items():
        write_run(output, data, f"RouteDK (fusion={expert})", alternating(*turns, whole), losses=[3.0])
    write_run(output, data, "Teacher", alternating(right, whole, apart), train_seconds=0.5, sessions_per_second=100.0)
    write_run(output, data, "WholeSession", alternating(whole), train_seconds=0.0, sessions_per_second=1e9)
    return output


# By module: while Playwright is at work no other test of the process can run an event loop of its own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    path = find_chromium()
    assert path is not None, "there is no Chromium; 'python tests/report/chromium.py' installs one"
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
