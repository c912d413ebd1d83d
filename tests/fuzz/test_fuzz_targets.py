"""The fuzz targets on inputs of hypothesis: seeds that are cut, joined and changed, and any bytes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "fuzz"))

from targets import SEEDS, TARGETS


def changed(name: str) -> st.SearchStrategy[bytes]:
    """A seed with a part of it replaced."""
    places = st.integers(0, 200)
    return st.builds(
        lambda seed, start, length, part: seed[:start] + part + seed[start + length :],
        st.sampled_from(SEEDS[name]),
        places,
        places.map(lambda length: length // 10),
        st.binary(max_size=8) | st.sampled_from([b"!!int x", b"[" * 2000, b"\xed\xb3\xbf", b"null", b"\\ud800"]),
    )


@pytest.mark.parametrize("name", list(TARGETS))
def test_the_seeds_themselves_keep_every_promise(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(TARGETS)).flatmap(lambda name: st.tuples(st.just(name), changed(name) | st.binary())))
def test_changed_seeds_and_any_bytes_keep_every_promise(named: tuple[str, bytes]) -> None:
    name, data = named
    TARGETS[name](data)
