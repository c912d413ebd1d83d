"""Figures: what is drawn where, and that they may lie in one page together."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from recbole_routedk.report.drawing import INKS, drawing_style, inline_svg, new_figure
from recbole_routedk.report.figures import (
    Shown,
    cost_figures,
    curve_figures,
    interval_figures,
    leading,
    length_figure,
    series_of,
    short_names,
    worth_their_cost,
)
from recbole_routedk.report.gate_figures import gate_figure
from recbole_routedk.report.gather import Gathered, gather


@pytest.fixture(scope="module")
def gathered(field: Path) -> Gathered:
    return gather("small", field)


@pytest.fixture(scope="module")
def shown(gathered: Gathered) -> Iterator[list[Shown]]:
    with drawing_style():
        yield [
            *interval_figures(gathered.summary, gathered.proposed),
            length_figure(gathered),
            *curve_figures(gathered),
            *cost_figures(gathered.summary),
            gate_figure(gathered.gates[0], "gates-0"),
        ]


def test_every_figure_has_a_title_a_description_and_a_sentence(shown: list[Shown]) -> None:
    assert len(shown) == 8
    for each in shown:
        root = ElementTree.fromstring(each.svg.replace("xlink:href", "href"))
        title, about = root.find("title"), root.find("desc")
        assert title is not None
        assert about is not None
        assert title.text == each.title
        assert about.text
        assert root.get("aria-labelledby") == f"{title.get('id')} {about.get('id')}"
        assert each.see.endswith(".")


def test_ids_are_unique_over_all_figures_and_every_reference_is_met(shown: list[Shown]) -> None:
    page = "".join(each.svg for each in shown)
    ids = re.findall(r'\bid="([^"]+)"', page)
    references = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', page)

    assert len(ids) == len(set(ids))
    assert {first or second for first, second in references} <= set(ids)


def test_colours_are_the_pages(shown: list[Shown]) -> None:
    for each in shown:
        assert not any(colour in each.svg for colour in INKS.values())
        assert not re.findall(r"(?:fill|stroke): #[0-9a-f]{6}", each.svg.replace("#ffffff", ""))
        assert "var(--ink)" in each.svg


def test_a_name_is_text_and_neither_markup_nor_formula() -> None:
    with drawing_style():
        figure, axes = new_figure()
        axes.set_xlabel("<script>alert(1)</script> $\\frac{")
        svg = inline_svg(figure, "name", "<b>title</b>", '"about" & more')

    assert "<script>" not in svg
    assert "&lt;script&gt;alert(1)&lt;/script&gt; $\\frac{" in svg
    assert "&lt;b&gt;title&lt;/b&gt;" in svg


def test_the_same_figure_is_the_same_text(gathered: Gathered) -> None:
    with drawing_style():
        assert interval_figures(gathered.summary, ())[0] == interval_figures(gathered.summary, ())[0]


def test_costs_lie_on_a_logarithmic_axis(gathered: Gathered) -> None:
    with drawing_style():
        training = cost_figures(gathered.summary)[0]
    # RouteDK took 10 s, Teacher 0.5 s, and what took no time at all is drawn at 0.001 s.
    places = {row.name: rank for rank, row in enumerate(gathered.summary.rows, start=1)}
    drawn = {
        int(number): float(x)
        for x, number in re.findall(r"<text[^>]*translate\(([\d.]+) [\d.]+\)[^>]*>(\d+)</text>", training.svg)
    } or {
        int(number): float(x) for x, number in re.findall(r'<text[^>]*\bx="([\d.]+)"[^>]*>(\d+)</text>', training.svg)
    }
    route, teacher, whole = (drawn[places[name]] for name in ("RouteDK", "Teacher", "WholeSession"))
    assert (route - teacher) / (teacher - whole) == pytest.approx(math.log(10 / 0.5) / math.log(0.5 / 0.001), rel=0.01)
    assert "Times below 0.001 s" in training.see


def test_a_model_is_worth_its_cost_where_nothing_as_fast_is_as_good() -> None:
    times = {"slow": 100.0, "quick": 1.0, "poor": 50.0, "twin": 1.0}
    scores = {"slow": 0.9, "quick": 0.5, "poor": 0.4, "twin": 0.3}
    assert worth_their_cost(times, scores) == ["quick", "slow"]


def test_the_best_baseline_is_always_among_the_models_drawn() -> None:
    names = [f"m{number}" for number in range(10)]
    assert leading(names, "m9") == ["m0", "m1", "m2", "m3", "m4", "m9"]
    assert leading(names, "m2") == names[:6]


def test_a_model_has_one_colour_in_all_figures_and_shares_it_with_none() -> None:
    tones = series_of(["x", "b", "y"], ["a", "b", "c"])
    assert tones["b"] == 1
    assert len(set(tones.values())) == 3


def test_a_long_name_is_told_by_what_sets_it_apart() -> None:
    shared = "student=somewhere/very/far/away, epochs=1"
    names = [f"RouteDK ({shared})", f"RouteDK ({shared}, fusion=base)", "Teacher", f"Other ({'x' * 60}=1, a=2)"]

    short = short_names([*names, f"Other ({'y' * 60}=1, a=2)"])

    assert [short[name] for name in names[:3]] == ["RouteDK", "RouteDK (fusion=base)", "Teacher"]
    assert short[names[3]] == f"Other ({'x' * 28}…"
    fitting = "StockBundler (base_model=ItemKNN)"
    assert short_names([fitting]) == {fitting: fitting}
