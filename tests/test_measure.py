"""What is free, against the system's own figures."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import torch

from recbole_routedk import measure


def test_no_more_is_free_than_the_system_says() -> None:
    free = measure.free_memory(torch.device("cpu"))

    assert 2**20 < free <= 1.2 * psutil.virtual_memory().available + 2**28  # others give memory back in between


def test_a_container_has_what_its_limit_leaves(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("5000\n", encoding="ascii")
    (tmp_path / "memory.current").write_text("1200\n", encoding="ascii")
    (tmp_path / "memory.stat").write_text("anon 900\ninactive_file 200\n", encoding="ascii")
    assert measure._left_to_container(tmp_path) == 4000  # files that were read give way

    (tmp_path / "memory.max").write_text("max\n", encoding="ascii")
    assert measure._left_to_container(tmp_path) == sys.maxsize
    assert measure._left_to_container(tmp_path / "missing") == sys.maxsize
