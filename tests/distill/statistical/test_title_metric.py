"""A metric of titles learnt from pairs that are bundled and pairs that are not."""

from __future__ import annotations

import numpy as np

from recbole_routedk.distill.statistical.title_metric import TitleMetric

# Bundle mates share the first coordinate and differ in the second; other items the other way round.
CORNERS = np.array([[1, 1, 0], [1, -1, 0], [-1, 1, 0], [-1, -1, 0]], dtype=np.float32)
LEFT, RIGHT = np.array([0, 2, 0, 1]), np.array([1, 3, 2, 3])
TOGETHER = np.array([True, True, False, False])


def test_what_bundle_mates_share_counts_more_than_what_they_differ_in() -> None:
    metric = TitleMetric(CORNERS, LEFT, RIGHT, TOGETHER)
    columns = metric.columns(CORNERS, LEFT, RIGHT)
    # Mates differ by (0, 2, 0): moments diag(0, 4, 0), shrunk by 0.3 to the mean diag(0.4, 3.2, 0.4).
    within = 1 / np.array([0.4, 3.2])
    cosine = (within[0] - within[1]) / within.sum()
    assert np.allclose(columns[:, 0], [cosine, cosine, -cosine, -cosine])
    # Every direction tells here, so both columns see the same space.
    assert np.allclose(columns[:, 1], columns[:, 0])


def test_pairs_of_one_kind_teach_nothing() -> None:
    for together in (np.ones(4, dtype=bool), np.zeros(4, dtype=bool)):
        metric = TitleMetric(CORNERS, LEFT, RIGHT, together)
        assert metric.columns(CORNERS, LEFT, RIGHT).tolist() == [[0.0, 0.0]] * 4


def test_equal_vectors_have_no_direction() -> None:
    alike = np.ones((4, 3), dtype=np.float32)
    assert TitleMetric(alike, LEFT, RIGHT, TOGETHER).columns(alike, LEFT, RIGHT).tolist() == [[0.0, 0.0]] * 4
