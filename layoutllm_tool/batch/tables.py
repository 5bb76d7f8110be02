"""A batch as JSONL and (with pyarrow, extra ``batch``) Parquet: a row an input, a row an input and field, and
where the task asks for tables a row a cell.

In the order of the source, written whole or not at all. Everything but ``TIMINGS`` depends on the documents
alone: the rows are the same however often a batch was cut off, and whoever worked on it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from layoutllm_tool.batch.records import to_json
from layoutllm_tool.batch.store import DocumentResult, Field, Input, Store
from layoutllm_tool.printable import json_line

TIMINGS = ("seconds", "at")
"""Columns of the documents that differ from run to run: comparisons leave them out."""
_SLICE = 1000
_COLUMNS = {
    "documents": {
        "position": "int64", "document": "string", "page": "int64", "status": "string", "verdict": "string",
        "waiting": "int64", "error": "string", "kind": "string", "retryable": "bool", "sha256": "string",
        "pages": "int64", "key": "string", "seconds": "double", "at": "string", "record": "json",
        "notices": "notices",
    },
    "fields": {
        "position": "int64", "document": "string", "asked_page": "int64", "field": "string",
        "question": "string",
        "value": "string", "page": "int64", "box": "doubles", "area": "doubles", "confidence": "double",
        "verdict": "string", "waiting": "bool", "reasons": "strings", "by": "string", "calls": "int64",
        "error": "string", "key": "string", "rows": "rows",
        "original_box": "doubles", "original_transform": "doubles",
    },
    "rows": {
        "position": "int64", "document": "string", "field": "string", "row": "int64", "column": "string",
        "text": "string", "value": "string", "page": "int64", "box": "doubles", "confidence": "double",
        "key": "string",
    },
}  # fmt: skip
_CELL = ("text", "page", "box", "confidence")
_OF_DOCUMENT = ("verdict", "error", "kind", "sha256", "pages", "seconds", "at", "record", "notices")
_OF_ANSWER = ("question", "page", "box", "confidence", "verdict", "reasons", "by", "calls", "error")

_Row = dict[str, Any]


def write_tables(store: Store, folder: Path) -> bool:
    """Write documents.jsonl, fields.jsonl, rows.jsonl where a table is asked for, and .parquet of each.

    Return whether there is pyarrow for it.
    """
    parquet, tables = find_spec("pyarrow") is not None, _tables(store)
    kinds = {"documents": document_rows, "fields": field_rows} | ({"rows": cell_rows} if tables else {})
    for name, rows in kinds.items():
        with (
            _replacing(folder / f"{name}.jsonl") as place,
            place.open("w", encoding="utf-8", newline="\n") as file,
        ):
            file.writelines(json_line(row) + "\n" for row in rows(store))
        if parquet:
            _parquet(folder / f"{name}.parquet", rows(store), name, tables)
    return parquet


def document_rows(store: Store) -> Iterator[_Row]:
    """An input each. ``status`` is "pending" for what the batch has not come to."""
    for given in store.inputs():
        done = store.document(given.key)
        known = {
            "position": given.position, "document": given.name, "page": given.page, "key": given.key,
            "status": done.status if done else "pending", "retryable": done.retryable if done else False,
            "waiting": sum(field.pending_review for field in store.fields(given.key)),
        }  # fmt: skip
        known |= {name: getattr(done, name, None) for name in _OF_DOCUMENT}
        yield {name: known[name] for name in _COLUMNS["documents"]}


def field_rows(store: Store) -> Iterator[_Row]:
    """An input and question each, in the plan's order, of inputs that are done. Boxes 0-1000 on ``page``."""
    for given, done in _done(store):
        plan = done.plan or _plan(store)
        every = (*plan.get("questions", []), *plan.get("operations", []))
        asked = [(q["name"], q["text"] or q["name"]) for q in every]
        fields = {field.name: field for field in store.fields(given.key)}
        for name, text in asked:
            answered = _answered(fields[name]) if name in fields else _UNANSWERED | {"error": done.error}
            row = {"question": text, "field": name, "asked_page": given.page} | answered | _source(given)
            yield {column: row.get(column) for column in _COLUMNS["fields"]}


def cell_rows(store: Store) -> Iterator[_Row]:
    """A cell of each row of each table. ``row`` counts from 0, as in the record; empty cells have no text.

    ``value`` is the record's, as text: JSON's for numbers, true and false.
    """
    for given, done in _done(store):
        tables = {question["name"]: question for question in _with_columns(done.plan or _plan(store))}
        for field in store.fields(given.key):
            if field.name in tables:
                for cell in _cells(field.answer, tables[field.name], done.record):
                    row = {"field": field.name} | cell | _source(given)
                    yield {column: row.get(column) for column in _COLUMNS["rows"]}


