"""What became of a batch, in one SQLite file: every document's state, every field's answer, every person's word on one.

A document is known by its key (``Identity``): its content, page, task, model and settings. Two inputs with the same content share
one key, and are read once. A document's answers are written in one transaction, so a kill loses whole documents or none.
Tables for people and programs are made from it (``tables``); nothing here knows how answers come about. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, get_args

from layoutllm_tool.errors import StoreMismatch, StoreUnusable

FILE = "batch.sqlite"
"""In the folder of a batch."""
Status = Literal["done", "failed"]

_IN_SOURCE = "key IN (SELECT key FROM inputs)"
_UNREVIEWED = f"""
    SELECT key FROM documents WHERE status = 'done' AND {_IN_SOURCE} AND key IN (SELECT key FROM fields)
    AND key NOT IN (SELECT key FROM reviews)
"""
_SEARCHED = """
    (SELECT group_concat(inputs.name, ' ') FROM inputs WHERE inputs.key = fields.key)
    || ' ' || name || ' ' || coalesce(json_extract(answer, '$.answer'), '')
"""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS inputs (
    position INTEGER PRIMARY KEY, name TEXT NOT NULL, page INTEGER, key TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS inputs_by_key ON inputs (key);
CREATE TABLE IF NOT EXISTS documents (
    key TEXT PRIMARY KEY, status TEXT NOT NULL, verdict TEXT, error TEXT, kind TEXT, retryable INTEGER NOT NULL,
    sha256 TEXT, pages INTEGER, seconds REAL NOT NULL, at TEXT NOT NULL, turned TEXT);
CREATE TABLE IF NOT EXISTS fields (
    key TEXT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, verdict TEXT NOT NULL, confidence REAL,
    waiting INTEGER NOT NULL, answer TEXT NOT NULL, PRIMARY KEY (key, name));
CREATE INDEX IF NOT EXISTS fields_waiting ON fields (waiting) WHERE waiting;
CREATE TABLE IF NOT EXISTS reviews (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL, name TEXT NOT NULL, reply TEXT NOT NULL, before TEXT NOT NULL,
    after TEXT NOT NULL, at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS reviews_by_key ON reviews (key);
CREATE TABLE IF NOT EXISTS queued (key TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (key, name));
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a document's answers depend on; everything but the content and the page is the batch's settings."""

    sha256: str
    """Of the document's bytes; of its name, where it has none (a missing file)."""
    page: int | None
    """1-based, where one page alone is asked."""
    settings: Mapping[str, Any]
    """Task, model, rounds, languages ...: plain JSON."""

    @property
    def key(self) -> str:
        known = json.dumps([self.sha256, self.page, self.settings], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(known.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Input:
    """One row of the source, in its order."""

    position: int
    name: str
    """The path or URL as the source has it."""
    page: int | None
    key: str


@dataclass(frozen=True, slots=True)
class Done:
    """A document's row. ``verdict`` is the worst of its fields'; failed ones have ``error`` (what and what to do), ``kind`` (the
    error's class), and may be ``retryable``. ``seconds`` it took, ``at`` when (UTC, ISO 8601). ``turned`` are the pages that were turned or
    levelled before they were read, None where that is not known: their boxes are true to the picture so turned."""

    key: str
    status: Status
    verdict: str | None = None
    error: str | None = None
    kind: str | None = None
    retryable: bool = False
    sha256: str | None = None
    pages: int | None = None
    seconds: float = 0.0
    at: str = ""
    turned: list[int] | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One question's outcome in one document. ``answer`` is ``graphs.state.Answer`` as JSON: answer, page, box, area in its ``cot``,
    confidence, verdict, reasons, by, calls, error. ``waiting`` for a person: its workflow is parked, or it is queued."""

    key: str
    position: int
    """Of the question in the plan, from 0."""
    name: str
    answer: dict[str, Any]
    waiting: bool


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A person's word on a field, as it was said (``graphs.review.Review`` as JSON), with the answer before and after it."""

    number: int
    key: str
    name: str
    reply: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]
    at: str

    @property
    def decided(self) -> bool:
        """Whether an answer stands after it. What a correction led to is the reader's until a person or the checks are content."""
        return (
            self.after.get("by") == "person"
            and self.after.get("verdict") == "satisfied"
            and bool(self.after.get("cot"))
        )


class Store:
    """Safe for several threads, and for several processes on one file (WAL, waiting up to a minute for each other).

    ``Store.open(folder, settings)`` for a batch, ``Store.open(folder)`` for whoever looks at one.
    """

    def __init__(self, connection: sqlite3.Connection, place: Path, *, read_only: bool = False) -> None:
        self._connection, self._place, self._lock = connection, place, threading.RLock()
        self.read_only = read_only
        """Whether nothing can be written: the folder, or the file, does not allow it."""

    @classmethod
    def open(cls, folder: Path, settings: Mapping[str, Any] | None = None) -> Self:
        """The store in the folder, made where there is none and settings are given.

        StoreMismatch where it was made with other settings (it says which), or where there is none and none may be made.
        """
        place = folder / FILE
        with _usable(place):
            if settings is None:
                if not place.is_file():
                    raise StoreMismatch(f"{folder} holds no batch.", hint=_NAME_IT)
                connection, read_only = _looked_at(place)
                _check_schema(connection, folder)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                connection, read_only = _made(place), False
        # Names are kept as they are, also those that are no UTF-8 on disk.
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogatepass")
        connection.create_function("folded", 1, _folded, deterministic=True)  # SQLite's lower() knows ASCII alone
        store = cls(connection, place, read_only=read_only)
        if settings is not None:
            store._agree(folder, settings)
        elif not isinstance(store.settings.get("plan"), dict):
            raise StoreMismatch(f"{folder} holds no batch.", hint=_NAME_IT)
        return store

    def _agree(self, folder: Path, settings: Mapping[str, Any]) -> None:
        given = {name: json.dumps(value, sort_keys=True, ensure_ascii=False) for name, value in settings.items()}
        with self._transaction() as cursor:
            known = dict(cursor.execute("SELECT name, value FROM settings").fetchall())
            if not known:
                cursor.executemany("INSERT INTO settings VALUES (?, ?)", list(given.items()))
                return
        if other := sorted(name for name in known.keys() | given.keys() if known.get(name) != given.get(name)):
            told = "; ".join(f"{n}: {known.get(n, 'none')[:80]} there, {given.get(n, 'none')[:80]} now" for n in other)
            raise StoreMismatch(
                f"{folder} was made with other settings ({told}).", hint="Choose another folder with -o."
            )

    @property
    def settings(self) -> dict[str, Any]:
        rows = self._rows("SELECT name, value FROM settings ORDER BY name")
        with _usable(self._place):
            return {name: json.loads(value) for name, value in rows}

    # -- inputs and documents ----------------------------------------------------------------------------------------

    def enter(self, inputs: Sequence[Input]) -> None:
        """Says what the source holds; again is no harm."""
        rows = [(i.position, i.name.encode("utf-8", "surrogatepass"), i.page, i.key) for i in inputs]
        with self._transaction() as cursor:
            cursor.executemany("INSERT OR REPLACE INTO inputs VALUES (?, CAST(? AS TEXT), ?, ?)", rows)

    def keep_inputs(self, positions: Sequence[int]) -> None:
        """Forgets the inputs at all other positions: the source has changed since. What became of them is kept."""
        with self._transaction() as cursor:
            cursor.execute("CREATE TEMP TABLE IF NOT EXISTS kept (position INTEGER PRIMARY KEY)")
            cursor.execute("DELETE FROM kept")
            cursor.executemany("INSERT INTO kept VALUES (?)", [(position,) for position in positions])
            cursor.execute("DELETE FROM inputs WHERE position NOT IN (SELECT position FROM kept)")

    def inputs(self) -> Iterator[Input]:
        """In the order of the source."""
        yield from (Input(*row) for row in self._stream("SELECT position, name, page, key FROM inputs", "position", 0))

    def input_of(self, key: str) -> Input | None:
        """The first input with this key."""
        rows = self._rows(
            "SELECT position, name, page, key FROM inputs WHERE key = ? ORDER BY position LIMIT 1", (key,)
        )
        return Input(*rows[0]) if rows else None

    def document(self, key: str) -> Done | None:
        rows = self._rows("SELECT * FROM documents WHERE key = ?", (key,))
        with _usable(self._place):
            return _done(rows[0]) if rows else None

    def put(self, done: Done, fields: Sequence[Field] = ()) -> None:
        """A document with all its fields, in place of what was known of it."""
        error = None if done.error is None else done.error.encode("utf-8", "backslashreplace").decode()
        values = asdict(done) | {"at": done.at or _now(), "turned": _json(done.turned), "error": error}
        with self._transaction() as cursor:
            cursor.execute(
                "INSERT OR REPLACE INTO documents VALUES "
                "(:key, :status, :verdict, :error, :kind, :retryable, :sha256, :pages, :seconds, :at, :turned)",
                values,
            )
            _replace(cursor, done.key, fields)

    # -- fields ------------------------------------------------------------------------------------------------------

    def fields(self, key: str) -> list[Field]:
        """In the order of the plan."""
        wanted = "SELECT key, position, name, answer, waiting FROM fields WHERE key = ? ORDER BY position"
        rows = self._rows(wanted, (key,))
        with _usable(self._place):
            return [_field(row) for row in rows]

    def field(self, key: str, name: str) -> Field | None:
        return next((field for field in self.fields(key) if field.name == name), None)

    def verdicts(self) -> dict[str, int]:
        """How many fields of each verdict; a content that stands in the source twice counts once."""
        return dict(
            self._rows(f"SELECT verdict, count(*) FROM fields WHERE {_IN_SOURCE} GROUP BY verdict ORDER BY verdict")
        )

    def statuses(self) -> dict[str, int]:
        """How many inputs of each status; those that the batch has not come to are in none."""
        wanted = "SELECT status, count(*) FROM inputs JOIN documents USING (key) GROUP BY status ORDER BY status"
        found = dict(self._rows(wanted))
        with _usable(self._place):
            _check_statuses(found)
            return found

    def find(
        self,
        *,
        verdict: str = "",
        waiting: bool | None = None,
        least: float = 0.0,
        most: float = 1.0,
        text: str = "",
        offset: int = 0,
        limit: int = 200,
    ) -> tuple[int, list[Field]]:
        """How many fields fit, and ``limit`` of them: what waits for a person first, then the least confident.

        ``least`` and ``most`` bound the confidence (none is 0); ``text`` stands in the document's or field's name or the answer, whatever the case.
        """
        conditions = f"{_IN_SOURCE} AND coalesce(confidence, 0) BETWEEN :least AND :most"
        conditions += " AND verdict = :verdict" if verdict else ""
        conditions += " AND waiting = :waiting" if waiting is not None else ""
        conditions += f" AND instr(folded({_SEARCHED}), folded(:text))" if text else ""
        given = {
            "verdict": verdict, "waiting": waiting, "least": least, "most": most, "text": text, "offset": offset, "limit": limit,
        }  # fmt: skip
        ((total,),) = self._rows(f"SELECT count(*) FROM fields WHERE {conditions}", given)
        wanted = (
            f"SELECT key, position, name, answer, waiting FROM fields WHERE {conditions} "
            "ORDER BY NOT waiting, coalesce(confidence, 0), key, position LIMIT :limit OFFSET :offset"
        )
        rows = self._rows(wanted, given)
        with _usable(self._place):
            return total, [_field(row) for row in rows]

    # -- reviews -----------------------------------------------------------------------------------------------------

    def reviewed(self, key: str, name: str, reply: Mapping[str, Any], fields: Sequence[Field], verdict: str) -> None:
        """A person's word on a field, and the document's fields after it (others may have changed with it).

        What was queued waits on, whatever ``fields`` says, until a person has spoken of it.
        """
        before, after = self.field(key, name), next(field for field in fields if field.name == name)
        said = (key, name, _json(reply), _json(before.answer if before else {}), _json(after.answer), _now())
        with self._transaction() as cursor:
            cursor.execute("INSERT INTO reviews (key, name, reply, before, after, at) VALUES (?, ?, ?, ?, ?, ?)", said)
            cursor.execute("DELETE FROM queued WHERE key = ? AND name = ?", (key, name))
            _replace(cursor, key, fields)
            cursor.execute("UPDATE documents SET verdict = ? WHERE key = ?", (verdict, key))

    def reviews(self) -> list[Reviewed]:
        """In the order in which they were said; a field may have several."""
        rows = self._rows("SELECT number, key, name, reply, before, after, at FROM reviews ORDER BY number")
        with _usable(self._place):
            return [
                Reviewed(number, key, name, json.loads(reply), json.loads(before), json.loads(after), at)
                for number, key, name, reply, before, after, at in rows
            ]

    def decisions(self) -> list[Reviewed]:
        """The last word on each field, where it decided anything."""
        return [one for one in {(said.key, said.name): said for said in self.reviews()}.values() if one.decided]

    # -- the queue ---------------------------------------------------------------------------------------------------

    def unreviewed(self) -> Iterator[str]:
        """The keys, sorted, of the source's documents that are done and have fields, and of which no person has spoken."""
        yield from (key for (key,) in self._stream(f"SELECT key FROM ({_UNREVIEWED})", "key", 0, first=""))

    def queue(self, keys: Sequence[str]) -> int:
        """Every field of these documents waits for a person now, whatever its verdict; how many that are.

        A document that has been reviewed, and an unknown one, is left as it is.
        """
        wanted = "INSERT OR IGNORE INTO queued SELECT key, name FROM fields WHERE key = ? AND key NOT IN (SELECT key FROM reviews)"
        with self._transaction() as cursor:
            cursor.executemany(wanted, [(key,) for key in keys])
            return sum(_mark(cursor, key) for key in dict.fromkeys(keys))

    # -- SQLite ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with self._lock, _reached(self._place):
            cursor = self._connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk has ended it already
                    cursor.execute("ROLLBACK")
                raise

    def _rows(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, _usable(self._place):
            return self._connection.execute(query, values).fetchall()

    def _stream(
        self, query: str, column: str, at: int, *, first: Any = -1, size: int = 500
    ) -> Iterator[tuple[Any, ...]]:
        """In slices, so that ten thousand rows are never in memory and nobody waits for whoever reads them."""
        last = first
        while rows := self._rows(f"{query} WHERE {column} > ? ORDER BY {column} LIMIT {size}", (last,)):
            yield from rows
            last = rows[-1][at]


# -- files that may be anything -----------------------------------------------------------------------------------------


_NAME_IT = "Name the folder that `layoutllm batch -o` wrote."


@contextmanager
def _reached(place: Path) -> Iterator[None]:
    """What goes wrong with the file is StoreUnusable."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        code = getattr(error, "sqlite_errorname", "")
        writing = isinstance(error, OSError) or code.startswith(_WRITING)
        hint = "Is the disk full, or the folder read-only?" if writing else _NAME_IT
        raise StoreUnusable(f"{place} can't be used: {error}.", hint=hint) from error


@contextmanager
def _usable(place: Path) -> Iterator[None]:
    """For reading: what a damaged or foreign file holds is StoreUnusable too."""
    try:
        with _reached(place):
            yield
    except _SHAPES as error:
        why = f"{type(error).__name__}: {str(error)[:200]}"
        raise StoreUnusable(f"{place} is damaged, or was made by another program ({why}).", hint=_NAME_IT) from error


_SHAPES = (ValueError, TypeError, LookupError, RecursionError, AttributeError, MemoryError)
"""What decoding raises where something else stands than was written."""
_WRITING = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_BUSY")


def _made(place: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(place, timeout=60, check_same_thread=False, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    _upgraded(connection)
    return connection


def _looked_at(place: Path) -> tuple[sqlite3.Connection, bool]:
    """For reading and, where the folder allows it, writing; and whether it does not. SQLite makes files beside a store only to read
    it: where it can't, the file is taken as it lies there."""
    for settings in ("mode=rw", "mode=ro&immutable=1"):
        address = f"{place.absolute().as_uri()}?{settings}"
        try:
            connection = sqlite3.connect(address, uri=True, timeout=60, check_same_thread=False, isolation_level=None)
            _check_foreign(connection)
            fixed = _is_fixed(connection) or settings != "mode=rw"
            if not fixed and _tables(connection) >= _OLDEST:
                _upgraded(connection)
            return connection, fixed
        except sqlite3.OperationalError:
            if settings != "mode=rw":
                raise
    raise AssertionError


_OLDEST = {"settings", "inputs", "documents", "fields"}
"""Tables of the first version: the others are made where they are missing."""


def _check_foreign(connection: sqlite3.Connection) -> None:
    """Before any row is looked at: tables and indexes alone, of plain columns, and values of bounded length. A view or a trigger
    would be somebody else's program. ValueError."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    connection.execute("PRAGMA trusted_schema=OFF")
    for kind, name, statement in connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall():
        virtual = str(statement or "").lstrip()[:30].upper().startswith("CREATE VIRTUAL")
        if kind not in ("table", "index") or virtual:
            raise ValueError(f"it holds a {'virtual table' if virtual else kind}")
        if kind == "table" and any(
            column[6] for column in connection.execute("SELECT * FROM pragma_table_xinfo(?)", (name,))
        ):
            raise ValueError(f"its table {str(name)[:40]!r} computes a column")


_LONGEST_VALUE = 2**25


def _is_fixed(connection: sqlite3.Connection) -> bool:
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith("SQLITE_READONLY"):
            return True
        raise
    return False


def _upgraded(connection: sqlite3.Connection) -> None:
    connection.executescript(_SCHEMA)
    if "turned" not in _columns_of(connection, "documents"):
        connection.execute("ALTER TABLE documents ADD COLUMN turned TEXT")  # a store of an earlier version


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    return {column[1] for column in connection.execute(f"PRAGMA table_info({table})")}


def _check_schema(connection: sqlite3.Connection, folder: Path) -> None:
    """Whether the tables are those of a batch. StoreMismatch."""
    empty = sqlite3.connect(":memory:")
    empty.executescript(_SCHEMA)
    wanted = {table: _columns_of(empty, table) for table in _tables(empty)}
    empty.close()
    for table, columns in wanted.items():
        if missing := columns - _columns_of(connection, table) - ({"turned"} if table == "documents" else set()):
            raise StoreMismatch(
                f"{folder / FILE} is no store of a batch: its table {table!r} lacks {', '.join(sorted(missing))}.",
                hint=_NAME_IT,
            )
    _check_statuses(dict(connection.execute("SELECT DISTINCT status, 1 FROM documents")))


def _check_statuses(found: Mapping[Any, Any]) -> None:
    if unknown := sorted(str(status)[:40] for status in found if status not in get_args(Status)):
        raise ValueError(f"unknown status {unknown[0]!r}")


def _folded(text: Any) -> str:
    return str(text or "").casefold().encode("utf-8", "replace").decode()


def worst(verdicts: Sequence[str]) -> str:
    """The verdict of a whole document: that of its most doubtful field."""
    order = ("failed", "max_iterations_reached", "needs_revision", "satisfied")
    return min(verdicts, key=order.index, default="satisfied")


def _replace(cursor: sqlite3.Cursor, key: str, fields: Sequence[Field]) -> None:
    cursor.execute("DELETE FROM fields WHERE key = ?", (key,))
    cursor.executemany("INSERT INTO fields VALUES (?, ?, ?, ?, ?, ?, ?)", [_row(field) for field in fields])
    _mark(cursor, key)


def _mark(cursor: sqlite3.Cursor, key: str) -> int:
    queued = "name IN (SELECT name FROM queued WHERE queued.key = fields.key)"
    return cursor.execute(f"UPDATE fields SET waiting = 1 WHERE key = ? AND {queued}", (key,)).rowcount


def _row(field: Field) -> tuple[Any, ...]:
    answer = field.answer
    return (
        field.key, field.position, field.name, answer["verdict"], answer["confidence"], field.waiting, _json(answer),
    )  # fmt: skip


def _field(row: tuple[Any, ...]) -> Field:
    key, position, name, text, waiting = row
    answer = json.loads(text)
    if missing := _ANSWER - answer.keys():
        raise LookupError(f"an answer without {min(missing)}")
    return Field(key, position, name, answer, bool(waiting))


_ANSWER = {"question", "answer", "page", "box", "cot", "confidence", "verdict", "reasons", "by", "calls", "error"}
"""What every answer says (``graphs.state.Answer``)."""


def _done(row: tuple[Any, ...]) -> Done:
    key, status, verdict, error, kind, retryable, *rest, turned = row
    _check_statuses({status: 1})
    return replace(Done(key, status, verdict, error, kind, bool(retryable), *rest), turned=json.loads(turned or "null"))


def _json(data: Any) -> str:
    """Half a character is escaped, as JSON does it."""
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
