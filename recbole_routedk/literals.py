"""Reading YAML files and the text of settings as plain values: never code, and nothing given twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from recbole_routedk.errors import UserError


class LiteralLoader(yaml.SafeLoader):
    """YAML's plain values only, with 1e-4 read as a number, and an error for a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping, refusing a repeated key (YAML itself keeps the last one silently)."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", node.value[position][0].start_mark
                )
        return super().construct_mapping(node, deep)


LiteralLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)
LiteralLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^None$"), ["N"])
# A date is no setting: 2026-01-31 stays the text it is.
LiteralLoader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in LiteralLoader.yaml_implicit_resolvers.items()
}


# PyYAML checks no value before it builds it: "!!int x", "!!int :", "!!bool x", "!!set [a]", "!!timestamp x", "0x_", and
# a thousand brackets each raise something else.
_UNREADABLE = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)


def properties_folder() -> Path:
    """The folder of our YAML files: inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "properties", package.parent / "properties"):
        if (folder / "overall.yaml").is_file():
            return folder
    raise UserError(f"properties/overall.yaml is missing beside {package}; install recbole_routedk again")


def load_yaml(path: Path) -> dict[str, Any]:
    """Read the settings of a YAML file; UserError with file and line where it is not a mapping of names."""
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, Loader=LiteralLoader)  # nosec B506  # a SafeLoader
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a UTF-8 YAML file ({error})") from None
    except _UNREADABLE as error:
        raise UserError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(f"{path}: has to hold settings, one 'key: value' a line")
    return content


def parse_literal(key: str, text: str) -> Any:
    """Read the text of a setting as a YAML value: never code."""
    try:
        return yaml.load(text, Loader=LiteralLoader)  # nosec B506  # a SafeLoader
    except _UNREADABLE as error:
        raise UserError(f"--{key}={text}: not a value: {' '.join(str(error).split())}") from None
