"""Batches of strangers: no row ends the others, no name leads out of its place, and no store or disk ends
in a traceback.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from layoutllm_graphs.batch.runner import Batch, here
from layoutllm_graphs.batch.worker import Settings
from layoutllm_tool.batch.inputs import batch_inputs
from layoutllm_tool.batch.sources import Places, open_document
from layoutllm_tool.batch.store import FILE, Store
from layoutllm_tool.batch.tables import write_tables
from layoutllm_tool.cli import main
from layoutllm_tool.errors import DocumentNotAllowed, LayoutLLMError, StoreUnusable
from layoutllm_tool.review_app.pages import Pages
from layoutllm_tool.testing import FakeReader
from tests.batch_pages import TASK, fill, invoice

SETTINGS = Settings.of(TASK, model={"reader": "fake"}, max_attempts=1, second_opinion=False)


def carried_out(source: str, out: Path, **options: Any) -> list[dict[str, Any]]:
    """The rows of the documents, in order."""
    with Batch(batch_inputs(source, **options), out, SETTINGS) as batch:
        batch.run(here(FakeReader(), SETTINGS))
        write_tables(batch.store, out)
    return [json.loads(line) for line in (out / "documents.jsonl").read_text().splitlines()]


def command(*arguments: object) -> int:
    return main([str(one) for one in arguments], reader=FakeReader())


# -- rows ----------------------------------------------------------------------------------------------------


def test_no_row_ends_the_others(tmp_path: Path) -> None:
    """Names that no file system takes, bytes that are no text, numbers without end, storage that is not
    there.
    """
    (tmp_path / "a.pdf").write_bytes(invoice(1))
    (tmp_path / os.fsdecode(b"caf\xe9.pdf")).write_bytes(invoice(2))
    os.mkfifo(tmp_path / "fifo.pdf")
    (tmp_path / "folder.pdf").mkdir()
    (tmp_path / "broken.pdf").symlink_to("nowhere.pdf")
    bad = [
        {"document": "a.pdf", "page": 10**23}, {"document": "x" * 9000}, {"document": "x" * 90_000},
        {"document": "a\0b"},
        {"document": "\ud800.pdf"}, {"document": "fifo.pdf"}, {"document": "folder.pdf"},
        {"document": "broken.pdf"},
        {"document": "gopher://host/a.pdf"}, {"document": "s3://bucket/a.pdf"},
        {"document": "zip://a::memory://b"},
        {"document": "evil\n\x1b[31m.pdf"}, {"document": "/proc/self/mem"}, {"document": {"deep": []}},
        {"page": 3}, 7,
    ]  # fmt: skip
    lines = [json.dumps(one).encode() for one in bad]
    text = [
        b'{"document": "a.pdf"}',
        *lines,
        b"[" * 50_000,
        b'{"document": "caf\xe9.pdf"}',
        b"\xff",
        b'{"document": "a.pdf"}',
    ]
    (tmp_path / "list.jsonl").write_bytes(b"\n".join(text))
    found = carried_out(str(tmp_path / "list.jsonl"), tmp_path / "out")
    assert len(found) == len(text)
    assert [row["status"] for row in found] == [
        "done",
        *["failed"] * (len(bad) + 1),
        "done",
        "failed",
        "done",
    ]
    assert all(row["error"] and row["kind"] for row in found if row["status"] == "failed")
    raw = (tmp_path / "out" / "documents.jsonl").read_text() + (tmp_path / "out" / "fields.jsonl").read_text()
    assert all(c.isprintable() or c == "\n" for c in raw)
    assert found[-3]["document"] == str(tmp_path / os.fsdecode(b"caf\xe9.pdf"))
    with Store.open(tmp_path / "out") as store:
        assert [one.name for one in store.inputs()] == [row["document"] for row in found]


def test_a_folder_that_cant_be_read_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "in", 1)
    walk = os.walk

    def shut(top: str, onerror: Callable[[OSError], object]) -> Any:
        onerror(PermissionError(13, "Permission denied", f"{top}/more"))
        return walk(top)

    monkeypatch.setattr(os, "walk", shut)
    found = carried_out(str(tmp_path / "in"), tmp_path / "out")
    assert any("Permission denied" in (row["error"] or "") for row in found) and found[0]["status"]
    assert sum(row["status"] == "done" for row in found) == 2


class Broken:
    """Storage whose library fails in its own way."""

    def open(self, path: str, mode: str) -> Any:
        raise KeyError("x-amz-missing")


def test_whatever_a_storage_library_raises_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda url: (Broken(), url))
    (tmp_path / "a.pdf").write_bytes(invoice(1))
    (tmp_path / "list.csv").write_text("document\ns3://bucket/a.pdf\na.pdf\n")
    found = carried_out(str(tmp_path / "list.csv"), tmp_path / "out", schemes=("s3",))
    assert [row["status"] for row in found] == ["failed", "done"] and "KeyError" in found[0]["error"]


# -- places --------------------------------------------------------------------------------------------------


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """A folder with a list, beside another one; links lead from the one to the other."""
    for name in ("in", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.pdf").write_bytes(invoice(len(name)))
    (tmp_path / "in" / "link.pdf").symlink_to(tmp_path / "other" / "a.pdf")
    (tmp_path / "in" / "inner.pdf").symlink_to("a.pdf")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "other")
    names = [
        "a.pdf",
        "inner.pdf",
        "link.pdf",
        "folder/a.pdf",
        "../other/a.pdf",
        str(tmp_path / "other" / "a.pdf"),
    ]
    (tmp_path / "in" / "list.jsonl").write_text(
        "".join(json.dumps({"document": name}) + "\n" for name in names)
    )
    return tmp_path


def test_a_list_stays_in_its_folder(places: Path) -> None:
    found = carried_out(str(places / "in" / "list.jsonl"), places / "out")
    assert [row["status"] for row in found] == ["done", "done", *["failed"] * 4]
    assert {row["kind"] for row in found[2:]} == {"DocumentNotAllowed"}


def test_roots_that_the_caller_names_open_it(places: Path) -> None:
    found = carried_out(str(places / "in" / "list.jsonl"), places / "out", roots=(str(places / "other"),))
    assert {row["status"] for row in found} == {"done"}
    task = ("--task", "the total", "-o", places / "more", "--root", places / "other")
    assert command("batch", places / "in" / "list.jsonl", *task) in (0, 3)


def test_links_in_a_folder_do_not_lead_out(places: Path) -> None:
    found = {
        row["document"].rsplit("/", 1)[1]: row for row in carried_out(str(places / "in"), places / "out")
    }
    assert {name: row["status"] for name, row in found.items()} == {
        "a.pdf": "done",
        "inner.pdf": "done",
        "link.pdf": "failed",
    }
    assert found["link.pdf"]["kind"] == "DocumentNotAllowed"
    globbed = carried_out(f"{places}/in/*.pdf", places / "globbed")
    assert [row["status"] for row in globbed] == ["done", "done", "failed"]


def test_a_name_changed_in_a_store_reads_nothing_else(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As whoever looks at a batch from elsewhere; their own folder is the working directory."""
    (places / "in" / "list.jsonl").unlink()
    carried_out(str(places / "in"), places / "out")
    connection = sqlite3.connect(places / "out" / FILE)
    connection.execute("UPDATE inputs SET name = ?", (str(places / "other" / "a.pdf"),))
    connection.commit()
    connection.close()
    with Store.open(places / "out") as store:
        key = next(one.key for one in store.inputs())
        pages = Pages(store, FakeReader, places=Places(roots=(str(places / "in"),)))
        for look in (lambda: pages.document(key), lambda: pages.picture(key, 1), lambda: pages.lines(key, 1)):
            with pytest.raises(DocumentNotAllowed):
                look()
    monkeypatch.chdir(places / "in")
    assert command("view", places / "out", "--export", places / "run.html") == 0
    assert "data:image" not in (places / "run.html").read_text()
    monkeypatch.chdir(places)


