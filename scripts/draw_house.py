"""Draw docs/house.svg, the rooms of the package, from its imports: ``python scripts/draw_house.py``.

A room is a folder of the package, or the modules beside the folders that stand on the same one. What is imported at the
head of a module counts; the rooms at the top (``LATE``) import within functions, to start fast, and there all counts.
An arrow that others imply is left out. A test fails when the picture is not what this draws.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "recbole_routedk"
PICTURE = ROOT / "docs" / "house.svg"
LATE = ("cli", "doctor")
Graph = Mapping[str, frozenset[str]]

ROOMS = {
    "cli": ("cli", "one module a command", 0, 12),
    "report": ("report", "page of finished runs", 0, 3),
    "above comparison": ("tuning", "search on the valid split", 3, 6),
    "comparison": ("comparison", "models x data sets x seeds, leaderboards, tests", 0, 6),
    "serving": ("serving", "generate, export", 6, 9),
    "above model": ("quick_start, trainer, saved_run", "one run: train, evaluate, save, load", 0, 9),
    "doctor": ("doctor", "is this machine ready?", 9, 12),
    "model": ("model", "everything that answers sessions: RouteDK, KD, the baselines", 0, 9),
    "above distill": ("config", "settings of a run, checked", 0, 12),
    "distill": ("distill", "knowledge: formats, teachers, the store of answers", 0, 12),
    "student": ("student", "language model, LoRA experts, router, decoding, consensus", 0, 12),
    "above data": ("checkpoint, search_space", "files of a run", 0, 6),
    "evaluation": ("evaluation", "metrics in RecBole's evaluator", 6, 12),
    "data": ("data", "session types, atomic files, loader, converters, prompts", 0, 12),
    "ground": ("plugins, registry, config_schema, errors, ...", "names, YAML, errors, progress", 0, 12),
}
"""Each room's name, what is in it, and from where to where it reaches, in twelfths of the width."""

WIDTH, MARGIN, FLOOR, GAP, BOX = 900, 24, 78, 18, 52
STYLE = """
.paper { fill: #ffffff } .room { fill: #eef3fb; stroke: #4a6fa5 } .roof { fill: #dbe6f6; stroke: #4a6fa5 }
.name { fill: #16243a; font-weight: 600 } .told { fill: #3d4b60 } .way { stroke: #6b7a90; fill: none }
.tip { fill: #6b7a90 } text { font-family: system-ui, sans-serif; font-size: 14px; text-anchor: middle }
.told { font-size: 12px }
@media (prefers-color-scheme: dark) {
.paper { fill: #12171f } .room { fill: #1d2a3d; stroke: #7f9fcd } .roof { fill: #27405f; stroke: #7f9fcd }
.name { fill: #eef3fb } .told { fill: #b6c2d4 } .way { stroke: #8b99ad } .tip { fill: #8b99ad } }
"""


