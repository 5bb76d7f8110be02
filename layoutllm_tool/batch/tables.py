"""A batch as tables: one row an input, and one row an input and field, as JSONL and (with pyarrow, extra ``batch``) Parquet.

In the order of the source, written whole or not at all. Everything but ``TIMINGS`` depends on the documents alone: however often a
batch was cut off, and whoever worked on it, the rows are the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from layoutllm_tool.batch.store import DocumentResult, Input, Store
from layoutllm_tool.printable import json_line

TIMINGS = ("seconds", "at")
"""Columns of the documents that differ from run to run: comparisons leave them out."""
_SLICE = 1000

_Row = dict[str, Any]


def write_tables(store: Store, folder: Path) -> bool:
    """documents.jsonl, fields.jsonl and, where pyarrow is installed, .parquet of both. Whether Parquet was written."""
    kinds: Mapping[str, Callable[[Store], Iterator[_Row]]] = {"documents": document_rows, "fields": field_rows}
    parquet = _has_arrow()
    for name, rows in kinds.items():
        _jsonl(folder / f"{name}.jsonl", rows(store))
        if parquet:
            _parquet(folder / f"{name}.parquet", rows(store), name)
    return parquet


def document_rows(store: Store) -> Iterator[_Row]:
    """An input each. ``status`` is "pending" for what the batch has not come to."""
    for given in store.inputs():
        done = store.document(given.key)
        fields = store.fields(given.key)
        yield {
            "position": given.position, "document": given.name, "page": given.page,
            "status": done.status if done else "pending", "verdict": done.verdict if done else None,
            "waiting": sum(field.pending_review for field in fields), "error": done.error if done else None,
            "kind": done.kind if done else None, "retryable": done.retryable if done else False,
            "sha256": done.sha256 if done else None, "pages": done.pages if done else None, "key": given.key,
            "seconds": done.seconds if done else None, "at": done.at if done else None,
        }  # fmt: skip


def field_rows(store: Store) -> Iterator[_Row]:
    """An input and question each, in the order of the plan; none of an input that is pending. Boxes 0-1000 on ``page``."""
    asked = [(q["name"], q["text"]) for q in store.settings.get("plan", {}).get("questions", [])]
    for given in store.inputs():
        done = store.document(given.key)
        if done is None:
            continue
        known = {field.name: field for field in store.fields(given.key)}
        for name, text in asked:
            field = known.get(name)
            row = _absent(done, text) if field is None else _answered(field.answer, waiting=field.pending_review)
            yield _field_row(given, name, row)


def _field_row(given: Input, name: str, row: _Row) -> _Row:
    return {
        "position": given.position, "document": given.name, "asked_page": given.page, "field": name, **row,
        "key": given.key,
    }  # fmt: skip


def _absent(done: DocumentResult, text: str) -> _Row:
    return {
        "question": text, "value": None, "page": None, "box": None, "area": None, "confidence": None,
        "verdict": "failed", "waiting": False, "reasons": [], "by": "reader", "calls": 0, "error": done.error,
    }  # fmt: skip


def _answered(answer: Mapping[str, Any], *, waiting: bool) -> _Row:
    return {
        "question": answer["question"], "value": answer["answer"], "page": answer["page"], "box": answer["box"],
        "area": (answer["cot"] or {}).get("area"), "confidence": answer["confidence"], "verdict": answer["verdict"],
        "waiting": waiting, "reasons": list(answer["reasons"]), "by": answer["by"], "calls": answer["calls"],
        "error": answer["error"],
    }  # fmt: skip


# -- files --------------------------------------------------------------------------------------------------------------


def _jsonl(place: Path, rows: Iterator[_Row]) -> None:
    with _Replacing(place) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json_line(row) + "\n")


def _has_arrow() -> bool:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


def _parquet(place: Path, rows: Iterator[_Row], kind: str) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    schema = arrow.schema(_columns(kind))
    with _Replacing(place) as temporary, ExitStack() as stack:
        writer = stack.enter_context(parquet.ParquetWriter(temporary, schema))
        while part := list(islice(rows, _SLICE)):
            writer.write_table(arrow.Table.from_pylist([_plain(row) for row in part], schema=schema))


def _plain(row: _Row) -> _Row:
    """Parquet's texts are UTF-8, always."""

    def whole(value: Any) -> Any:
        if isinstance(value, str):
            return value.encode("utf-8", "backslashreplace").decode()
        return [whole(one) for one in value] if isinstance(value, list) else value

    return {name: whole(value) for name, value in row.items()}


def _columns(kind: str) -> list[Any]:
    import pyarrow as arrow

    text, whole, real, truth = arrow.string(), arrow.int64(), arrow.float64(), arrow.bool_()
    box = arrow.list_(real)
    kinds: Mapping[str, Mapping[str, Any]] = {
        "documents": {
            "position": whole, "document": text, "page": whole, "status": text, "verdict": text, "waiting": whole,
            "error": text, "kind": text, "retryable": truth, "sha256": text, "pages": whole, "key": text,
            "seconds": real, "at": text,
        },
        "fields": {
            "position": whole, "document": text, "asked_page": whole, "field": text, "question": text, "value": text,
            "page": whole, "box": box, "area": box, "confidence": real, "verdict": text, "waiting": truth,
            "reasons": arrow.list_(text), "by": text, "calls": whole, "error": text, "key": text,
        },
    }  # fmt: skip
    return list(kinds[kind].items())


class _Replacing:
    """A file beside the place, which takes its place once it is whole."""

    def __init__(self, place: Path) -> None:
        self.place, self.temporary = place, place.with_name(f".{place.name}.{os.getpid()}")

    def __enter__(self) -> Path:
        return self.temporary

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.temporary.replace(self.place)
        else:
            self.temporary.unlink(missing_ok=True)
