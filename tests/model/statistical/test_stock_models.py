"""Which of RecBole's recommenders can be used."""

from __future__ import annotations

import pytest
from recbole.model.general_recommender import BPR, ItemKNN

from recbole_routedk.errors import UserError
from recbole_routedk.model.statistical.stock_models import stock_model_class, stock_model_names, stock_settings


def test_general_recommenders_are_found_in_any_case() -> None:
    assert stock_model_class("ItemKNN") is ItemKNN
    assert stock_model_class("bpr") is BPR
    assert {"BPR", "EASE", "ItemKNN", "LightGCN", "NeuMF", "SLIMElastic"} <= set(stock_model_names())


@pytest.mark.parametrize(
    ("name", "nearest"), [("ItemKN", "ItemKNN"), ("LigthGCN", "LightGCN"), ("NeuralMF", "NeuMF"), ("../bpr", "BPR")]
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UserError, match=f"base_model: RecBole has no recommender .* Did you mean '{nearest}'"):
        stock_model_class(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("SASRec", "a history in time"),
        ("GRU4Rec", "a history in time"),
        ("KGAT", "a knowledge graph"),
        ("DeepFM", "features of users"),
        ("XGBoost", "features of users"),
    ],
)
def test_other_families_are_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(UserError, match=f"base_model: {name} cannot be used: .*{reason}"):
        stock_model_class(name)


@pytest.mark.parametrize("name", stock_model_names())
def test_every_recommender_has_settings_that_can_be_read(name: str) -> None:
    assert stock_settings(name, {"learning_rate": 0.1}) == {"learning_rate": 0.1}


def test_settings_of_a_recommender_are_checked() -> None:
    assert stock_settings("LightGCN", {"n_layers": "3", "reg_weight": 1}) == {"n_layers": 3, "reg_weight": 1.0}
    with pytest.raises(UserError, match=r"base_settings of LightGCN: there is no setting 'n_layer'.*'n_layers'"):
        stock_settings("LightGCN", {"n_layer": 3})
    with pytest.raises(UserError, match="base_settings of LightGCN: n_layers has to be a whole number"):
        stock_settings("LightGCN", {"n_layers": "many"})
