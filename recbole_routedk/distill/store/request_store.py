"""Every answer of every teacher, kept in one SQLite file: nothing is asked twice, nothing answered is lost.

WAL lets several processes read while one writes; ``synchronous=FULL`` makes each answer last through a power cut
before it is used, which costs a few milliseconds beside an answer that took seconds and maybe money.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recbole_routedk.distill.store.rows import StoredRow, parse_row, plain_row, row_of
from recbole_routedk.distill.teachers.protocol import Identity, Request, Response, Task, Usage, request_key
from recbole_routedk.errors import UserError

APPLICATION = 0x52444B53
"""``application_id`` of our files ("RDKS"), by which other SQLite files are told apart."""
VERSION = 1
BUSY_SECONDS = 60.0

# Text goes in as bytes and is cast: SQLite then keeps lone surrogates and NUL characters as they are.
_TEXTS = ("task", "teacher", "model", "revision", "endpoint", "text", "failure")
_JSONS = ("messages", "sampling", "sessions")
_COLUMNS = (
    "key",
    *("task", "teacher", "model", "revision", "endpoint"),
    *("messages", "sampling", "seed", "sample", "sessions"),
    *("text", "failure", "attempts", "input_tokens", "output_tokens", "seconds", "created"),
)
_SCHEMA = """
CREATE TABLE requests (
    key TEXT PRIMARY KEY, task TEXT NOT NULL,
    teacher TEXT NOT NULL, model TEXT NOT NULL, revision TEXT NOT NULL, endpoint TEXT NOT NULL,
    messages TEXT NOT NULL, sampling TEXT NOT NULL,
    seed INTEGER NOT NULL, sample INTEGER NOT NULL, sessions TEXT NOT NULL,
    text TEXT, failure TEXT NOT NULL, attempts INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, seconds REAL NOT NULL, created REAL NOT NULL
)
"""
# Queries are put together from names that stand in this file; every value goes through a placeholder.
_INSERT = (
    f"INSERT INTO requests ({', '.join(_COLUMNS)}) "  # nosec B608
    f"VALUES ({', '.join('CAST(? AS TEXT)' if column in _TEXTS else '?' for column in _COLUMNS)}) "
)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM requests WHERE key = ?"  # nosec B608
# An answer is never replaced, not even by another one: everything that was made of it stays reproducible.
_UNLESS_ANSWERED = (
    "ON CONFLICT (key) DO UPDATE SET text = excluded.text, failure = excluded.failure, "
    "attempts = requests.attempts + excluded.attempts, input_tokens = excluded.input_tokens, "
    "output_tokens = excluded.output_tokens, seconds = excluded.seconds, created = excluded.created "
    "WHERE requests.text IS NULL"
)
_IF_IT_ANSWERS = _UNLESS_ANSWERED + " AND excluded.text IS NOT NULL"
WAITING = "written to a batch file, not answered yet"


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """What the store holds of one task and model."""

    task: str
    model: str
    answers: int
    failures: int
    input_tokens: int
    output_tokens: int


class RequestStore:
    """The store in one file; threads and processes may share it. Use it as a context, or ``close`` it."""

    def __init__(self, path: Path, must_exist: bool = False) -> None:
        """Open or make the file; UserError for one that is no store, damaged, newer, or not to be written."""
        self.path = Path(path).expanduser()
        self._lock = threading.RLock()
        if must_exist and not self.path.is_file():
            raise UserError(f"{self.path}: there is no such store; name one with --store")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be made ({error.strerror}); set --knowledge_store") from None
        with self._explained():
            self._connection = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            with self._explained():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> RequestStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def get(self, identity: Identity, request: Request) -> Response | None:
        """Return the stored answer, marked as cached; None for a request that was not answered."""
        query = "SELECT text, input_tokens, output_tokens, seconds FROM requests WHERE key = ? AND text IS NOT NULL"
        with self._lock, self._explained():
            row = self._connection.execute(query, (request_key(identity, request),)).fetchone()
        if row is None:
            return None
        return Response(request, row[0], usage=Usage(row[1], row[2]), seconds=row[3], cached=True)

    def failure(self, identity: Identity, request: Request) -> Response | None:
        """Return how a request failed when it was last asked, marked as cached; None for any other request."""
        row = self.row(request_key(identity, request))
        if row is None or row.response.text is not None or not row.attempts:
            return None
        return replace(row.response, request=request)

    def put(self, identity: Identity, response: Response) -> None:
        """Keep a response for good before returning; a failure is kept too, but never as an answer."""
        self.put_rows([row_of(identity, response, 1, time.time())])

    def put_rows(self, rows: Iterable[StoredRow]) -> int:
        """Keep rows in one transaction, all or none; returns how many were new or newly answered."""
        with self._writing():
            return sum(self._connection.execute(_INSERT + _UNLESS_ANSWERED, _values(row)).rowcount for row in rows)

    def put_missing(self, rows: Iterable[StoredRow]) -> int:
        """Take rows of another store in one transaction: new requests, and answers to failed ones; returns how many."""
        with self._writing():
            return sum(self._connection.execute(_INSERT + _IF_IT_ANSWERS, _values(row)).rowcount for row in rows)

    def expect(self, identity: Identity, requests: Sequence[Request]) -> None:
        """Note requests that are asked elsewhere, such as in a batch file, so that answers can find them by key."""
        now = time.time()
        with self._writing():
            for request in requests:
                row = row_of(identity, Response(request, None, WAITING), 0, now)
                self._connection.execute(_INSERT + "ON CONFLICT (key) DO NOTHING", _values(row))

    def row(self, key: str) -> StoredRow | None:
        """Return the row of a key."""
        return next(self._select("WHERE key = ?", (key,)), None)

    def rows(self, task: str | None = None, failures: bool = False, session: str | None = None) -> Iterator[StoredRow]:
        """Yield rows by key: of one task, only unanswered ones, only those about one session."""
        wheres, values = ["1"], []
        if task is not None:
            wheres.append("task = ?")
            values.append(task)
        if failures:
            wheres.append("text IS NULL")
        for row in self._select(f"WHERE {' AND '.join(wheres)} ORDER BY key", values):
            if session is None or session in row.sessions:
                yield row

    def counts(self) -> list[TaskCounts]:
        """Return what is stored, by task and model."""
        query = (
            "SELECT task, model, count(text), sum(text IS NULL), sum(input_tokens), sum(output_tokens) "
            "FROM requests GROUP BY task, model ORDER BY task, model"
        )
        with self._lock, self._explained():
            return [TaskCounts(*row) for row in self._connection.execute(query)]

    def mean_output_tokens(self, task: Task, model: str) -> float | None:
        """Return the mean length of the answers of a model to a task; None where no answer has a known length."""
        query = "SELECT avg(output_tokens) FROM requests WHERE task = ? AND model = ? AND output_tokens > 0"
        with self._lock, self._explained():
            mean: float | None = self._connection.execute(query, (task.value, model)).fetchone()[0]
        return mean

    def _select(self, where: str, values: Sequence[object]) -> Iterator[StoredRow]:
        # Page by page under the lock, so that a slow reader neither holds up writers nor fills the memory.
        query = f"SELECT key FROM requests {where}"  # nosec B608  # `where` is made of names and placeholders
        with self._lock, self._explained():
            keys = [key for (key,) in self._connection.execute(query, values)]
        for key in keys:
            with self._lock, self._explained():
                found = self._connection.execute(_SELECT, (key,)).fetchone()
            yield self._row(found)

    def _row(self, values: Sequence[Any]) -> StoredRow:
        content = dict(zip(_COLUMNS, values, strict=True))
        try:
            return parse_row(content | {name: json.loads(content[name]) for name in _JSONS})
        except (TypeError, ValueError) as error:
            raise UserError(f"{self.path}: {_EXPLANATIONS['malformed']} ({error})") from None

    def _prepare(self) -> None:
        self._connection.text_factory = lambda raw: raw.decode("utf-8", "surrogatepass")
        execute = self._connection.execute
        if self._is_new():
            execute("PRAGMA journal_mode = WAL")
            with self._writing():
                if self._is_new():  # no other process was faster
                    execute(_SCHEMA)
                    execute(f"PRAGMA application_id = {APPLICATION}")
                    execute(f"PRAGMA user_version = {VERSION}")
        execute("PRAGMA synchronous = FULL")
        application, version = (execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        if application != APPLICATION:
            raise UserError(f"{self.path}: is a database of another program; set --knowledge_store to another file")
        if version != VERSION:
            raise UserError(
                f"{self.path}: is a store of version {version}, this program "  # nosec B608  # words, no query
                f"reads {VERSION}; update recbole_routedk, or set --knowledge_store to another file"
            )
        damage = execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise sqlite3.DatabaseError(f"malformed: {damage}")

    def _is_new(self) -> bool:
        # A process that was killed right after it made the file leaves it empty.
        return bool(self._connection.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction: all of the block or nothing."""
        with self._lock, self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn SQLite's errors into what happened and how to mend it."""
        try:
            yield
        except sqlite3.Error as error:
            raise UserError(f"{self.path}: {_explanation(str(error))}") from None


_EXPLANATIONS = {
    "not a database": "is no store; set --knowledge_store to another file",
    "malformed": "is damaged; move it away, and bring back what is left with: "
    "sqlite3 <file> .recover | sqlite3 <new file>",
    "readonly": "cannot be written, since file or folder is read-only; set --knowledge_store to another place",
    "unable to open": "cannot be opened; is the folder there, and may it be written? Or set --knowledge_store",
    "is full": "cannot be written, since the disk is full; make room and run the same command again, which goes on",
    "disk I/O": "cannot be read or written (is the disk full or gone?); the same command goes on afterwards",
    "locked": f"another process has held it for {BUSY_SECONDS:.0f} seconds; wait for it and run the same command again",
}


def _explanation(error: str) -> str:
    matching = (text for part, text in _EXPLANATIONS.items() if part in error)
    return f"{next(matching, 'cannot be used as a store')} ({error})"


def _values(row: StoredRow) -> list[object]:
    content = plain_row(row)
    for name in _JSONS:
        content[name] = json.dumps(content[name])
    for name in _TEXTS:
        content[name] = None if content[name] is None else content[name].encode("utf-8", "surrogatepass")
    return [content[name] for name in _COLUMNS]
