"""The results of a batch in one SQLite file: documents, every field's full result, reviewers' decisions.

A document is known by its key (``document_key``): its content, page, task, model and settings. Two inputs
with the same content share one key, and are read once. A document's answers are written in one transaction,
so a kill loses whole documents or none. ``tables`` exports them; nothing here knows how answers come about.
Standard library only. Every statement of SQL on a batch stands here and nowhere else.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import Any, Self

from layoutllm_tool.batch import opening, records
from layoutllm_tool.batch.opening import FILE, reached, usable
from layoutllm_tool.batch.records import DocumentResult, Field, Input, ReviewRecord, to_json, worst
from layoutllm_tool.errors import StoreMismatch

__all__ = ["FILE", "DocumentResult", "Field", "Input", "ReviewRecord", "Store", "worst"]

_INPUTS = "SELECT position, name, page, key FROM inputs"
_DOCUMENT = (
    "key, status, verdict, error, kind, retryable, sha256, pages, seconds, at, turned, record, plan, notices"
)
_FIELDS = "SELECT key, position, name, answer, waiting, result FROM fields"
_IN_SOURCE = "key IN (SELECT key FROM inputs)"
_UNREVIEWED = f"""
    SELECT key FROM documents WHERE status = 'done' AND {_IN_SOURCE} AND key IN (SELECT key FROM fields)
    AND key NOT IN (SELECT key FROM reviews)
"""
_SEARCHED = """
    (SELECT group_concat(inputs.name, ' ') FROM inputs WHERE inputs.key = fields.key)
    || ' ' || name || ' ' || coalesce(json_extract(answer, '$.answer'), '')
