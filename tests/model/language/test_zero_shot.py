"""ZeroShot: one question a session, answered by the student or by a teacher."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prompted_run import built, run_prompted, scripted, session
from small_run import predictions

from recbole_routedk.config import Config
from recbole_routedk.data.session import Generation, RejectionReason
from recbole_routedk.errors import UserError
from recbole_routedk.quick_start import load_data_and_model

ONE, NONE = session("one", "Tent"), session("none")
TENTS = session("tents", "Tent", "Mat", "Pegs")


def test_the_student_answers_and_answers_the_same_after_loading(small_data: Path, tiny_student_folder: Path) -> None:
    result = run_prompted("ZeroShot", small_data, student=str(tiny_student_folder), consensus_samples=3)

    assert (
        result["name"]
        == "ZeroShot (answered_by=student, student=" + str(tiny_student_folder) + ", consensus_samples=3)"
    )
    assert result["test_result"]["invalidrate"] == 0
    _, model, _, _, _, test = load_data_and_model(result["run_folder"])
    sessions = [own.session for own in test.bundle_dataset.labelled_sessions]
    answers = zip(sessions, model.predict_bundles(sessions), strict=True)
    assert {own.session_id: [sorted(b) for b in each.bundles] for own, each in answers} == predictions(result)
    assert not any(value.requires_grad for value in model.parameters())


def test_a_local_model_answers_and_what_it_cannot_say_is_counted(small_data: Path, tiny_student_folder: Path) -> None:
    result = run_prompted(
        "ZeroShot", small_data, answered_by="local", teacher_model=str(tiny_student_folder), teacher_max_tokens=4
    )

    assert result["name"].startswith("ZeroShot (answered_by=local, teacher_model=")
    assert result["test_result"]["emptyrate"] == 1  # random weights do not end an answer within four tokens
    usage = (Path(result["run_folder"]) / "usage.txt").read_text(encoding="utf-8")
    assert "bundles" in usage
    assert "$0.0000" in usage


def test_hallucinations_make_the_invalid_rate(small_data: Path) -> None:
    model, teacher = scripted("ZeroShot", small_data, lambda _: '{"bundles": [[0, 1], [0, 99]]}')

    (answered,) = model.predict_bundles([TENTS])

    assert answered.bundles == (frozenset({0, 1}),)
    assert [each.reason for each in answered.rejected] == [RejectionReason.UNKNOWN_ITEM]
    (request,) = teacher.asked
    assert [message.role for message in request.messages] == ["system", "user"]  # no example


@pytest.mark.parametrize("who", ["student", "local"])
def test_a_session_without_two_items_is_not_asked_about(small_data: Path, tiny_student_folder: Path, who: str) -> None:
    # Nothing can be loaded under this name: the teacher is not needed.
    model = built("ZeroShot", small_data, answered_by=who, student=str(tiny_student_folder), consensus_samples=1)

    assert model.predict_bundles([ONE, NONE]) == [Generation(()), Generation(())]


def test_a_long_session_is_cut_where_it_can_be_labelled(small_data: Path) -> None:
    model, teacher = scripted("ZeroShot", small_data, lambda _: '{"bundles": [[0, 1], [0, 2]]}', max_items=2)

    (answered,) = model.predict_bundles([TENTS])

    assert answered.bundles == (frozenset({0, 1}),)
    assert "Pegs" not in teacher.asked[0].messages[-1].content


# Settings -----------------------------------------------------------------------------------------


def settings(data: Path, given: dict[str, object] | None = None, **texts: str) -> Config:
    return Config("ZeroShot", "small", config_dict={"data_path": str(data)} | (given or {}), command_line=texts)


def test_who_answers_brings_its_own_settings(small_data: Path) -> None:
    config = settings(small_data, answered_by="openai", teacher_timeout="9")

    assert (config["teacher_model"], config["teacher_timeout"]) == ("gpt-4o-mini", 9.0)
    assert settings(small_data, answered_by="local")["teacher_model"] == "smollm2-135m-instruct"
    assert settings(small_data)["teacher_model"] is None


@pytest.mark.parametrize(
    "texts, message",
    [
        ({"answered_by": "opnai"}, "no teacher 'opnai'. Did you mean 'openai'"),
        ({"teacher_model": "m"}, "is a setting of the teacher .*, not of student"),
        ({"answered_by": "local", "teacher_base_url": "x"}, "is a setting of the teacher openai, not of local"),
        ({"answered_by": "openai", "teacher_api_key": "k"}, "printed and saved"),
        ({"retriever": "bm25"}, "retriever is a setting of AICL, ICL, not of ZeroShot"),
    ],
)
def test_settings_are_checked(small_data: Path, texts: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        settings(small_data, **texts)


def test_models_beside_take_only_what_is_theirs(small_data: Path) -> None:
    given = {"answered_by": "openai", "teacher_model": "m"}

    def beside(model: str, **texts: str) -> Config:
        return Config(model, "small", None, {"data_path": str(small_data)}, texts, ["ZeroShot", "RouteDK", "Freq"])

    assert beside("ZeroShot", **given)["teacher_model"] == "m"
    for model in ("RouteDK", "Freq"):
        assert beside(model, **given).run_folder == beside(model).run_folder
    # The student answers, and RouteDK's teacher is no concern of it.
    other = beside("ZeroShot", teacher="openai", teacher_model="m", knowledge_ratio="0.5")
    assert other.run_folder == beside("ZeroShot").run_folder


def test_the_run_folder_tells_who_answered_but_not_how_fast(small_data: Path) -> None:
    plain = settings(small_data, answered_by="openai")

    assert settings(small_data, answered_by="openai", teacher_concurrency="2").run_folder == plain.run_folder
    assert settings(small_data, answered_by="openai", rule_batch="2").run_folder == plain.run_folder
    assert settings(small_data, answered_by="openai", teacher_model="m").run_folder != plain.run_folder
    assert settings(small_data).run_folder != plain.run_folder
    assert plain.changed_model_settings() == {"answered_by": "openai"}


def test_a_saved_run_can_be_answered_by_another(small_data: Path) -> None:
    plain = json.loads(json.dumps(settings(small_data, answered_by="openai", teacher_model="m").plain()))

    assert Config.from_plain(plain)["teacher_model"] == "m"
    assert Config.from_plain(plain, {"answered_by": "local"})["teacher_batch_size"] == 8
    assert Config.from_plain(plain, {"answered_by": "student"})["teacher_base_url"] is None