def modules() -> dict[str, frozenset[str]]:
    """What each folder of the package, and each module beside them, imports of the others."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        home = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if home not in ("__init__", "__main__"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found.setdefault(home, set()).update(_imported(ast.walk(tree) if home in LATE else iter(tree.body)))
    return {home: frozenset(names & found.keys() - {home}) for home, names in found.items()}


def _imported(nodes: Iterator[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE.name:
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE.name}."):
            yield str(node.module).split(".")[1]


def rooms(graph: Graph) -> dict[str, frozenset[str]]:
    """The same by room: a module beside the folders belongs to the highest folder that it stands on."""
    height = heights(graph)
    folders = [name for name in graph if (PACKAGE / name).is_dir()]

    def room(name: str) -> str:
        below = [folder for folder in folders if folder in reached(graph, name)]
        return name if name in folders else f"above {max(below, key=lambda each: height[each])}" if below else "ground"

    found: dict[str, set[str]] = {}
    for name, names in graph.items():
        found.setdefault(room(name), set()).update(room(each) for each in names)
    return {name: frozenset(names - {name}) for name, names in found.items()}


def heights(graph: Graph) -> dict[str, int]:
    """How many floors each stands above the ground; RecursionError where imports run in a circle."""

    @cache
    def height(name: str) -> int:
        return 1 + max(map(height, graph[name]), default=-1)

    return {name: height(name) for name in graph}


def reached(graph: Graph, name: str) -> frozenset[str]:
    """Everything that is imported, directly or by what is."""
    found: set[str] = set()
    ahead = [*graph[name]]
    while ahead:
        each = ahead.pop()
        if each not in found:
            found.add(each)
            ahead += graph[each]
    return frozenset(found)


def needed(graph: Graph) -> list[tuple[str, str]]:
    """The imports that no others imply."""
    return [
        (name, each)
        for name, names in graph.items()
        for each in sorted(names)
        if not any(each in reached(graph, other) for other in names - {each})
    ]


def picture() -> str:
    """Return the SVG."""
    graph = rooms(modules())
    unknown = sorted(graph.keys() ^ ROOMS.keys())
    if unknown:
        raise SystemExit(f"say in ROOMS of {Path(__file__).name} what is in {', '.join(unknown)}, if it is there")
    places = _places(graph)
    tall = 2 * MARGIN + max(place.bottom for place in places.values())
    arrows = [_arrow(places[upper], places[lower]) for upper, lower in needed(graph)]
    told = "The rooms of the package from top to bottom; each imports only what lies below it."
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {tall:g}" role="img" aria-label="{told}">',
            f"<style>{STYLE}</style>",
            f'<rect class="paper" width="{WIDTH}" height="{tall:g}" rx="8"/>',
            f'<g transform="translate({MARGIN} {MARGIN})">',
            *arrows,
            *(_box(name, place) for name, place in places.items()),
            "</g>",
            "</svg>\n",
        ]
    )


@dataclass(frozen=True)
class Place:
    """Where a box is drawn."""

    left: float
    right: float
    top: float
    bottom: float


def _places(graph: Graph) -> dict[str, Place]:
    """Every room reaches from its own floor up to the lowest room that imports it."""
    height = heights(graph)
    last = max(height.values())
    part = (WIDTH - 2 * MARGIN + GAP) / 12
    found = {}
    for name, (_, _, left, right) in ROOMS.items():
        ceiling = min((height[upper] for upper in graph if name in graph[upper]), default=last + 1) - 1
        top, bottom = (last - ceiling) * FLOOR, (last - height[name]) * FLOOR + BOX
        found[name] = Place(left * part, right * part - GAP, top, bottom)
    return found


def _box(name: str, place: Place) -> str:
    title, told = (escape(text, quote=False) for text in ROOMS[name][:2])
    middle, line = (place.left + place.right) / 2, (place.top + place.bottom) / 2
    wide, tall = place.right - place.left, place.bottom - place.top
    return (
        f'<rect class="{"room" if place.top else "roof"}" x="{place.left:g}" y="{place.top:g}" width="{wide:g}" '
        f'height="{tall:g}" rx="6"/>'
        f'<text class="name" x="{middle:g}" y="{line - 4:g}">{title}</text>'
        f'<text class="told" x="{middle:g}" y="{line + 14:g}">{told}</text>'
    )


def _arrow(upper: Place, lower: Place) -> str:
    """Straight down where one stands over the other."""
    left, right = max(upper.left, lower.left), min(upper.right, lower.right)
    start = end = (left + right) / 2
    if left >= right:
        start, end = (upper.left + upper.right) / 2, (lower.left + lower.right) / 2
    return (
        f'<line class="way" x1="{start:g}" y1="{upper.bottom:g}" x2="{end:g}" y2="{lower.top - 8:g}"/>'
        f'<path class="tip" d="M{end - 5:g} {lower.top - 10:g} h10 l-5 8 z"/>'
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    print(f"Written: {PICTURE}")
