"""Sources: what is taken, in which order, and what is refused with its row."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from layoutllm_tool.batch.inputs import batch_inputs
from layoutllm_tool.batch.sources import digest, open_document
from layoutllm_tool.errors import DocumentError, DocumentNotAllowed, DocumentNotFound, DocumentUnreadable
from tests.batch_pages import fill, invoice


def test_a_folder_is_walked_in_order_without_what_is_hidden(tmp_path: Path) -> None:
    fill(tmp_path / "in", 3)
    labels = [row.label for row in batch_inputs(str(tmp_path / "in"))]
    assert labels == [
        "000.pdf",
        "001.pdf",
        "again.pdf",
        "corrupt.png",
        "empty.pdf",
        "locked.pdf",
        "long.pdf",
        "more/002.pdf",
    ]


def test_a_glob_and_a_file(tmp_path: Path) -> None:
    fill(tmp_path / "in", 3)
    assert [Path(row.name).name for row in batch_inputs(f"{tmp_path}/in/**/0*.pdf")] == [
        "000.pdf",
        "001.pdf",
        "002.pdf",
    ]
    assert [(row.label, row.page) for row in batch_inputs(f"{tmp_path}/in/000.pdf", page=2)] == [
        ("000.pdf", 2)
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.jsonl", '{"document": "a.pdf", "page": 2}\n\n{"path": "sub/b.pdf"}\n'),
        ("list.csv", "Document,page\na.pdf,2\nsub/b.pdf,\n"),
    ],
)
def test_a_list_is_relative_to_itself(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = [(row.position, row.name, row.page) for row in batch_inputs(str(tmp_path / name))]
    assert found == [(0, str(tmp_path / "a.pdf"), 2), (1, str(tmp_path / "sub" / "b.pdf"), None)]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("l.jsonl", '{"document": "a.pdf"}\nnonsense\n', "row 2"),
        ("l.jsonl", '{"document": "a.pdf"}\n{"document": "a.pdf", "page": 0}\n', "row 2: page '0'"),
        (
            "l.jsonl",
            '{"document": "a.pdf"}\n{"document": "a.pdf", "page": 100000000000000000000000}\n',
            "row 2: page",
        ),
        ("l.jsonl", '{"document": "a.pdf"}\n{"document": 7}\n', "row 2: it names no document"),
        ("l.jsonl", '{"document": "a.pdf"}\n[1]\n', "row 2: it is no object"),
        ("l.jsonl", '{"document": "a.pdf"}\n' + "[" * 100_000 + "\n", "row 2"),
        ("l.jsonl", '{"document": "a.pdf"}\n{"document": "a\\u0000b"}\n', "row 2: no file"),
        ("l.csv", "document,page\na.pdf,\na.pdf,x\n", "row 3: page 'x'"),
        ("l.csv", "document,page\na.pdf,\n" + "x" * 200_000 + ",\n", "row 3: field larger"),
    ],
)
def test_a_bad_row_is_a_row_with_its_problem(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text + ('{"document": "b.pdf"}\n' if name == "l.jsonl" else "b.pdf,\n"))
    first, bad, last = batch_inputs(str(tmp_path / name))
    assert not first.problem and not last.problem and Path(last.name).name == "b.pdf"
    assert bad.problem.startswith(said) and bad.position == 1


def test_a_list_without_rows_is_told(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("document\n")
    with pytest.raises(DocumentUnreadable, match="lists no documents"):
        list(batch_inputs(str(tmp_path / "l.csv")))


def test_a_name_that_is_no_utf8_keeps_its_bytes(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.pdf")
    (tmp_path / name).write_bytes(invoice(1))
    (tmp_path / "list.csv").write_bytes(b"document\ncaf\xe9.pdf\n")
    (row,) = batch_inputs(str(tmp_path / "list.csv"))
    assert row.name == str(tmp_path / name) and open_document(row.name, places=row.places).pages


def test_nothing_is_an_error(tmp_path: Path) -> None:
    for source in (str(tmp_path), str(tmp_path / "absent"), f"{tmp_path}/*.pdf", ""):
        with pytest.raises(DocumentNotFound):
            list(batch_inputs(source))


def test_shards_part_the_rows_by_name(tmp_path: Path) -> None:
    fill(tmp_path / "in", 20)
    whole = list(batch_inputs(str(tmp_path / "in")))
    parts = [list(batch_inputs(str(tmp_path / "in"), shard=(i, 4))) for i in range(4)]
    assert sorted((row for part in parts for row in part), key=lambda row: row.position) == whole
    assert sum(bool(part) for part in parts) > 1
    (tmp_path / "in" / "0000.pdf").write_bytes(invoice(99))
    moved = {row.label for row in batch_inputs(str(tmp_path / "in"), shard=(1, 4))} - {"0000.pdf"}
    assert moved == {row.label for row in parts[1]}


def test_storage_by_url() -> None:
    fsspec = pytest.importorskip("fsspec")
    storage = fsspec.filesystem("memory")
    storage.pipe("/bucket/a.pdf", invoice(1))
    storage.pipe("/bucket/sub/b.pdf", invoice(2))
    storage.pipe("/bucket/notes.txt", b"no document")
    storage.pipe(
        "/bucket/list.jsonl", b'{"document": "sub/b.pdf"}\n{"document": "memory://bucket/absent.pdf"}\n'
    )
    try:
        found = list(batch_inputs("memory://bucket"))
        assert [row.label for row in found] == ["a.pdf", "sub/b.pdf"]
        document = open_document(found[0].name, places=found[0].places)
        assert document.sha256 == digest(found[0].name, places=found[0].places) and document.name == "a.pdf"
        assert [row.label for row in batch_inputs("memory://bucket/*.pdf")] == ["a.pdf"]
        one, absent = batch_inputs("memory://bucket/list.jsonl")
        assert digest(one.name, places=one.places) == digest("memory://bucket/sub/b.pdf", places=one.places)
        with pytest.raises(DocumentNotFound):
            digest(absent.name, places=absent.places)
        with pytest.raises(DocumentNotAllowed):
            list(batch_inputs("ftp://somewhere/a.pdf"))
    finally:
        storage.rm("/bucket", recursive=True)


def test_the_content_decides_what_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_text("words")
    with pytest.raises(DocumentError, match=r"a\.pdf"):
        open_document(str(tmp_path / "a.pdf"))
