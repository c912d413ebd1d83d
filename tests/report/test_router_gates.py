"""Gates and the expert that alone would have been best."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import alternating, right, small_test, whole, write_data, write_run

from recbole_routedk.report.gate_figures import gate_figure, triangle_place
from recbole_routedk.report.gates import Gates, routed_gates
from recbole_routedk.report.gather import Gathered, gather


@pytest.fixture(scope="module")
def gathered(field: Path) -> Gathered:
    return gather("small", field)


def test_the_expert_that_alone_is_best_is_named_and_equals_are_nobodys(gathered: Gathered) -> None:
    (gates,) = gathered.gates
    ids = [session.session.session_id for session in small_test()]

    assert (gates.name, gates.experts, gates.missing) == ("RouteDK", ("base", "rule", "thought"), ())
    # Base alone answered rightly on every third session, rule on the ones after them, and thought nowhere.
    assert [gates.best[name] for name in ids] == [0, 1, None] * 4
    assert gates.weights["hostile"] == pytest.approx((0.8, 0.1, 0.1))
    # The gates follow the experts on all eight sessions with one best expert; always saying base is right on four.
    assert gates.right() == (8, 8, 4)


def test_gates_are_averaged_over_seeds(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    count = len(small_test())
    for seed, gate in ((1, 1.0), (2, 0.5)):
        gates = [[gate, 1 - gate, 0.0]] + [[0.0, 0.0, 1.0]] * (count - 1)
        write_run(tmp_path / "output", data, "RouteDK", alternating(right), seed, gates)

    (found,) = gather("small", tmp_path / "output").gates

    assert found.weights["hostile"] == pytest.approx((0.75, 0.25, 0.0))


def test_without_the_experts_alone_the_highest_gate_gives_the_colour_and_the_page_says_so(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    gates = [[0.2, 0.5, 0.3] if place else [0.6, 0.2, 0.2] for place in range(len(small_test()))]
    write_run(tmp_path / "output", data, "RouteDK", alternating(right), gates=gates)
    write_run(tmp_path / "output", data, "RouteDK (fusion=base)", alternating(whole))

    (found,) = gather("small", tmp_path / "output").gates

    assert found.best == {}
    assert found.missing == ("rule", "thought")
    assert (found.colour_of("hostile"), found.colour_of("s1")) == (0, 1)
    see = gate_figure(found, "gates").see
    assert "highest gate" in see
    assert "fusion=rule, fusion=thought" in see


def test_the_experts_alone_are_those_with_the_settings_of_the_routed_run(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    gates = [[0.2, 0.5, 0.3] if place else [0.6, 0.2, 0.2] for place in range(len(small_test()))]
    for rank, turn in ((4, whole), (8, right)):
        # With rank 8 rule is best everywhere, with rank 4 all experts are alike.
        for expert in ("base", "rule", "thought"):
            answers = alternating(turn if expert == "rule" else whole)
            name = f"RouteDK (lora_rank={rank}, fusion={expert})"
            write_run(tmp_path / "output", data, name, answers, changed={"lora_rank": rank})
    name = "RouteDK (lora_rank=8)"
    write_run(tmp_path / "output", data, name, alternating(right), gates=gates, changed={"lora_rank": 8})

    (found,) = gather("small", tmp_path / "output").gates

    assert set(found.best.values()) == {1}


def test_gates_that_differ_a_little_are_a_picture_too(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    gates = [[1e-8 * (place + 1), 1e-9, 1.0] for place in range(len(small_test()))]
    write_run(tmp_path / "output", data, "RouteDK", alternating(right), gates=gates)

    (found,) = gather("small", tmp_path / "output").gates

    assert found.weights["hostile"] == pytest.approx((1e-8, 1e-9, 1.0))


def test_gates_that_are_the_same_everywhere_are_no_picture(gathered: Gathered, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    same = [[1 / 3] * 3] * len(small_test())
    write_run(tmp_path / "output", data, "RouteDK (fusion=uniform)", alternating(right), gates=same)

    other = gather("small", tmp_path / "output")

    assert other.gates == ()
    assert routed_gates(other.runs, other.summary.rows) == []


@pytest.mark.parametrize(
    "weights, place",
    [((1, 0, 0), (0, 0)), ((0, 1, 0), (1, 0)), ((0, 0, 1), (0.5, 0.8660254)), ((1 / 3,) * 3, (0.5, 0.2886751))],
)
def test_a_place_in_the_triangle(weights: tuple[float, ...], place: tuple[float, float]) -> None:
    assert triangle_place(weights) == pytest.approx(place)


def test_two_experts_are_shown_as_histograms() -> None:
    gates = Gates("Two", ("a", "b"), {"s": (0.25, 0.75), "t": (0.5, 0.5)}, {}, ("a",))

    shown = gate_figure(gates, "two")

    assert "How many test sessions gave each expert which weight" in shown.see
    assert "weight of the expert" in shown.svg
    assert "a 0.375, b 0.625" in shown.svg
