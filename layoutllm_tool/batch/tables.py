"""A batch as JSONL and (with pyarrow, extra ``batch``) Parquet: one row an input, one row an input and field.

In the order of the source, written whole or not at all. Everything but ``TIMINGS`` depends on the documents
alone: the rows are the same however often a batch was cut off, and whoever worked on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from layoutllm_tool.batch.store import Field, Store
from layoutllm_tool.printable import json_line

TIMINGS = ("seconds", "at")
"""Columns of the documents that differ from run to run: comparisons leave them out."""
_SLICE = 1000
_COLUMNS = {
    "documents": {
        "position": "int64", "document": "string", "page": "int64", "status": "string", "verdict": "string",
        "waiting": "int64", "error": "string", "kind": "string", "retryable": "bool", "sha256": "string",
        "pages": "int64", "key": "string", "seconds": "double", "at": "string",
    },
    "fields": {
        "position": "int64", "document": "string", "asked_page": "int64", "field": "string",
        "question": "string",
        "value": "string", "page": "int64", "box": "doubles", "area": "doubles", "confidence": "double",
        "verdict": "string", "waiting": "bool", "reasons": "strings", "by": "string", "calls": "int64",
        "error": "string", "key": "string",
    },
}  # fmt: skip
_OF_DOCUMENT = ("verdict", "error", "kind", "sha256", "pages", "seconds", "at")
_OF_ANSWER = ("question", "page", "box", "confidence", "verdict", "reasons", "by", "calls", "error")

_Row = dict[str, Any]


def write_tables(store: Store, folder: Path) -> bool:
    """Write documents.jsonl, fields.jsonl, and .parquet of both; return whether there is pyarrow for it."""
    parquet = find_spec("pyarrow") is not None
    for name, rows in (("documents", document_rows), ("fields", field_rows)):
        with (
            _replacing(folder / f"{name}.jsonl") as place,
            place.open("w", encoding="utf-8", newline="\n") as file,
        ):
            file.writelines(json_line(row) + "\n" for row in rows(store))
        if parquet:
            _parquet(folder / f"{name}.parquet", rows(store), name)
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
    asked = [(q["name"], q["text"]) for q in store.settings.get("plan", {}).get("questions", [])]
    for given in store.inputs():
        if (done := store.document(given.key)) is None:
            continue
        fields = {field.name: field for field in store.fields(given.key)}
        source = {"position": given.position, "document": given.name, "key": given.key}
        for name, text in asked:
            answered = _answered(fields[name]) if name in fields else _UNANSWERED | {"error": done.error}
            row = {"question": text, "field": name, "asked_page": given.page} | answered | source
            yield {column: row.get(column) for column in _COLUMNS["fields"]}


_UNANSWERED: _Row = {"verdict": "failed", "reasons": [], "by": "reader", "calls": 0, "waiting": False}


def _answered(field: Field) -> _Row:
    answer = field.answer
    more = {"value": answer["answer"], "area": (answer["cot"] or {}).get("area")}
    return {name: answer[name] for name in _OF_ANSWER} | more | {"waiting": field.pending_review}


# -- files ---------------------------------------------------------------------------------------------------


def _parquet(target: Path, rows: Iterator[_Row], kind: str) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    types = {"doubles": arrow.list_(arrow.float64()), "strings": arrow.list_(arrow.string())}
    columns = [(name, types.get(of) or arrow.type_for_alias(of)) for name, of in _COLUMNS[kind].items()]
    schema = arrow.schema(columns)
    with _replacing(target) as place, parquet.ParquetWriter(place, schema) as writer:
        while part := list(islice(rows, _SLICE)):
            plain = [{name: _utf8(value) for name, value in row.items()} for row in part]
            writer.write_table(arrow.Table.from_pylist(plain, schema=schema))


def _utf8(value: Any) -> Any:
    """Escape lone surrogates: Parquet's texts are UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
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
