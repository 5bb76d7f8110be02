"""Exports of a store: several tables of a task, and what a store of an earlier version holds."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from layoutllm_tool.batch.store import FILE, DocumentResult, Field, Input, Store
from layoutllm_tool.batch.tables import cell_rows, write_tables

KEY = "k" * 32


def column(*path: str) -> dict[str, Any]:
    return {"name": "_".join(path), "path": list(path)}


PLAN = {
    "questions": [
        {"name": "items", "text": "items?", "path": ["order", "items"],
         "columns": [column("name"), column("price", "net")]},
        {"name": "taxes", "text": "taxes?", "path": ["taxes"], "columns": [column("rate"), column("paid")]},
        {"name": "total", "text": "total?", "path": ["total"], "columns": []},
    ]
}  # fmt: skip


def cell(text: str) -> dict[str, Any]:
    return {"text": text, "page": 1, "box": [1, 2, 3, 4], "confidence": 0.9}


def field(name: str, position: int, **more: Any) -> Field:
    answer = {
        "name": name, "question": name, "answer": "x", "page": 1, "box": None, "confidence": 0.9, "cot": None,
        "verdict": "satisfied", "reasons": [], "by": "reader", "calls": 1, "error": None, **more,
    }  # fmt: skip
    return Field(KEY, position, name, answer, False)


def fill(folder: Path, plan: Any, record: Any, *fields: Field) -> None:
    with Store.open(folder, {"plan": plan}) as store:
        store.enter([Input(0, "a.png", None, KEY)])
        store.put(DocumentResult(KEY, "done", "satisfied", record=record), fields)


def test_several_tables_and_nested_columns(tmp_path: Path) -> None:
    record = {
        "order": {"items": [{"name": "Pen", "price": {"net": 2}}]},
        "taxes": [{"rate": 0.2, "paid": True}],
    }
    items = [{"name": cell("Pen"), "price/net": cell("2,00")}, {"name": None, "price/net": cell("?")}]
    taxes = [{"rate": cell("20 %"), "paid": cell("yes")}]
    fill(
        tmp_path,
        PLAN,
        record,
        field("items", 0, rows=items),
        field("taxes", 1, rows=taxes),
        field("total", 2),
    )
    with Store.open(tmp_path) as store:
        found = [
            (one["field"], one["row"], one["column"], one["text"], one["value"]) for one in cell_rows(store)
        ]
        write_tables(store, tmp_path)
    assert found == [
        ("items", 0, "name", "Pen", "Pen"), ("items", 0, "price/net", "2,00", "2"),
        ("items", 1, "name", None, None), ("items", 1, "price/net", "?", None),
        ("taxes", 0, "rate", "20 %", "0.2"), ("taxes", 0, "paid", "yes", "true"),
    ]  # fmt: skip
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(tmp_path / "fields.parquet").to_pylist()
    assert rows[1]["rows"] == [{"name": None, "price/net": None, **taxes[0]}] and rows[2]["rows"] is None


def test_rows_within_a_row(tmp_path: Path) -> None:
    parts = {"name": "parts", "path": ["parts"], "columns": [column("label"), column("price", "net")]}
    plan = {"questions": [{"name": "t", "text": "t?", "path": ["t"], "columns": [column("name"), parts]}]}
    within = [{"label": cell("A"), "price/net": None}, {"label": cell("B"), "price/net": cell("1")}]
    record = {
        "t": [{"name": "Pen", "parts": [{"label": "A", "price": None}, {"label": "B", "price": {"net": 1}}]}]
    }
    fill(tmp_path, plan, record, field("t", 0, rows=[{"name": cell("Pen"), "parts": within}]))
    with Store.open(tmp_path) as store:
        found = [(one["row"], one["column"], one["text"], one["value"]) for one in cell_rows(store)]
        write_tables(store, tmp_path)
    assert found == [
        (0, "name", "Pen", "Pen"), (0, "parts/0/label", "A", "A"), (0, "parts/0/price/net", None, None),
        (0, "parts/1/label", "B", "B"), (0, "parts/1/price/net", "1", "1"),
    ]  # fmt: skip
    parquet = pytest.importorskip("pyarrow.parquet")
    (row,) = parquet.read_table(tmp_path / "fields.parquet").to_pylist()[0]["rows"]
    assert row["name"] == cell("Pen") and json.loads(row["parts"]) == within


def test_a_task_without_tables_has_no_file_of_rows(tmp_path: Path) -> None:
    plan = {"questions": [{"name": "total", "text": "total?"}]}
    fill(tmp_path, plan, None, field("total", 0))
    with Store.open(tmp_path) as store:
        write_tables(store, tmp_path)
    assert not list(tmp_path.glob("rows.*"))
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_table(tmp_path / "fields.parquet").to_pylist()[0]["rows"] is None


def test_a_store_of_an_earlier_version_has_neither_rows_nor_records(tmp_path: Path) -> None:
    plan = {"questions": [{"name": "total", "text": "total?"}]}  # before plans had columns
    fill(tmp_path, plan, None, field("total", 0))
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("ALTER TABLE documents DROP COLUMN record")
        connection.execute("ALTER TABLE documents DROP COLUMN turned")
    connection.close()
    with Store.open(tmp_path) as store:
        document = store.document(KEY)
        assert document and document.record is None and document.rotated_pages is None
        store.put(DocumentResult(KEY, "done", rotated_pages=[2], record={"total": 1}), store.fields(KEY))
        document = store.document(KEY)
        assert document and document.record == {"total": 1} and document.rotated_pages == [2]
        write_tables(store, tmp_path)
    (row,) = map(json.loads, (tmp_path / "fields.jsonl").read_text().splitlines())
    assert row["value"] == "x" and row["rows"] is None
