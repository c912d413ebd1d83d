"""RecBole's own session data sets are read as sessions with titles, or what is wrong is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_routedk.data import recbole_sessions
from recbole_routedk.data.plain import BadSessionError
from recbole_routedk.data.recbole_sessions import FieldNames, RecBoleSessions, is_recbole
from recbole_routedk.data.session import Session
from recbole_routedk.errors import UserError
from recbole_routedk.registry import shipped_datasets

INTER = "session_id:token\titem_id:token\ttimestamp:float\n"
ITEM = "item_id:token\tname:token_seq\tbrand:token\nb\tCamera bag\tLowe\na\tTripod\\s\t\nc\tYoga mat\tFit\n"


def write(folder: Path, rows: str, items: str = ITEM) -> Path:
    folder.mkdir()
    (folder / f"{folder.name}.inter").write_text(INTER + rows, encoding="utf-8")
    (folder / f"{folder.name}.item").write_text(items, encoding="utf-8")
    return folder


def read(source: RecBoleSessions) -> list[tuple[int, Session | str]]:
    found: list[tuple[int, Session | str]] = []
    for number, entry in source.entries():
        try:
            found.append((number, source.session(number, entry)))
        except BadSessionError as error:
            found.append((number, str(error)))
    return found


def test_rows_become_sessions_in_the_order_of_time(tmp_path: Path) -> None:
    source = RecBoleSessions(write(tmp_path / "shop", "1\ta\t30\n1\tb\t10\n1\ta\t40\n2\tc\t5\n"))

    first, second = read(source)

    assert first[0] == 2
    assert isinstance(first[1], Session)
    assert [(item.item_id, item.title) for item in first[1].items] == [("b", "Camera bag"), ("a", "Tripod\\s")]
    assert second[0] == 5
    assert source.count() == 2


def test_columns_may_be_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "shop", "1\ta\t30\n1\tb\t10\n")
    source = RecBoleSessions(folder / "shop.inter", FieldNames(time="session_id", titles=("brand", "name")))

    ((_, session),) = read(source)

    assert isinstance(session, Session)
    assert [item.title for item in session.items] == ["Tripod\\s", "Lowe Camera bag"]


def test_rows_that_cannot_be_used_are_told_with_their_line(tmp_path: Path) -> None:
    rows = "1\ta\t1\n1\tb\n2\tc\t1\n2\tx\t2\n1\tc\t9\n3\tb\t1\n"
    source = RecBoleSessions(write(tmp_path / "shop", rows))

    told = read(source)

    assert [number for number, _ in told] == [3, 2, 4, 6, 6, 7]
    assert told[0][1] == "is no row of as many fields as the header has"
    assert told[2][1] == "item 'x' has no row in shop.item"
    assert told[3][1] == "session '1' comes back after others; sort the file by session"
    assert isinstance(told[5][1], Session)


def test_an_endless_session_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recbole_sessions, "MOST_ITEMS", 3)
    source = RecBoleSessions(write(tmp_path / "shop", "1\ta\t1\n" * 50))

    ((_, told),) = read(source)

    assert told == "session '1' has more than 3 rows"


def test_our_own_data_sets_are_read_too() -> None:
    source = RecBoleSessions(shipped_datasets() / "bundle-mini" / "bundle-mini.test.inter")

    sessions = read(source)

    assert len(sessions) == source.count() == 40
    assert all(isinstance(session, Session) and len(session) >= 2 for _, session in sessions)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "shop", "1\ta\t1\n", "item_id:token\tgenre:token\na\tdrama\n")
    with pytest.raises(UserError, match=r"shop\.item, line 1: has no column title or name .* --title_field="):
        RecBoleSessions(folder)
    with pytest.raises(UserError, match=r"has no column user but session_id, item_id, timestamp; .*--session_field="):
        RecBoleSessions(folder, FieldNames(session="user"))
    (folder / "shop.inter").rename(folder / "shop.test.inter")
    with pytest.raises(UserError, match=r"no such file; name one of shop\.test\.inter"):
        RecBoleSessions(folder)


def test_what_is_taken_for_a_recbole_data_set(tmp_path: Path) -> None:
    assert is_recbole(tmp_path)
    assert is_recbole(Path("a.inter"))
    assert not is_recbole(Path("a.jsonl"))
