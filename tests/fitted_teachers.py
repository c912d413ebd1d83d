"""The embedded teacher learns once from the same sessions, whatever run of this process asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from recbole_routedk.data.session import LabelledSession
from recbole_routedk.distill.statistical.teacher import StatisticalTeacher, fitted_teacher

_fitted = lru_cache(maxsize=8)(fitted_teacher)


def fitted_once(train: Sequence[LabelledSession], seed: int) -> StatisticalTeacher:
    """Stand in for ``fitted_teacher``, whose result nobody changes."""
    return _fitted(tuple(train), seed)
