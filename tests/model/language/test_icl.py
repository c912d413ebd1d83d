"""ICL: how the nearest training sessions are bundled stands before the question."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompted_run import built, labelled, run_prompted, scripted, session
from small_run import predictions

from recbole_routedk.model.language.icl import ICL, demonstrated
from recbole_routedk.model.language.student_respondent import StudentRespondent
from recbole_routedk.model.language.teacher_respondent import written_messages

NEAR = labelled(session("near", "Tent", "Novel", "Mat"), frozenset({0, 2}))
FAR = labelled(session("far", "Pan", "Knife", "Pot", "Lid"), frozenset({2, 3}), frozenset({0, 1}))


def test_the_nearest_is_told_last() -> None:
    system, *turns = written_messages(demonstrated(session("asked", "Stove", "Lamp"), [NEAR, FAR]))

    assert system.role == "system"
    assert [(turn.role, turn.content) for turn in turns] == [
        (
            "user",
            '0: "Pan"\n1: "Knife"\n2: "Pot"\n3: "Lid"\nWhich items form bundles? {"bundles": [[item, item], ...]}',
        ),
        ("assistant", '{"bundles": [[0, 1], [2, 3]]}'),
        ("user", '0: "Tent"\n1: "Novel"\n2: "Mat"\nWhich items form bundles? {"bundles": [[item, item], ...]}'),
        ("assistant", '{"bundles": [[0, 2]]}'),
        ("user", '0: "Stove"\n1: "Lamp"\nWhich items form bundles? {"bundles": [[item, item], ...]}'),
    ]


@pytest.mark.parametrize("retriever", ["bm25", "embeddings"])
def test_a_run_with_the_student(small_data: Path, tiny_student_folder: Path, retriever: str) -> None:
    result = run_prompted(
        "ICL", small_data, student=str(tiny_student_folder), retriever=retriever, consensus_samples=2, demonstrations=2
    )

    assert "answered_by=student, demonstrations=2" in result["name"]
    assert len(predictions(result)) == 4
    assert all(len(bundle) > 1 for bundles in predictions(result).values() for bundle in bundles)


def test_a_training_session_is_asked_about_without_its_own_answer(small_data: Path) -> None:
    model, teacher = scripted("ICL", small_data, lambda _: '{"bundles": []}', demonstrations=3)
    own = model.dataset.labelled_sessions[0]

    model.predict_bundles([own.session])

    (request,) = teacher.asked
    *shown, asked = (message.content for message in request.messages if message.role == "user")
    assert len(shown) == 3
    assert asked not in shown


def test_the_farthest_are_left_out_where_the_context_is_too_short(small_data: Path, tiny_student_folder: Path) -> None:
    settings = {"student": str(tiny_student_folder), "consensus_samples": 1}
    # The tiny student reads 2048 tokens, and most of them are kept for the answer.
    model = built("ICL", small_data, demonstrations=8, answer_tokens=1700, **settings)
    assert isinstance(model, ICL)
    assert isinstance(model.respondent, StudentRespondent)
    own = model.dataset.labelled_sessions[0].session
    (neighbours,) = model.neighbours([own])
    assert len(neighbours) == 8

    fitting = model._talk(own, neighbours)

    assert fitting == demonstrated(own, neighbours)[-len(fitting) :]
    assert 1 < len(fitting) < 17
    assert len(model.respondent.tokens(fitting)) + 1700 <= 2048
