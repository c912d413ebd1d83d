"""Write docs/configuration.md from the comments in properties/: ``python scripts/write_configuration.py``.

A test fails when the page is not what this writes.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the package of this checkout, installed or not

from recbole_routedk.config import shared_schema  # noqa: E402
from recbole_routedk.config_schema import Schema, Setting, read_schema  # noqa: E402
from recbole_routedk.literals import load_yaml  # noqa: E402
from recbole_routedk.plugins import first_comment  # noqa: E402

PAGE = ROOT / "docs" / "configuration.md"
PROPERTIES = ROOT / "properties"
_KEY = re.compile(r"(\w+):")
_CHOICE = re.compile(r"[\w, ]+:")
_MORE = re.compile(r"#\s{2,}(\S.*)")

HEAD = """\
# Every setting

<!-- Written by scripts/write_configuration.py from the comments in properties/. Change those, then run it again. -->

A setting is given as `--key=value` or `--key value` on the command line, as `key: value` in a YAML file
(`--config_files=mine.yaml`), or in Python as an entry of `config_dict`. Later beats earlier:

1. [properties/overall.yaml](../properties/overall.yaml)
2. `properties/teacher/<teacher>.yaml`, `properties/model/<Model>.yaml` and `properties/router/<router>.yaml`
3. `properties/dataset/<dataset>.yaml`
4. your own `--config_files`, in the order in which they are named
5. `config_dict` (Python)
6. the command line

Values are YAML: numbers, `True` and `False`, text, `[a, b]`, `{a: 1}`; `~` stands for "not set". A list may be given
with commas, `--metrics=MatchedF1,PairF1`. No value is ever run as code. A key that nothing reads, a value of another
type or out of its limits, and settings that contradict each other are errors before any model is loaded. A setting that
only one of several models has reaches that model; `RouteDK:fusion=base` is a model with a setting of its own.

`python -m recbole_routedk run --help --model=NAME` prints the settings of one model with its defaults.

## Environment variables

| variable | what for |
|---|---|
| `OPENAI_API_KEY` | key of an endpoint, which is never a setting; `teacher_key_variable` names another variable |
| `RECBOLE_ROUTEDK_CACHE` | folder for what is costly to make once; default `~/.cache/recbole_routedk` |
| `RECBOLE_ROUTEDK_PLUGINS` | folders with models, teachers, routers, metrics of your own: [extending](extending.md) |
| `OMP_NUM_THREADS` | threads of torch; on two cores or fewer one is used unless this says otherwise |
| `OMP_WAIT_POLICY` | `passive` unless you set it: threads that wait sleep and leave the cores to those at work |
"""


def page() -> str:
    """Return the whole page."""
    parts = [HEAD, "## Every model and data set\n"]
    parts += _grouped(PROPERTIES / "overall.yaml")
    parts.append("## Models\n\nOnly what a model has beside the settings above, or with another default.\n")
    parts += [_kind(path, "model") for path in _files("model")]
    parts.append("## Teachers\n\n`--teacher=NAME`, and `--answered_by=NAME` of the models that ask.\n")
    parts += [_kind(path, "teacher") for path in _files("teacher")]
    parts.append("## Routers\n\n`--router=NAME` of RouteDK.\n")
    parts.append("".join(f"- `{path.stem}`: {first_comment(path, path.stem)}\n" for path in _files("router")))
    parts.append(
        "## Data sets\n\n`properties/dataset/<name>.yaml` has settings for one data set. There are files for:\n"
    )
    parts.append("".join(f"- `{path.stem}`: {first_comment(path, path.stem)}\n" for path in _files("dataset")))
    parts.append("## RecBole's other settings\n\nThey keep their meaning and default there:\n")
    ours = load_yaml(PROPERTIES / "overall.yaml")
    others = ", ".join(f"`{key}`" for key in shared_schema() if key not in ours)
    parts.append(f"{others}.\n")
    return "\n".join(parts)


def _files(kind: str) -> list[Path]:
    return sorted((PROPERTIES / kind).glob("*.yaml"), key=lambda path: path.stem.lower())


def _kind(path: Path, kind: str) -> str:
    """A model or a teacher: what it is, and its settings in one table."""
    schema = {key: each for key, each in read_schema(path).items() if key != f"{kind}_class"}
    shared = shared_schema()
    told = {key: shared[key].refined(each) if key in shared else each for key, each in schema.items()}
    table = _table(told, _continued(path)) if told else "No settings of its own.\n"
    return f"### {path.stem}\n\n{first_comment(path, '')}\n\n{table}"


def _grouped(path: Path) -> Iterator[str]:
    """The settings of a file under the headings that its comments give them."""
    schema, more = read_schema(path), _continued(path)
    for heading, keys in _groups(path):
        yield f"### {heading}\n\n{_table({key: schema[key] for key in keys}, more)}"


def _groups(path: Path) -> Iterator[tuple[str, list[str]]]:
    keys: list[str] = []
    heading, fresh = "", True
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# ") and fresh:
            if keys:
                yield heading, keys
            heading, keys = re.split(r"[:.;]", line.removeprefix("# "))[0], []
        elif match := _KEY.match(line):
            keys.append(match[1])
        fresh = not line.strip()
    yield heading, keys


def _continued(path: Path) -> dict[str, list[str]]:
    """The indented comment lines below a key, which say more about it."""
    more: dict[str, list[str]] = {}
    key = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := _KEY.match(line):
            key = match[1]
        elif (match := _MORE.match(line)) and key:
            more.setdefault(key, []).append(match[1])
        elif not line.startswith((" ", "-")):
            key = ""
    return more


def _table(schema: Schema, more: dict[str, list[str]]) -> str:
    lines = ["| key | default | may be | meaning |", "|---|---|---|---|"]
    for key, setting in schema.items():
        meaning = _cell(setting.meaning)
        for line in more.get(key, []):
            # A choice that is explained begins a line of its own.
            meaning += f"{'<br>' if _CHOICE.match(line) else ' '}{_cell(line)}"
        lines.append(f"| `{key}` | {_default(setting.default)} | {_cell(_allowed(setting))} | {meaning} |")
    return "\n".join(lines) + "\n"


def _allowed(setting: Setting) -> str:
    return setting.allowed() if setting.types else ""


def _default(value: Any) -> str:
    if value is None:
        return "not set"
    text = value if isinstance(value, str) else str(value) if isinstance(value, bool) else json.dumps(value)
    return f"`{_cell(text)}`" if text else "empty"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Written: {PAGE}")
