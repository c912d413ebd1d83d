"""What every model of ``properties/model`` has to keep, whoever wrote it.

A model is under contract as soon as its YAML file is there. ``contract_settings.py`` makes slow ones fast.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from contract_data import odd_sessions
from contract_runs import Run, Runs, answers
from contract_settings import CHOSEN_ON_VALID, FAST, FROZEN

from recbole_routedk.checkpoint import load_checkpoint
from recbole_routedk.data.atomic import read_atomic
from recbole_routedk.data.session import Generation, LabelledSession, Session
from recbole_routedk.evaluation.metrics import gold_bundles, score_sessions
from recbole_routedk.model.bundle_generator import BundleGenerator
from recbole_routedk.quick_start import run_recbole_routedk
from recbole_routedk.registry import model_names, resolve_model, shipped_datasets

every_model = pytest.mark.parametrize("name", model_names())


def matched_f1(model: BundleGenerator, labelled: tuple[LabelledSession, ...]) -> float:
    generations = answers(model, [each.session for each in labelled])
    gold = [gold_bundles(each) for each in labelled]
    return score_sessions(gold, [generation.bundles for generation in generations])["matchedf1"]


def keeps_what_it_learnt_without_a_student(name: str) -> bool:
    """Whether a real data set is learnt in seconds; what needs a student learns from the contract's own sessions."""
    model = resolve_model(name)
    keeps = model.gradient_trained or model.extra_state is not BundleGenerator.extra_state
    return keeps and ".statistical." in model.__module__


def check_answer(session: Session, generation: Generation) -> None:
    told = f"answer to {session.session_id!r}: {generation.bundles}"
    assert len(set(generation.bundles)) == len(generation.bundles), f"{told} repeats a bundle"
    for bundle in generation.bundles:
        assert isinstance(bundle, frozenset), told
        assert len(bundle) >= 2, f"{told} has a bundle of fewer than two items"
        assert all(type(place) is int for place in bundle), f"{told} has something else than positions"
        assert bundle <= set(range(len(session))), f"{told} has items that are not in the session"


@every_model
def test_answers_are_bundles_of_the_session_whatever_the_session(name: str, runs: Runs) -> None:
    model = runs.of(name).loaded
    sessions = [*(each.session for each in runs.splits.train[:4]), *odd_sessions()]

    first = answers(model, sessions)

    assert len(first) == len(sessions)
    for session, generation in zip(sessions, first, strict=True):
        check_answer(session, generation)
    assert answers(model, sessions[-6:-2]) == answers(model, sessions[-6:-2]), (
        "the same seed has to give the same answers"
    )


@every_model
def test_a_saved_run_loads_to_the_same_answers(name: str, runs: Runs) -> None:
    run = runs.of(name)
    sessions = [each.session for each in runs.splits.test]

    generations = answers(run.loaded, sessions)

    given = [[sorted(bundle) for bundle in generation.bundles] for generation in generations]
    assert dict(zip((session.session_id for session in sessions), given, strict=True)) == run.test_answers


@every_model
def test_a_seed_fixes_a_run_and_no_test_label_is_seen(name: str, runs: Runs) -> None:
    run, other = runs.of(name), runs.of(name, wrong="test")

    assert other.test_answers == run.test_answers, "either the seed does not fix the answers, or test labels are read"
    first, second = run.best, other.best
    assert first.record["extra_state"] == second.record["extra_state"]
    assert first.tensors.keys() == second.tensors.keys()
    for key, value in first.tensors.items():
        assert torch.equal(value, second.tensors[key]), f"{key} depends on test labels, or on more than the seed"


@pytest.mark.parametrize("name", [name for name in model_names() if resolve_model(name).gradient_trained])
def test_a_run_that_is_stopped_after_every_epoch_ends_like_one_that_never_was(name: str, runs: Runs) -> None:
    whole, stopped = runs.of(name), runs.of(name, stopped=True)

    assert stopped.test_answers == whole.test_answers
    assert stopped.metrics == whole.metrics
    for kept in ("best", "last"):
        first, second = load_checkpoint(whole.folder, kept), load_checkpoint(stopped.folder, kept)
        assert first.record["extra_state"] == second.record["extra_state"]
        assert first.tensors.keys() == second.tensors.keys()
        for key, value in first.tensors.items():
            if not key.startswith("random/"):  # after the last draw nobody restores the generators any more
                assert torch.equal(value, second.tensors[key]), f"{kept}: {key} is another after stops"


@every_model
def test_valid_labels_choose_and_do_not_train(name: str, runs: Runs) -> None:
    # After one epoch a stage there is no best epoch to choose: what differs was trained on valid labels, or chosen.
    run, other = runs.of(name, one_epoch=True), runs.of(name, wrong="valid", one_epoch=True)
    first, second = run.best, other.best

    assert first.tensors.keys() == second.tensors.keys()
    for key, value in first.tensors.items():
        assert torch.equal(value, second.tensors[key]), f"{key} was trained on valid labels"
    states = first.record["extra_state"], second.record["extra_state"]
    differs = {key for key in states[0] | states[1] if states[0].get(key) != states[1].get(key)}
    unknown = differs - CHOSEN_ON_VALID.get(name, set())
    assert not unknown, (
        f"{sorted(unknown)} of extra_state depend on valid labels; what is a choice, such as a threshold, is named in "
        "CHOSEN_ON_VALID of contract_settings.py, anything else must not"
    )
    # A model whose checkpoint holds nothing may read labels whenever it is loaded.
    assert differs or other.test_answers == run.test_answers, "answers depend on valid labels"


@every_model
def test_it_learns_or_says_that_it_does_not(name: str, runs: Runs) -> None:
    run, labelled = runs.of(name), runs.splits.test
    learnt = run.best.tensors or run.best.record["extra_state"]

    if name in FROZEN:
        sessions = [each.session for each in runs.splits.test]
        assert not learnt, f"{name} is listed in FROZEN of contract_settings.py, and its checkpoint holds something"
        assert answers(run.loaded, sessions) == answers(run.untrained(), sessions)
        return
    after = matched_f1(run.loaded, labelled)
    if learnt:
        before = matched_f1(run.untrained(), labelled)
        assert after > before, f"MatchedF1 {before:.3f} untrained, {after:.3f} trained; FAST may be too fast"
    else:  # learns anew whenever it is loaded: then from the labels
        misled = matched_f1(runs.of(name, wrong="train").loaded, labelled)
        assert after > misled, f"{name} learns nothing; list it in FROZEN of contract_settings.py if it is so"


@pytest.mark.parametrize("name", [name for name in model_names() if keeps_what_it_learnt_without_a_student(name)])
def test_it_learns_from_bundle_mini(name: str, tmp_path: Path) -> None:
    settings = {"output_dir": str(tmp_path), "show_progress": False, "state": "ERROR"}
    run = Run(Path(run_recbole_routedk(name, "bundle-mini", config_dict=settings)["run_folder"]))
    labelled = tuple(read_atomic(shipped_datasets() / "bundle-mini", "bundle-mini").all())

    before, after = matched_f1(run.untrained(), labelled), matched_f1(run.loaded, labelled)

    assert after > before, f"MatchedF1 on bundle-mini: {before:.3f} untrained, {after:.3f} trained"


def test_what_is_said_of_models_is_said_of_models_that_are_there() -> None:
    assert {*FAST, *FROZEN, *CHOSEN_ON_VALID} <= set(model_names())