def _cells(answer: Mapping[str, Any], question: Mapping[str, Any], record: Any) -> Iterator[_Row]:
    for number, row in enumerate(answer.get("rows") or ()):
        for name, cell, value in _in_row(row, question["columns"], _at(record, [*question["path"], number])):
            text = value if value is None or isinstance(value, str) else to_json(value)
            yield {"row": number, "column": name, "value": text} | {n: (cell or {}).get(n) for n in _CELL}


def _in_row(
    row: Mapping[str, Any], columns: Sequence[Mapping[str, Any]], record: Any
) -> Iterator[tuple[str, Any, Any]]:
    """A row's cells by column, with what the record has; of rows within it by "parts/0/price"."""
    for column in columns:
        key, value = _key(column), _at(record, column["path"])
        if not column.get("columns"):
            yield key, row.get(key), value
            continue
        for number, within in enumerate(row.get(key) or ()):
            for name, cell, inner in _in_row(within, column["columns"], _at(value, [number])):
                yield f"{key}/{number}/{name}", cell, inner


def _at(record: Any, path: Sequence[str | int]) -> Any:
    """What the record has there; None where it has nothing."""
    for step in path:
        try:
            record = record[step]
        except (KeyError, IndexError, TypeError):
            return None
    return record


def _plan(store: Store) -> Mapping[str, Any]:
    plan: Mapping[str, Any] = store.settings.get("plan", {})
    return plan


def _tables(store: Store) -> list[Mapping[str, Any]]:
    """The questions that ask for a table, in the batch's plan or in a document's own."""
    return [one for plan in (_plan(store), *store.changed_plans()) for one in _with_columns(plan)]


def _with_columns(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [question for question in plan.get("questions", []) if question.get("columns")]


def _key(column: Mapping[str, Any]) -> str:
    """What a column is called in a row."""
    return "/".join(column["path"]) or str(column["name"])


def _done(store: Store) -> Iterator[tuple[Input, DocumentResult]]:
    for given in store.inputs():
        if done := store.document(given.key):
            yield given, done


def _source(given: Input) -> _Row:
    return {"position": given.position, "document": given.name, "key": given.key}


_UNANSWERED: _Row = {"verdict": "failed", "reasons": [], "by": "reader", "calls": 0, "waiting": False}


def _answered(field: Field) -> _Row:
    answer = field.answer
    more = {"value": answer["answer"], "area": (answer["cot"] or {}).get("area"), "rows": answer.get("rows")}
    original = answer.get("original") or {}
    more |= {f"original_{name}": original.get(name) for name in ("box", "transform")}
    return {name: answer[name] for name in _OF_ANSWER} | more | {"waiting": field.pending_review}


# -- files ---------------------------------------------------------------------------------------------------


def _parquet(target: Path, rows: Iterator[_Row], kind: str, tables: Sequence[Mapping[str, Any]]) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    def typed(columns: Mapping[str, str]) -> list[tuple[str, Any]]:
        return [(name, types.get(of) or arrow.type_for_alias(of)) for name, of in columns.items()]

    doubles, strings = arrow.list_(arrow.float64()), arrow.list_(arrow.string())
    types = {"doubles": doubles, "strings": strings, "json": arrow.string()}
    types["notices"] = arrow.list_(arrow.struct(typed({"page": "int64", "code": "string", "text": "string"})))
    cell = arrow.struct(typed({name: _COLUMNS["rows"][name] for name in _CELL}))
    columns = [column for question in tables for column in question["columns"]]
    nested = {_key(column) for column in columns if column.get("columns")}
    # One type for all tables of a task: it has the columns of each.
    of_row = {_key(column): arrow.string() if _key(column) in nested else cell for column in columns}
    types["rows"] = arrow.list_(arrow.struct(list(of_row.items()))) if of_row else arrow.null()
    schema = arrow.schema(typed(_COLUMNS[kind]))
    with _replacing(target) as place, parquet.ParquetWriter(place, schema) as writer:
        while part := list(islice(rows, _SLICE)):
            plain = [_utf8(_with_texts(row, nested)) for row in part]
            writer.write_table(arrow.Table.from_pylist(plain, schema=schema))


def _with_texts(row: _Row, nested: Collection[str]) -> _Row:
    """The record, and rows within a table's row, as JSON text: their types differ from task to task."""
    if row.get("record") is not None:
        return row | {"record": to_json(row["record"])}
    rows = [
        {
            name: to_json(value) if name in nested and value is not None else value
            for name, value in one.items()
        }
        for one in row.get("rows") or ()
    ]
    return row | {"rows": rows} if rows else row


def _utf8(value: Any) -> Any:
    """Escape lone surrogates: Parquet's texts are UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {name: _utf8(inner) for name, inner in value.items()}
    return [_utf8(one) for one in value] if isinstance(value, list) else value


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A file beside the target, which replaces it once it is whole."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
