"""Sources: what is taken, in which order, and what is refused with its row."""

from __future__ import annotations

from pathlib import Path

import pytest

from layoutllm_tool.batch.sources import digest, open_document, rows
from layoutllm_tool.errors import DocumentError, DocumentNotAllowed, DocumentNotFound, DocumentUnreadable
from tests.batch_pages import fill, invoice


def test_a_folder_is_walked_in_order_without_what_is_hidden(tmp_path: Path) -> None:
    fill(tmp_path / "in", 3)
    labels = [row.label for row in rows(str(tmp_path / "in"))]
    assert labels == ["000.pdf", "001.pdf", "again.pdf", "corrupt.png", "empty.pdf", "locked.pdf", "long.pdf", "more/002.pdf"]  # fmt: skip


def test_a_glob_and_a_file(tmp_path: Path) -> None:
    fill(tmp_path / "in", 3)
    assert [Path(row.name).name for row in rows(f"{tmp_path}/in/**/0*.pdf")] == ["000.pdf", "001.pdf", "002.pdf"]
    assert [(row.label, row.page) for row in rows(f"{tmp_path}/in/000.pdf", page=2)] == [("000.pdf", 2)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.jsonl", '{"document": "a.pdf", "page": 2}\n\n{"path": "sub/b.pdf"}\n'),
        ("list.csv", "Document,page\na.pdf,2\nsub/b.pdf,\n"),
    ],
)
def test_a_list_is_relative_to_itself(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = [(row.position, row.name, row.page) for row in rows(str(tmp_path / name))]
    assert found == [(0, str(tmp_path / "a.pdf"), 2), (1, str(tmp_path / "sub" / "b.pdf"), None)]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("l.jsonl", '{"document": "a.pdf"}\nnonsense\n', "row 2"),
        ("l.jsonl", '{"document": "a.pdf"}\n{"document": "a.pdf", "page": 0}\n', "row 2.*page 0"),
        ("l.jsonl", '{"document": 7}\n', "row 1.*names no document"),
        ("l.jsonl", "[1]\n", "row 1.*no object"),
        ("l.csv", "name\na.pdf\n", "row 2.*names no document"),
        ("l.jsonl", '{"document": "http://10.0.0.1/x"}\n', "row 1.*not opened"),
        ("l.jsonl", '{"document": "s3://a::file:///etc/passwd"}\n', "row 1.*not opened"),
        ("l.csv", "document\n", "lists no documents"),
    ],
)
def test_bad_rows_are_told_by_number(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DocumentUnreadable, match=said):
        list(rows(str(tmp_path / name)))


def test_a_list_that_is_no_utf8_is_told(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes("document\ncafé.pdf\n".encode("latin-1"))
    with pytest.raises(DocumentError, match="no text"):
        list(rows(str(tmp_path / "list.csv")))


def test_nothing_is_an_error(tmp_path: Path) -> None:
    for source in (str(tmp_path), str(tmp_path / "absent"), f"{tmp_path}/*.pdf", ""):
        with pytest.raises(DocumentNotFound):
            list(rows(source))


def test_shards_part_the_rows_by_name(tmp_path: Path) -> None:
    fill(tmp_path / "in", 20)
    whole = list(rows(str(tmp_path / "in")))
    parts = [list(rows(str(tmp_path / "in"), shard=(i, 4))) for i in range(4)]
    assert sorted((row for part in parts for row in part), key=lambda row: row.position) == whole
    assert sum(bool(part) for part in parts) > 1
    (tmp_path / "in" / "0000.pdf").write_bytes(invoice(99))
    moved = {row.label for row in rows(str(tmp_path / "in"), shard=(1, 4))} - {"0000.pdf"}
    assert moved == {row.label for row in parts[1]}


def test_storage_by_url() -> None:
    fsspec = pytest.importorskip("fsspec")
    storage = fsspec.filesystem("memory")
    storage.pipe("/bucket/a.pdf", invoice(1))
    storage.pipe("/bucket/sub/b.pdf", invoice(2))
    storage.pipe("/bucket/notes.txt", b"no document")
    storage.pipe("/bucket/list.jsonl", b'{"document": "sub/b.pdf"}\n{"document": "memory://bucket/absent.pdf"}\n')
    try:
        found = list(rows("memory://bucket"))
        assert [row.label for row in found] == ["a.pdf", "sub/b.pdf"]
        document = open_document(found[0].name)
        assert document.sha256 == digest(found[0].name) and document.name == "a.pdf"
        assert [row.label for row in rows("memory://bucket/*.pdf")] == ["a.pdf"]
        one, absent = rows("memory://bucket/list.jsonl")
        assert digest(one.name) == digest("memory://bucket/sub/b.pdf")
        with pytest.raises(DocumentNotFound):
            digest(absent.name)
        with pytest.raises(DocumentNotAllowed):
            list(rows("ftp://somewhere/a.pdf"))
    finally:
        storage.rm("/bucket", recursive=True)


def test_the_content_decides_what_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_text("words")
    with pytest.raises(DocumentError, match=r"a\.pdf"):
        open_document(str(tmp_path / "a.pdf"))
