"""The store's file: what it keeps, who may use it at once, and what it says of a file that it cannot use."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_teacher import IDENTITY, RecordedTeacher, a_request, the_answer

from recbole_routedk.distill.store.request_store import WAITING, RequestStore
from recbole_routedk.distill.store.stored_teacher import StoredTeacher
from recbole_routedk.distill.teachers.protocol import Response, Task, Usage, request_key
from recbole_routedk.errors import UserError


def test_an_answer_comes_back_as_it_was_marked_as_cached(tmp_path: Path) -> None:
    request = a_request("hello")
    response = Response(request, "an answer", usage=Usage(12, 3), seconds=1.5)
    with RequestStore(tmp_path / "a" / "b" / "k.sqlite") as store:
        store.put(IDENTITY, response)

        assert store.get(IDENTITY, request) == replace(response, cached=True)
        assert store.get(replace(IDENTITY, model="another"), request) is None
        assert store.get(IDENTITY, a_request("hallo")) is None


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_survives(content: str, answer: str) -> None:
    with RequestStore(Path(":memory:")) as store:
        request = a_request(content)
        store.put(IDENTITY, Response(request, answer))

        kept = store.get(IDENTITY, request)
        (row,) = store.rows()

    assert kept is not None
    assert kept.text == answer
    assert row.request == request
    assert row.sessions == (f"s-{content}",)


def test_an_answer_is_never_replaced_and_a_failure_never_served(tmp_path: Path) -> None:
    request = a_request("a")
    with RequestStore(tmp_path / "k.sqlite") as store:
        store.put(IDENTITY, Response(request, None, "timed out"))
        assert store.get(IDENTITY, request) is None
        for text in ("first", None, "second"):
            store.put(IDENTITY, Response(request, text, "" if text else "refused"))

        (row,) = store.rows()
        assert (row.response.text, row.response.failure, row.attempts) == ("first", "", 2)


def test_rows_can_be_chosen_by_task_failure_and_session(tmp_path: Path) -> None:
    with RequestStore(tmp_path / "k.sqlite") as store:
        requests = [a_request("a"), a_request("b", Task.RULES), a_request("fail", Task.RULES)]
        list(StoredTeacher(RecordedTeacher(), store).complete(requests))

        assert {row.request for row in store.rows(task="rules")} == set(requests[1:])
        assert [row.request for row in store.rows(failures=True)] == [requests[2]]
        assert [row.request for row in store.rows(session="s-a")] == [requests[0]]
        counts = {count.task: (count.answers, count.failures) for count in store.counts()}
        assert counts == {"rules": (1, 1), "thought": (1, 0)}
        assert store.mean_output_tokens(Task.THOUGHT, IDENTITY.model) == 5
        assert store.mean_output_tokens(Task.CAUSES, IDENTITY.model) is None


def test_requests_asked_elsewhere_wait_without_counting_as_asked(tmp_path: Path) -> None:
    known, new = a_request("a"), a_request("b")
    with RequestStore(tmp_path / "k.sqlite") as store:
        store.put(IDENTITY, Response(known, "answer"))
        store.expect(IDENTITY, [known, new])

        waiting = store.row(request_key(IDENTITY, new))
        assert waiting is not None
        assert (waiting.response.failure, waiting.attempts) == (WAITING, 0)
        assert store.get(IDENTITY, known) is not None


def test_threads_of_several_stores_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "k.sqlite"

    def write(start: int) -> None:
        with RequestStore(path) as store:
            for number in range(start, start + 15):
                store.put(IDENTITY, Response(a_request(str(number)), "x"))

    threads = [threading.Thread(target=write, args=(10 * each,)) for each in range(4)]  # they overlap
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with RequestStore(path) as store:
        assert {row.request.messages[-1].content for row in store.rows()} == {str(n) for n in range(45)}


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    program = [sys.executable, str(Path(__file__).with_name("recorded_teacher.py")), str(tmp_path / "k.sqlite")]
    running = [
        subprocess.Popen([*program, str(tmp_path / f"{each}.log"), "30"], stdout=subprocess.DEVNULL)
        for each in range(3)
    ]

    assert [process.wait(timeout=60) for process in running] == [0, 0, 0]
    with RequestStore(tmp_path / "k.sqlite") as store:
        assert {row.response.text for row in store.rows()} == {the_answer(a_request("request 1"))}
        assert len(list(store.rows())) == 30


def test_a_file_that_is_no_store_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes, which are longer than a header of a database\n" * 20, encoding="utf-8")

    with pytest.raises(UserError, match=r"notes.txt: is no store; set --knowledge_store"):
        RequestStore(path)
    assert path.read_text(encoding="utf-8").startswith("my notes")


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (x)")
    other.close()

    with pytest.raises(UserError, match="database of another program"):
        RequestStore(path)


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "k.sqlite"
    RequestStore(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()

    with pytest.raises(UserError, match="store of version 99, this program reads 1; update"):
        RequestStore(path)


def test_a_damaged_file_is_named_with_what_may_rescue_it(tmp_path: Path) -> None:
    path = tmp_path / "k.sqlite"
    with RequestStore(path) as store:
        list(StoredTeacher(RecordedTeacher(), store).complete(a_request(str(number)) for number in range(30)))
    raw = bytearray(path.read_bytes())
    raw[5000:9000] = b"\xff" * 4000
    path.write_bytes(raw)

    with pytest.raises(UserError, match=r"k.sqlite: is damaged.*\.recover"):
        RequestStore(path)


def test_a_changed_request_in_the_file_is_not_served(tmp_path: Path) -> None:
    path = tmp_path / "k.sqlite"
    with RequestStore(path) as store:
        store.put(IDENTITY, Response(a_request("a"), "x"))
    with sqlite3.connect(path) as other:
        other.execute("UPDATE requests SET seed = 8")
    other.close()

    with RequestStore(path) as store, pytest.raises(UserError, match=r"damaged.*a part of it was changed"):
        list(store.rows())


def test_an_empty_file_left_by_a_killed_process_is_taken(tmp_path: Path) -> None:
    (tmp_path / "k.sqlite").touch()

    with RequestStore(tmp_path / "k.sqlite") as store:
        assert store.counts() == []


@pytest.mark.parametrize("place", ["file/k.sqlite", "."])
def test_a_place_where_no_file_can_be_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UserError, match="--knowledge_store"):
        RequestStore(tmp_path / place)


def test_reading_needs_a_store_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such store"):
        RequestStore(tmp_path / "k.sqlite", must_exist=True)
    assert not (tmp_path / "k.sqlite").exists()


def test_a_full_disk_is_said_and_leaves_whole_answers(tmp_path: Path) -> None:
    path = tmp_path / "k.sqlite"
    with RequestStore(path) as store:
        store.put(IDENTITY, Response(a_request("first"), "x"))

    # A limit on the size of files does what a full disk does, to this process's child alone.
    program = [sys.executable, str(Path(__file__).with_name("recorded_teacher.py")), str(path), str(tmp_path / "log")]
    done = subprocess.run(
        [*program, "100"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )

    assert done.returncode == 1
    assert "UserError" in done.stderr
    assert "is the disk full" in done.stderr or "the disk is full" in done.stderr
    with RequestStore(path) as store:
        printed = done.stdout.split("\n")[:-1]
        assert {row.request.messages[-1].content for row in store.rows()} >= {"first", *printed}
