"""Values of settings: plain YAML or one clear error, whatever is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_routedk.errors import UserError
from recbole_routedk.literals import load_yaml, parse_literal

UNREADABLE = [
    *("!!int x", "!!int :", "!!float x", "!!bool x", "!!timestamp x", "!!timestamp 2020-99-99", "!!set [a]"),
    *("0x_", "0b_", "[" * 5000, "!!python/object:os.system x", "{a: 1, a: 2}", "[1", "\0"),
]


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_is_no_plain_value_is_told(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--epochs=.*not a value: "):
        parse_literal("epochs", text)
    (tmp_path / "given.yaml").write_text(f"epochs: {text}", encoding="utf-8")
    with pytest.raises(UserError, match=r"given\.yaml: is not valid YAML: "):
        load_yaml(tmp_path / "given.yaml")
