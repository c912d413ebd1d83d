"""RouteDK with each kind of router, through RecBole's trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_run import predictions, run, weights

from recbole_routedk.errors import UserError
from recbole_routedk.quick_start import load_data_and_model

KINDS = {
    "softmax for each layer": ({"router_gates": "layer"}, {"router.linear.weight", "router.linear.bias"}),
    "top-k": ({"router": "top_k"}, {"router.linear.weight", "router.linear.bias"}),
    "one expert, told which": (
        {"router": "straight_through", "router_learns": "best_expert"},
        {"router.linear.weight", "router.linear.bias"},
    ),
    "sparse": (
        {"router": "sparsegen", "router_gates": "layer"},
        {"router.linear.weight", "router.linear.bias", "router.sparsity.weight", "router.sparsity.bias"},
    ),
    "static, told which": ({"router": "static", "router_learns": "best_expert"}, {"router.weights"}),
    "arrow": ({"router": "arrow", "router_gates": "layer"}, set()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_trains_answers_and_loads(small_data: Path, tiny_student_folder: Path, kind: str) -> None:
    settings: dict[str, Any]
    settings, trained = KINDS[kind]
    result = run(small_data, tiny_student_folder, **settings)

    assert {name for name in weights(result) if name.startswith("router.")} == trained
    assert trained <= {name for name, value in weights(result).items() if value.abs().sum() > 0} | {
        "router.sparsity.weight",  # learns nothing where no expert is left out or alone
        "router.sparsity.bias",
    }
    _, model, _, _, _, test_data = load_data_and_model(result["run_folder"])
    sessions = [labelled.session for labelled in test_data.bundle_dataset.labelled_sessions]
    generations = model.predict_bundles(sessions)
    answers = {s.session_id: [sorted(b) for b in g.bundles] for s, g in zip(sessions, generations, strict=True)}
    assert answers == predictions(result)
    assert all(sum(generation.gates) == pytest.approx(1.0, abs=1e-5) for generation in generations)


def test_a_router_without_training_is_used_from_the_first_epoch_on(small_data: Path, tiny_student_folder: Path) -> None:
    result = run(small_data, tiny_student_folder, router="arrow", router_gates="layer")
    _, model, _, _, _, _ = load_data_and_model(result["run_folder"])
    assert [stage.name for stage in model.training_stages()] == ["experts"]


def test_an_unknown_router_is_named_with_the_known_ones(small_data: Path) -> None:
    with pytest.raises(UserError, match=r"There is no router .oracle..*softmax"):
        run(small_data, "no-student-is-loaded", router="oracle")
