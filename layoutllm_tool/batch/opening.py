"""Open a batch's SQLite file, which may be anybody's: damaged and foreign files are refused first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from layoutllm_tool.batch.records import check_statuses
from layoutllm_tool.errors import StoreMismatch, StoreUnusable

FILE = "batch.sqlite"
"""In the folder of a batch."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS inputs (
    position INTEGER PRIMARY KEY, name TEXT NOT NULL, page INTEGER, key TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS inputs_by_key ON inputs (key);
CREATE TABLE IF NOT EXISTS documents (
    key TEXT PRIMARY KEY, status TEXT NOT NULL, verdict TEXT, error TEXT, kind TEXT,
    retryable INTEGER NOT NULL, sha256 TEXT, pages INTEGER, seconds REAL NOT NULL,
    at TEXT NOT NULL, turned TEXT, record TEXT, plan TEXT, notices TEXT);
CREATE TABLE IF NOT EXISTS fields (
    key TEXT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, verdict TEXT NOT NULL, confidence REAL,
    waiting INTEGER NOT NULL, answer TEXT NOT NULL, result TEXT, PRIMARY KEY (key, name));
CREATE INDEX IF NOT EXISTS fields_waiting ON fields (waiting) WHERE waiting;
CREATE TABLE IF NOT EXISTS reviews (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL, name TEXT NOT NULL, reply TEXT NOT NULL,
    before TEXT NOT NULL, after TEXT NOT NULL, at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS reviews_by_key ON reviews (key);
CREATE TABLE IF NOT EXISTS queued (key TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (key, name));
"""

NAME_IT = "Name the folder that `layoutllm batch -o` wrote."


@contextmanager
def reached(place: Path) -> Iterator[None]:
    """Raise StoreUnusable for errors of SQLite and of the disk."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        code = getattr(error, "sqlite_errorname", "")
        writing = isinstance(error, OSError) or code.startswith(_WRITING)
        hint = "Is the disk full, or the folder read-only?" if writing else NAME_IT
        raise StoreUnusable(f"{place} can't be used: {error}.", hint=hint) from error


@contextmanager
def usable(place: Path) -> Iterator[None]:
    """Raise StoreUnusable also for what decoding raises where a file is damaged or foreign."""
    try:
        with reached(place):
            yield
    except _SHAPES as error:
        why = f"{type(error).__name__}: {str(error)[:200]}"
        raise StoreUnusable(
            f"{place} is damaged, or was made by another program ({why}).", hint=NAME_IT
        ) from error


_SHAPES = (ValueError, TypeError, LookupError, RecursionError, AttributeError, MemoryError)
_WRITING = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_BUSY")


def make(place: Path) -> sqlite3.Connection:
    """Open for writing; the tables are made where they are missing."""
    connection = sqlite3.connect(place, timeout=60, check_same_thread=False, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    _upgrade(connection)
    return connection


def look_at(place: Path) -> sqlite3.Connection:
    """Open for reading and, where the folder allows it, writing.

    SQLite makes files beside a store even to read it: where it can't, the file is opened as immutable.
    """
    try:
        return _looked_at(place, "mode=rw")
    except sqlite3.OperationalError:
        return _looked_at(place, "mode=ro&immutable=1")


def _looked_at(place: Path, settings: str) -> sqlite3.Connection:
    address = f"{place.absolute().as_uri()}?{settings}"
    connection = sqlite3.connect(address, uri=True, timeout=60, check_same_thread=False, isolation_level=None)
    _check_foreign(connection)
    if _tables(connection) >= _OLDEST:
        with suppress(sqlite3.OperationalError):  # it can't be written; ``check_schema`` says what is missing
            _upgrade(connection)
    return connection


_OLDEST = {"settings", "inputs", "documents", "fields"}
"""Tables of the first version: the others are made where they are missing."""
_ADDED = (
    ("documents", "turned"), ("documents", "record"), ("documents", "plan"), ("documents", "notices"),
    ("fields", "result"),
)  # fmt: skip
"""Columns that a store of an earlier version lacks, in the order of ``SCHEMA``."""


def _upgrade(connection: sqlite3.Connection) -> None:
    connection.executescript(SCHEMA)
    for table, column in _ADDED:
        if column not in _columns_of(connection, table):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} TEXT")


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def set_functions(connection: sqlite3.Connection) -> None:
    """Keep names that are not UTF-8; fold the case of all letters (SQLite's ``lower`` knows only ASCII)."""

    def folded(text: Any) -> str:
        return str(text or "").casefold().encode("utf-8", "replace").decode()

    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogatepass")
    connection.create_function("folded", 1, folded, deterministic=True)


def _check_foreign(connection: sqlite3.Connection) -> None:
    """Allow only tables and indexes, of plain columns, and bound the length of values. ValueError.

    A view, a trigger or a computed column would be somebody else's program.
    """
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


def _columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    return {column[1] for column in connection.execute(f"PRAGMA table_info({table})")}


def check_schema(connection: sqlite3.Connection, folder: Path) -> None:
    """Whether the tables are those of a batch. StoreMismatch."""
    empty = sqlite3.connect(":memory:")
    empty.executescript(SCHEMA)
    wanted = {table: _columns_of(empty, table) for table in _tables(empty)}
    empty.close()
    for table, columns in wanted.items():
        if missing := columns - _columns_of(connection, table):
            raise StoreMismatch(
                f"{folder / FILE} is no store of a batch: "
                f"its table {table!r} lacks {', '.join(sorted(missing))}.",
                hint=NAME_IT,
            )
    check_statuses(status for (status,) in connection.execute("SELECT DISTINCT status FROM documents"))
