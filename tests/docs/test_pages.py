"""The pages and pictures are what the code is: links lead somewhere, and what is written from the code is fresh."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest
import yaml
from pages import PAGES, ROOT

import recbole_routedk
from recbole_routedk import cache, plugins
from recbole_routedk.literals import load_yaml, properties_folder
from recbole_routedk.registry import model_names

LINK = re.compile(r"\]\(([^)\s]+)\)")


def script(name: str) -> ModuleType:
    """A script of the checkout as a module, found among its neighbours as when it is run."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


def headings(page: Path) -> set[str]:
    """The anchors of a page as GitHub makes them."""
    lines = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / unquote(path)).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in headings(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_path_of_anybodys_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.])/(?:home|work|tmp|root|Users)/", page.read_text(encoding="utf-8"))


def test_the_page_of_settings_is_written_from_the_yaml() -> None:
    writer = script("write_configuration")
    assert writer.PAGE.read_text(encoding="utf-8") == writer.page(), "run: python scripts/write_configuration.py"


def test_the_page_of_settings_has_every_key_and_variable() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for path in properties_folder().glob("[modt]*/*.yaml"):
        if path.parent.name in ("model", "teacher"):
            keys = [key for key in load_yaml(path) if not key.endswith("_class")]
            section = page.partition(f"\n### {path.stem}\n")[2].partition("\n### ")[0]
            assert all(f"| `{key}` |" in section for key in keys), path
    assert all(f"| `{key}` |" in page for key in load_yaml(properties_folder() / "overall.yaml"))
    assert all(f"| `{name}` |" in page for name in (cache.CACHE_VARIABLE, plugins.PLUGINS_VARIABLE))


def test_the_house_is_drawn_from_the_imports() -> None:
    drawer = script("draw_house")
    assert drawer.PICTURE.read_text(encoding="utf-8") == drawer.picture(), "run: python scripts/draw_house.py"


def test_every_import_points_down_the_house() -> None:
    drawer = script("draw_house")
    graph = drawer.rooms(drawer.modules())
    height = drawer.heights(graph)
    assert all(height[lower] < height[upper] for upper in graph for lower in graph[upper])
    assert graph["data"] == {"ground"}
    assert "model" in drawer.reached(graph, "serving")


def test_the_plan_follows_from_its_assumptions() -> None:
    planner = script("plan_scaling")
    page = planner.PAGE.read_text(encoding="utf-8")
    assert page == planner.with_plan(page), "run: python scripts/plan_scaling.py"
    assert "| sessions a second, mean | sessions / 86 400 | 1,157 |" in page


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "results" / "README.md"], ids=["README", "results"])
def test_the_boards_in_short_are_those_of_the_results(page: Path) -> None:
    boards = [json.loads((ROOT / "results" / f"{name}.json").read_text()) for name in ("electronic", "clothing")]
    told = "run: python scripts/short_boards.py PAGE results/electronic.json results/clothing.json"
    assert script("short_boards").table(boards) in page.read_text(encoding="utf-8"), told


def test_readme_names_every_model() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in readme for name in model_names())


def test_version_and_citation() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert citation["version"] == recbole_routedk.__version__
    assert re.findall(r"^## \[(.*?)\]", changes, re.MULTILINE)[0] == recbole_routedk.__version__
    assert citation["license"] == "MIT"
    assert all(reference["url"].split("/")[-1] in ("2508.17250", "2504.17220") for reference in citation["references"])