@pytest.mark.parametrize("name", [
    "s3://bucket/a.pdf", "webhdfs://10.0.0.1:50070/a.pdf", "memory://b/a.pdf", "file:///etc/passwd",
    "hdfs://10.0.0.1/a", "http://10.0.0.1/a", "ftp://h/a", "github://o:r@h/a", "https://10.0.0.1/a.pdf",
    "https://169.254.169.254/latest",
])  # fmt: skip
def test_storage_is_opened_only_where_the_caller_allows_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda url: pytest.fail(f"{url} was opened"))
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("a connection was made"))
    with pytest.raises(DocumentNotAllowed):
        open_document(name)


@pytest.mark.parametrize(
    "scheme", ["webhdfs", "hdfs", "http", "file", "ftp", "github", "zip", "simplecache", ""]
)
def test_storage_whose_urls_name_a_server_cant_be_allowed(
    scheme: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DocumentNotAllowed, match="no storage"):
        Places(schemes=(scheme,))
    if scheme:
        with pytest.raises(SystemExit):
            command("batch", ".", "--task", "the total", "-o", "out", "--allow-scheme", scheme)
        assert "Traceback" not in capsys.readouterr().err


# -- stores --------------------------------------------------------------------------------------------------


def altered(statement: str) -> Callable[[Path], object]:
    def alter(place: Path) -> None:
        connection = sqlite3.connect(place)
        connection.executescript(statement)
        connection.commit()
        connection.close()

    return alter


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no database": lambda place: place.write_bytes(b"SQLite format 3\0" + bytes(500)),
    "text": lambda place: place.write_text("hello " * 900),
    "half": lambda place: os.truncate(place, place.stat().st_size // 2),
    "a hole": lambda place: os.truncate(place, 8192),
    "no documents": altered("DROP TABLE documents"),
    "no inputs": altered("DROP TABLE inputs"),
    "no settings": altered("DELETE FROM settings"),
    "settings that are no JSON": altered("UPDATE settings SET value = '{'"),
    "a plan that is none": altered("UPDATE settings SET value = '3' WHERE name = 'plan'"),
    "an unknown status": altered("UPDATE documents SET status = 'lost'"),
    "an answer that is no JSON": altered("UPDATE fields SET answer = 'x'"),
    "an answer that is none": altered("UPDATE fields SET answer = '[]'"),
    "an answer that lacks all": altered("UPDATE fields SET answer = '{}'"),
    "a cell that is none": altered(
        """UPDATE fields SET answer = json_set(answer, '$.rows', json('[{"a": {}}]'))"""
    ),
    "rows that are none": altered("UPDATE fields SET answer = json_set(answer, '$.rows', json('[7]'))"),
    "bytes that are no text": altered("UPDATE inputs SET name = CAST(X'ff41' AS TEXT)"),
    "a view without end": altered(
        "ALTER TABLE inputs RENAME TO was; CREATE VIEW inputs AS WITH RECURSIVE c(x) AS "
        "(SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x position, 'a' name, NULL page, 'k' key FROM c"
    ),
    "a view of a gigabyte": altered(
        "ALTER TABLE settings RENAME TO was; "
        "CREATE VIEW settings AS SELECT 'plan' name, hex(zeroblob(450000000)) value"
    ),
    "a trigger": altered("CREATE TRIGGER t AFTER INSERT ON queued BEGIN DELETE FROM documents; END"),
    "a computed column": altered("ALTER TABLE queued ADD COLUMN more TEXT AS (hex(zeroblob(1000000000)))"),
    "another table": altered("ALTER TABLE fields RENAME COLUMN answer TO reply"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_or_foreign_store_is_one_line(
    tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "in", 3)
    task = ("batch", tmp_path / "in", "--task", "the vendor; the total", "-o", tmp_path / "out")
    assert command(*task) == 3
    for left in tmp_path.glob("out/batch.sqlite-*"):
        left.unlink()
    DAMAGE[what](tmp_path / "out" / FILE)
    capsys.readouterr()
    for arguments in (
        ("select", tmp_path / "out", "--top", 3),
        ("view", tmp_path / "out", "--export", tmp_path / "run.html"),
    ):
        code = command(*arguments)
        said = capsys.readouterr().err
        assert code in (1, 2) and said.startswith("layoutllm: ") and said.count("\n") == 1, (
            arguments,
            code,
            said,
        )


@pytest.mark.parametrize("place", ["file", "file/out", "/proc/nowhere", "/dev/null"])
def test_a_place_that_cant_be_written_is_one_line(
    tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    fill(tmp_path / "in", 1)
    assert command("batch", tmp_path / "in", "--task", "the total", "-o", tmp_path / place) == 1
    said = capsys.readouterr().err
    assert said.startswith("layoutllm: ") and said.count("\n") == 1


@pytest.mark.parametrize("most", [1, 3_000, 20_000, 60_000, 90_000, 110_000])
def test_a_full_disk_is_one_line_and_nothing_counts_that_is_not_there(tmp_path: Path, most: int) -> None:
    """A limit on the size of files is what a test can have of a full disk."""
    fill(tmp_path / "in", 12)
    code = (
        "import resource, signal, sys\nfrom layoutllm_tool.cli import main\n"
        "from layoutllm_tool.testing import FakeReader\n"
        "from layoutllm_tool.documents.parser_process import POOL\nPOOL.warm()\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))\n"
        "sys.exit(main(sys.argv[1:], reader=FakeReader()))"
    )
    arguments = [
        "batch",
        str(tmp_path / "in"),
        "--task",
        "the vendor; the total",
        "-o",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr and done.returncode in (1, 3), done.stderr
    if done.returncode == 1:
        assert done.stderr.startswith("layoutllm: ") and "full" in done.stderr.splitlines()[-1]
    # What was there is whole, and the same command, on a disk with room, ends it.
    assert main(arguments, reader=FakeReader()) == 3
    found = [json.loads(line) for line in (tmp_path / "out" / "documents.jsonl").read_text().splitlines()]
    assert len(found) == 17 and {row["status"] for row in found} == {"done", "failed"}


def test_a_batch_that_cant_be_written_can_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "in", 3)
    carried_out(str(tmp_path / "in"), tmp_path / "out")
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def read_only(place: str, **options: Any) -> sqlite3.Connection:
        """As in a folder in which SQLite can make no files."""
        if "mode=rw" in str(place):
            raise sqlite3.OperationalError("unable to open database file")
        return connect(place, **options)

    monkeypatch.setattr(sqlite3, "connect", read_only)
    monkeypatch.chdir(tmp_path)
    with Store.open(tmp_path / "out") as store:
        assert store.statuses()["done"] == 4
        with pytest.raises(StoreUnusable, match="read-only"):
            store.queue([one.key for one in store.inputs()])
    assert command("select", tmp_path / "out", "--top", 2) == 0
    assert command("view", tmp_path / "out", "--export", tmp_path / "run.html") == 0
    assert "data:image" in (tmp_path / "run.html").read_text()
    capsys.readouterr()


async def test_the_review_page_of_a_batch_that_cant_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from layoutllm_tool.review_app.app import create_app
    from tests.services import in_process

    fill(tmp_path / "in", 3)
    carried_out(str(tmp_path / "in"), tmp_path / "out")
    opened = Store.open(tmp_path / "out")
    monkeypatch.setattr(Store, "open", classmethod(lambda cls, folder: opened))
    app = create_app(tmp_path / "out", FakeReader(), token="t")
    before = sorted(path.name for path in (tmp_path / "out").iterdir())
    async with in_process(app) as client:
        assert (await client.get("/?token=t")).status_code == 200
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        n for n in before if not n.endswith(("-wal", "-shm"))
    ]


# -- what people see -----------------------------------------------------------------------------------------


def test_names_move_no_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    name = "a\x1b[2J\x9b31m\u202efdp.pdf"
    (tmp_path / "in" / name).write_bytes(invoice(2))
    found = carried_out(str(tmp_path / "in"), tmp_path / "out")
    assert found[0]["document"].endswith(name)
    for extra in ([], ["--json"]):
        assert command("select", tmp_path / "out", "--top", 1, *extra) == 0
        said = capsys.readouterr()
        assert all(c.isprintable() or c == "\n" for c in said.out + said.err) and "\\u202e" in said.out


def test_unexpected_errors_are_still_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only files and disks are told of in a line: a bug stays a traceback."""
    from layoutllm_tool.commands import select

    def bug(*_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(select, "run", bug)
    with pytest.raises(ZeroDivisionError):
        command("select", ".", "--top", 1)
    assert issubclass(StoreUnusable, LayoutLLMError)