"""


class Store:
    """Safe for several threads, and for several processes on one file (WAL, a minute's time-out).

    ``Store.open(folder, settings)`` for a batch, ``Store.open(folder)`` for whoever looks at one.
    """

    def __init__(self, connection: sqlite3.Connection, place: Path) -> None:
        self._connection, self._place, self._lock = connection, place, threading.RLock()

    @classmethod
    def open(cls, folder: Path, settings: Mapping[str, Any] | None = None) -> Self:
        """The store in the folder, made where there is none and settings are given.

        StoreMismatch where it was made with other settings (it says which), or where there is none.
        """
        place, missing = folder / FILE, StoreMismatch(f"{folder} holds no batch.", hint=opening.NAME_IT)
        with usable(place):
            if settings is None:
                if not place.is_file():
                    raise missing
                connection = opening.look_at(place)
                opening.check_schema(connection, folder)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                connection = opening.make(place)
        opening.set_functions(connection)
        store = cls(connection, place)
        if settings is not None:
            store._agree(folder, settings)
        elif not isinstance(store.settings.get("plan"), dict):
            raise missing
        return store

    def _agree(self, folder: Path, settings: Mapping[str, Any]) -> None:
        written = partial(json.dumps, sort_keys=True, ensure_ascii=False)
        given = {name: written(value) for name, value in settings.items()}
        with self._transaction() as cursor:
            known = dict(cursor.execute("SELECT name, value FROM settings").fetchall())
            if not known:
                cursor.executemany("INSERT INTO settings VALUES (?, ?)", list(given.items()))
                return
        if other := sorted({name for name, _ in known.items() ^ given.items()}):
            told = "; ".join(
                f"{n}: {known.get(n, 'none')[:80]} there, {given.get(n, 'none')[:80]} now" for n in other
            )
            message = f"{folder} was made with other settings ({told})."
            raise StoreMismatch(message, hint="Choose another folder with -o.")

    @property
    def settings(self) -> dict[str, Any]:
        wanted = "SELECT name, value FROM settings ORDER BY name"
        return dict(self._rows(wanted, (), lambda row: (row[0], json.loads(row[1]))))

    # -- inputs and documents --------------------------------------------------------------------------------

    def enter(self, inputs: Sequence[Input]) -> None:
        """Record what the source holds; repeating it is harmless."""
        rows = [(i.position, i.name.encode("utf-8", "surrogatepass"), i.page, i.key) for i in inputs]
        with self._transaction() as cursor:
            cursor.executemany("INSERT OR REPLACE INTO inputs VALUES (?, CAST(? AS TEXT), ?, ?)", rows)

    def keep_inputs(self, positions: Sequence[int]) -> None:
        """Forget the inputs at all other positions: the source has changed. Their results are kept."""
        with self._transaction() as cursor:
            cursor.execute("CREATE TEMP TABLE IF NOT EXISTS kept (position INTEGER PRIMARY KEY)")
            cursor.execute("DELETE FROM kept")
            cursor.executemany("INSERT INTO kept VALUES (?)", [(position,) for position in positions])
            cursor.execute("DELETE FROM inputs WHERE position NOT IN (SELECT position FROM kept)")

    def inputs(self) -> Iterator[Input]:
        """In the order of the source."""
        return starmap(Input, self._stream(_INPUTS, "position", 0))

    def input_of(self, key: str) -> Input | None:
        """The first input with this key."""
        rows = self._rows(f"{_INPUTS} WHERE key = ? ORDER BY position LIMIT 1", (key,))
        return Input(*rows[0]) if rows else None

    def document(self, key: str) -> DocumentResult | None:
        found = self._rows(f"SELECT {_DOCUMENT} FROM documents WHERE key = ?", (key,), records.document_of)
        return found[0] if found else None

    def put(self, document: DocumentResult, fields: Sequence[Field] = ()) -> None:
        """Write a document with all its fields; what was known of it is replaced."""
        error = (
            None if document.error is None else document.error.encode("utf-8", "backslashreplace").decode()
        )
        rotated = to_json(document.rotated_pages)
        values = asdict(document) | {"at": document.at or _now(), "rotated": rotated, "error": error}
        values |= {name: to_json(values[name]) for name in ("record", "plan", "notices")}
        with self._transaction() as cursor:
            cursor.execute(
                f"INSERT OR REPLACE INTO documents ({_DOCUMENT}) VALUES "
                "(:key, :status, :verdict, :error, :kind, "
                ":retryable, :sha256, :pages, :seconds, :at, :rotated, :record, :plan, :notices)",
                values,
            )
            _replace(cursor, document.key, fields)

    def plan(self, key: str) -> dict[str, Any]:
        """The document's, where a person has changed it; else the batch's."""
        done = self.document(key)
        plan: dict[str, Any] = (done and done.plan) or self.settings["plan"]
        return plan

    def changed_plans(self) -> list[dict[str, Any]]:
        """The plans that persons have made of the batch's."""
        wanted = f"SELECT DISTINCT plan FROM documents WHERE plan <> 'null' AND {_IN_SOURCE}"
        return self._rows(wanted, (), lambda row: json.loads(row[0]))

    # -- fields ----------------------------------------------------------------------------------------------

    def fields(self, key: str) -> list[Field]:
        """In the order of the plan."""
        return self._rows(f"{_FIELDS} WHERE key = ? ORDER BY position", (key,), records.field_of)

    def field(self, key: str, name: str) -> Field | None:
        return next((field for field in self.fields(key) if field.name == name), None)

    def verdicts(self) -> dict[str, int]:
        """How many fields of each verdict; a content that stands in the source twice counts once."""
        wanted = f"SELECT verdict, count(*) FROM fields WHERE {_IN_SOURCE} GROUP BY verdict ORDER BY verdict"
        return dict(self._rows(wanted))

    def statuses(self) -> dict[str, int]:
        """How many inputs of each status; pending ones have none."""
        wanted = (
            "SELECT status, count(*) FROM inputs JOIN documents USING (key) GROUP BY status ORDER BY status"
        )
        found = dict(self._rows(wanted))
        with usable(self._place):
            records.check_statuses(found)
            return found

    def find(
        self, *, verdict: str = "", pending_review: bool | None = None, least: float = 0.0, most: float = 1.0,
        text: str = "", offset: int = 0, limit: int = 200,
    ) -> tuple[int, list[Field]]:  # fmt: skip
        """How many fields fit, and ``limit`` of them: pending ones first, then the least confident.

        ``least`` and ``most`` bound the confidence (none is 0). ``text`` is looked for in the document's
        name, the field's name and the answer, whatever the case.
        """
        conditions = f"{_IN_SOURCE} AND coalesce(confidence, 0) BETWEEN :least AND :most"
        conditions += " AND verdict = :verdict" if verdict else ""
        conditions += " AND waiting = :waiting" if pending_review is not None else ""
        conditions += f" AND instr(folded({_SEARCHED}), folded(:text))" if text else ""
        given = {
            "verdict": verdict, "waiting": pending_review, "least": least, "most": most, "text": text,
            "offset": offset, "limit": limit,
        }  # fmt: skip
        ((total,),) = self._rows(f"SELECT count(*) FROM fields WHERE {conditions}", given)
        order = "NOT waiting, coalesce(confidence, 0), key, position"
        wanted = f"{_FIELDS} WHERE {conditions} ORDER BY {order} LIMIT :limit OFFSET :offset"
        return total, self._rows(wanted, given, records.field_of)

    # -- reviews ---------------------------------------------------------------------------------------------

    def reviewed(
        self, key: str, name: str, decision: Mapping[str, Any], fields: Sequence[Field], verdict: str,
        record: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Keep a decision on a field, and what the document has after it: fields (others may have changed
        with this one), verdict and record.

        Queued fields stay pending, whatever ``fields`` says, until each has a decision.
        """
        before, after = self.field(key, name), next(field for field in fields if field.name == name)
        known = before.answer if before else {}
        row = (key, name, to_json(decision), to_json(known), to_json(after.answer), _now())
        with self._transaction() as cursor:
            cursor.execute(
                "INSERT INTO reviews (key, name, reply, before, after, at) VALUES (?, ?, ?, ?, ?, ?)", row
            )
            cursor.execute("DELETE FROM queued WHERE key = ? AND name = ?", (key, name))
            _replace(cursor, key, fields)
            after_it = (verdict, to_json(record), key)
            cursor.execute("UPDATE documents SET verdict = ?, record = ? WHERE key = ?", after_it)

    def replanned(
        self, key: str, plan: Mapping[str, Any], fields: Sequence[Field], verdict: str,
        record: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Keep another plan of a document, and what the document has after it. Reviews are kept."""
        given = (to_json(plan), verdict, to_json(record), key)
        with self._transaction() as cursor:
            _replace(cursor, key, fields)
            cursor.execute("UPDATE documents SET plan = ?, verdict = ?, record = ? WHERE key = ?", given)

    def reviews(self) -> list[ReviewRecord]:
        """In the order in which they were made; a field may have several."""
        wanted = "SELECT number, key, name, reply, before, after, at FROM reviews ORDER BY number"
        return self._rows(wanted, (), records.review_of)

    def decisions(self) -> list[ReviewRecord]:
        """The last decision on each field, where an answer stands after it. Of tables none: no model is asked
        for them.
        """
        last = {(one.key, one.name): one for one in self.reviews()}
        return [one for one in last.values() if one.is_final and "rows" not in one.after]

    def unreviewed(self) -> Iterator[str]:
        """The keys, sorted, of the source's documents that are done, have fields, and have no review."""
        return (key for (key,) in self._stream(f"SELECT key FROM ({_UNREVIEWED})", "key", 0, first=""))

    def queue(self, keys: Sequence[str]) -> int:
        """Make every field of these documents pending, whatever its verdict; return how many that are.

        Documents that have a review are left out.
        """
        of_document = "SELECT key, name FROM fields WHERE key = ? AND key NOT IN (SELECT key FROM reviews)"
        wanted = f"INSERT OR IGNORE INTO queued {of_document}"
        with self._transaction() as cursor:
            cursor.executemany(wanted, [(key,) for key in keys])
            return sum(_mark(cursor, key) for key in dict.fromkeys(keys))

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with self._lock, reached(self._place), self._connection:
            yield self._connection.execute("BEGIN IMMEDIATE")

    def _rows(
        self,
        query: str,
        values: Sequence[Any] | Mapping[str, Any] = (),
        make: Callable[[tuple[Any, ...]], Any] = tuple,
    ) -> list[Any]:
        with self._lock, usable(self._place):
            return list(map(make, self._connection.execute(query, values)))

    def _stream(self, query: str, column: str, at: int, *, first: Any = -1) -> Iterator[tuple[Any, ...]]:
        """Read in slices: ten thousand rows are never in memory, and writers don't wait."""
        last = first
        while rows := self._rows(f"{query} WHERE {column} > ? ORDER BY {column} LIMIT 500", (last,)):
            yield from rows
            last = rows[-1][at]


def _replace(cursor: sqlite3.Cursor, key: str, fields: Sequence[Field]) -> None:
    cursor.execute("DELETE FROM fields WHERE key = ?", (key,))
    cursor.executemany(
        "INSERT INTO fields (key, position, name, verdict, confidence, waiting, answer, result) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [_row(field) for field in fields],
    )
    _mark(cursor, key)


def _mark(cursor: sqlite3.Cursor, key: str) -> int:
    queued = "name IN (SELECT name FROM queued WHERE queued.key = fields.key)"
    return cursor.execute(f"UPDATE fields SET waiting = 1 WHERE key = ? AND {queued}", (key,)).rowcount


def _row(field: Field) -> tuple[Any, ...]:
    answer = field.answer
    return (
        field.key, field.position, field.name, answer["verdict"], answer["confidence"], field.pending_review,
        to_json(answer),
        None if field.result is None else to_json(field.result),
    )  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
