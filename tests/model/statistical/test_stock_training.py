"""RecBole's recommenders trained on groups of items."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recbole.trainer import trainer as recbole_trainer
from scipy.sparse import dok_matrix

from recbole_routedk.distill.encoder import Vectors
from recbole_routedk.errors import UserError
from recbole_routedk.model.statistical.stock_models import stock_model_class
from recbole_routedk.model.statistical.stock_training import item_score_vectors

SETTINGS = {"seed": 7, "reproducibility": True, "epochs": 30, "learning_rate": 0.05, "train_batch_size": 64}
# Two kinds of groups that share no item: items 0 to 4, and 5 to 9.
CAMPS = [
    [first + (start + step) % 5 for step in range(2 + start % 2)] for first in (0, 5) for start in (4, 0, 1, 2, 3, 0, 2)
]


def trained(name: str, groups: list[list[int]], **settings: Any) -> Vectors:
    """The vectors of a small recommender."""
    return item_score_vectors(stock_model_class(name), groups, SETTINGS | settings, torch.device("cpu"))


def test_a_neighbourhood_model_gives_its_similarities() -> None:
    # Items 3 and 0 share the first group, 0 and 1 the second, 2 and 1 the third. Each similarity is 1 over the root
    # of how often the two occur; no item is its own neighbour.
    groups = [[3, 0], [0, 1], [2, 1]]
    to_3, to_1, to_2 = 1 / np.sqrt(1 * 2), 1 / np.sqrt(2 * 2), 1 / np.sqrt(1 * 2)
    expected = [
        [to_3, to_1, to_1],  # item 0: from 3, from 1, from 1
        [to_1, to_1, to_2],  # item 1: from 0, from 0, from 2
        [0, to_2, to_2],  # item 2: from 1 alone
        [to_3, to_3, 0],  # item 3: from 0 alone
    ]
    assert np.allclose(trained("ItemKNN", groups), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ItemKNN", {}),
        ("BPR", {"embedding_size": 8}),
        ("LightGCN", {"embedding_size": 8}),
        ("EASE", {"reg_weight": 1.0}),
        ("NeuMF", {"mf_embedding_size": 8, "mlp_embedding_size": 8, "mlp_hidden_size": [8]}),
        ("MultiVAE", {"mlp_hidden_size": [16], "latent_dimension": 8}),
        ("SLIMElastic", {"alpha": 0.01}),
    ],
)
def test_items_of_the_same_groups_are_alike_whatever_the_recommender(name: str, settings: dict[str, Any]) -> None:
    vectors = trained(name, CAMPS, **settings)
    assert vectors.shape == (10, len(CAMPS))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = unit @ unit.T
    within, across = (alike[:5, :5].sum() + alike[5:, 5:].sum()) / 50, alike[:5, 5:].mean()
    assert within > across + 0.1
    assert np.array_equal(vectors, trained(name, CAMPS, **settings))


def test_training_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run", "--epochs=__import__('os').abort()", "stray"])
    before = (recbole_trainer.get_tensorboard, logging.root.manager.disable, hasattr(dok_matrix, "_update"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    torch.manual_seed(3)
    np.random.seed(3)
    expected = (torch.rand(1).item(), np.random.rand())
    torch.manual_seed(3)
    np.random.seed(3)
    trained("LightGCN", CAMPS, epochs=2)
    assert (torch.rand(1).item(), np.random.rand()) == expected
    assert (recbole_trainer.get_tensorboard, logging.root.manager.disable, hasattr(dok_matrix, "_update")) == before
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == visible
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_what_was_lent_is_taken_back_where_training_fails() -> None:
    before = (recbole_trainer.get_tensorboard, logging.root.manager.disable, hasattr(dok_matrix, "_update"))
    # A group of every item leaves none to sample against.
    with pytest.raises(UserError, match="base_model: BPR cannot be trained on these groups"):
        trained("BPR", [[0, 1], [0, 1]])
    assert (recbole_trainer.get_tensorboard, logging.root.manager.disable, hasattr(dok_matrix, "_update")) == before


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(UserError, match=r"base_model: .*(no numbers|loss is nan)"):
        trained("BPR", CAMPS, learning_rate=1e38, learner="sgd")
