"""Checkpoints from somebody else: nothing that they name is imported or called, and what can't be read is
told in one line.
"""

from __future__ import annotations

import json
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Interrupt, Overwrite, Send

from layoutllm_graphs.batch.review import attempts, review_field
from layoutllm_graphs.context import Context
from layoutllm_graphs.planning.planner import plan_task
from layoutllm_graphs.review import ReviewDecision
from layoutllm_graphs.runs import carry_out, checkpoints
from layoutllm_graphs.serde import MOST_BYTES, DataSerializer
from layoutllm_graphs.state import Request
from layoutllm_graphs.workflow import build_workflow
from layoutllm_tool.batch.store import DocumentResult, Field, Input, Store
from layoutllm_tool.errors import StoreMismatch
from layoutllm_tool.testing import FakeReader, document_from_text
from layoutllm_tool.tool import LayoutLLMTool
from tests.graphs.postgres import postgres
from tests.paths import ROOT

KEY = "k" * 32
DOCUMENT = document_from_text("ACME Ltd\nTotal: 12.50\nDate: 2 May 2024", name="a.png")
PLAN = plan_task(["total", "date"]).plan.model_dump(mode="json")
REQUEST = Request(document="a.png", task=PLAN, page=None)


class Runs:
    """Pickled, it runs the command when it is read."""

    def __init__(self, shell: str) -> None:
        self.shell = shell

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.shell,)


def packed(code: int, *content: Any) -> bytes:
    return ormsgpack.packb({"found": ormsgpack.Ext(code, ormsgpack.packb(content))})


def within_a_snapshot(shell: str) -> bytes:
    return ormsgpack.packb({"found": ormsgpack.Ext(7, packed(0, "os", "system", shell))})


def within_a_record(shell: str) -> bytes:
    inner = ormsgpack.Ext(0, ormsgpack.packb(("os", "system", shell)))
    return packed(1, "langgraph.types", "Send", ["question", inner])


def revived(data: dict[str, Any]) -> bytes:
    return json.dumps({"found": {"lc": 1, **data}}).encode()


PROMPT = {"type": "constructor", "id": ["langchain_core", "prompts", "prompt", "PromptTemplate"]}
HOSTILE: dict[str, tuple[str, Callable[[str], bytes]]] = {
    "one argument": ("msgpack", lambda shell: packed(0, "os", "system", shell)),
    "arguments": ("msgpack", lambda shell: packed(1, "os", "system", [shell])),
    "names": ("msgpack", lambda shell: packed(2, "subprocess", "getoutput", {"cmd": shell})),
    "evaluated": (
        "msgpack",
        lambda shell: packed(0, "builtins", "eval", f"__import__('os').system({shell!r})"),
    ),
    "method": ("msgpack", lambda shell: packed(3, "os", "path", shell, "exists")),
    "pydantic 1": ("msgpack", lambda shell: packed(4, "subprocess", "getoutput", {"cmd": shell})),
    "pydantic 2": (
        "msgpack",
        lambda shell: packed(5, "subprocess", "getoutput", {"cmd": shell}, "model_validate_json"),
    ),
    "within a snapshot": ("msgpack", within_a_snapshot),
    "within a record": ("msgpack", within_a_record),
    "pattern": ("msgpack", lambda _: packed(1, "re", "compile", ["(a{9}){9}", 0])),
    "chat message": (
        "msgpack",
        lambda _: packed(5, "langchain_core.messages.human", "HumanMessage", {"content": "x"}, ""),
    ),
    "array": ("msgpack", lambda _: packed(6, "<i4", [1], "C", b"\0\0\0\0")),
    "json": ("json", lambda _: revived(PROMPT | {"kwargs": {"template": "x", "input_variables": []}})),
    "json secret": ("json", lambda _: revived({"type": "secret", "id": ["HOME"]})),
    "pickle": ("pickle", lambda shell: pickle.dumps(Runs(shell))),
}
"""Stored values that run a command, or revive something else, when they are read by whoever follows what
they name.
"""
KINDS = tuple(HOSTILE)


def hostile(kind: str, made: Path) -> tuple[str, bytes]:
    """One that makes the file."""
    stored, make = HOSTILE[kind]
    return stored, make(f"touch '{made}'")


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_stored_value_names_is_not_revived(kind: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    with pytest.raises(StoreMismatch, match="can't be used"):
        DataSerializer().loads_typed(hostile(kind, made))
    opened = DataSerializer().with_msgpack_allowlist([("os", "system"), ("subprocess", "getoutput")])
    with pytest.raises(StoreMismatch):  # a compiled graph widens the list by its own schemas
        opened.loads_typed(hostile(kind, made))
    assert not made.exists()


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """A folder with one document whose fields wait for a person, as LangGraph's own saver keeps them."""
    tool = LayoutLLMTool(reader=FakeReader(), documents={"a.png": DOCUMENT})
    # As before the package read checkpoints as data: such folders still have to be read.
    with closing(sqlite3.connect(tmp_path / "runs.sqlite", check_same_thread=False)) as connection:
        graph = build_workflow().compile(checkpointer=SqliteSaver(connection))
        context = Context(
            tool=tool, max_attempts=1, second_opinion=False, review=True, disabled_checks=("grounding",)
        )
        answers = graph.invoke(REQUEST, {"configurable": {"thread_id": KEY}}, context=context)["answers"]
        connection.commit()
    with Store.open(tmp_path, {"plan": PLAN, "max_attempts": 1}) as store:
        store.enter([Input(0, "a.png", None, KEY)])
        fields = [Field(KEY, i, a["name"], dict(a), True) for i, a in enumerate(answers)]
        store.put(DocumentResult(KEY, "done", "failed", sha256=DOCUMENT.sha256, pages=1), fields)
    return tmp_path


def changed(folder: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(folder / "runs.sqlite")) as connection:
        assert connection.execute(statement, values).rowcount
        connection.commit()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["checkpoints", "writes"])
def test_a_thread_from_elsewhere_runs_nothing(kind: str, place: str, batch: Path, tmp_path: Path) -> None:
    """Going on with it is refused in one line."""
    made = tmp_path / "made"
    kind_, raw = hostile(kind, made)
    if place == "checkpoints":
        changed(batch, "UPDATE checkpoints SET type = ?, checkpoint = ?", kind_, raw)
    else:
        with closing(sqlite3.connect(batch / "runs.sqlite")) as connection:
            last = connection.execute("SELECT checkpoint_ns, max(checkpoint_id) FROM checkpoints").fetchone()
            row = (KEY, *last, "task", "", 0, "found", kind_, raw)
            connection.execute(f"INSERT INTO writes VALUES ({', '.join('?' * 9)})", row_of(connection, row))
            connection.commit()
    with checkpoints(batch / "runs.sqlite") as saver, pytest.raises(StoreMismatch) as refused:
        carried_out(saver)
    assert "\n" not in str(refused.value)
    assert not made.exists()


def carried_out(saver: Any) -> Any:
    """From where the thread stands."""
    context = Context(tool=LayoutLLMTool(reader=FakeReader(), documents={"a.png": DOCUMENT}))
    graph = build_workflow().compile(checkpointer=saver)
    return carry_out(graph, REQUEST, thread=KEY, context=context)


def row_of(connection: sqlite3.Connection, row: tuple[Any, ...]) -> list[Any]:
    """In the order that the file has its columns in."""
    names = (
        "thread_id",
        "checkpoint_ns",
        "checkpoint_id",
        "task_id",
        "task_path",
        "idx",
        "channel",
        "type",
        "value",
    )
    known = dict(zip(names, row, strict=True))
    return [known[name] for _, name, *_ in connection.execute("PRAGMA table_info(writes)")]


def test_what_langgraph_writes_comes_back() -> None:
    serializer, value = DataSerializer(), {"a": [1, None, 2.5, "x"], 3: True}
    for one in (Send("question", value), Overwrite(value), Interrupt(value, "id"), value, None):
        assert serializer.loads_typed(serializer.dumps_typed(one)) == one


def test_a_folder_from_before_is_read_and_goes_on(batch: Path) -> None:
    with Store.open(batch) as store:
        assert len(attempts(store, KEY, "total")) == 1
        fields = review_field(
            store, KEY, "total", ReviewDecision(answer="1"), reader=FakeReader(), opened=lambda _: DOCUMENT
        )
        assert [f.answer["by"] for f in fields] == ["person", "reader"] and len(
            attempts(store, KEY, "total")
        ) == 2


@pytest.mark.parametrize(
    "change",
    [
        ("UPDATE checkpoints SET metadata = ?", b"[" * 100_000),
        ("UPDATE checkpoints SET metadata = ?", b'{"step": "x"}'),
        ("UPDATE checkpoints SET checkpoint = ?", b"\xdf\xff\xff\xff\xff"),
        ("UPDATE checkpoints SET checkpoint = ?", b"\x91" * 100_000),
        (
            "UPDATE checkpoints SET checkpoint = ?",
            ormsgpack.packb({"v": 4, "id": "1", "ts": "", "channel_values": []}),
        ),
        ("UPDATE checkpoints SET checkpoint = ?", "text"),
        ("UPDATE checkpoints SET type = ?", "sealed"),
        ("UPDATE checkpoints SET checkpoint = zeroblob(?)", MOST_BYTES + 1),
    ],
)
def test_a_damaged_checkpoint_is_told_in_one_line(change: tuple[str, Any], batch: Path) -> None:
    changed(batch, *change)
    with checkpoints(batch / "runs.sqlite") as saver, pytest.raises(StoreMismatch) as told:
        carried_out(saver)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("found", [[], {"total": {}}, {"total": {"attempts": [{"cot": 1}], "best": 7}}, "x"])
def test_values_that_no_run_leaves_are_refused(found: Any, batch: Path) -> None:
    with closing(sqlite3.connect(batch / "runs.sqlite")) as connection:
        raw = connection.execute("SELECT checkpoint FROM checkpoints ORDER BY checkpoint_id DESC").fetchone()[
            0
        ]
        serializer = DataSerializer()
        stored = serializer.loads_typed(("msgpack", raw))
        stored["channel_values"]["found"] = found
        connection.execute("UPDATE checkpoints SET checkpoint = ?", (serializer.dumps_typed(stored)[1],))
        connection.commit()
    with checkpoints(batch / "runs.sqlite") as saver, pytest.raises(StoreMismatch):
        carried_out(saver)


NO_ATTEMPTS: dict[str, Any] = {
    "attempts": [], "best": None, "verdict": "failed", "error": None, "by": "reader", "calls": 1
}  # fmt: skip
NO_RESULTS: list[Any] = [
    [], {}, {"attempts": [{"cot": 1}], "best": 7}, "x", NO_ATTEMPTS | {"calls": "1"},
    NO_ATTEMPTS | {"best": 0}, NO_ATTEMPTS | {"verdict": "fine"}, NO_ATTEMPTS | {"error": 7},
]  # fmt: skip


@pytest.mark.parametrize("result", NO_RESULTS)
def test_stored_results_that_no_run_leaves_are_refused(result: Any, batch: Path) -> None:
    with closing(sqlite3.connect(batch / "batch.sqlite")) as connection:
        connection.execute("UPDATE fields SET result = ? WHERE name = 'total'", (json.dumps(result),))
        connection.commit()
    with Store.open(batch) as store:
        with pytest.raises(StoreMismatch, match="can't be used"):
            attempts(store, KEY, "total")
        with pytest.raises(StoreMismatch, match="can't be used"):
            review_field(
                store,
                KEY,
                "total",
                ReviewDecision(accept=True),
                reader=FakeReader(),
                opened=lambda _: DOCUMENT,
            )


@pytest.mark.parametrize("content", [b"no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "runs.sqlite").write_bytes(content)
    with pytest.raises(StoreMismatch, match="can't be used"), checkpoints(tmp_path / "runs.sqlite"):
        pass


def test_other_tables_of_the_same_name_are_told(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "runs.sqlite")) as connection:
        connection.executescript("CREATE TABLE checkpoints (x); CREATE TABLE writes (y);")
    with pytest.raises(StoreMismatch), checkpoints(tmp_path / "runs.sqlite") as saver:
        carried_out(saver)


def test_stored_answers_that_are_none_are_told(batch: Path) -> None:
    with closing(sqlite3.connect(batch / "batch.sqlite")) as connection:
        connection.execute("UPDATE fields SET answer = json_set(answer, '$.cot.areas', 7)")
        connection.commit()
    with (
        Store.open(batch) as store,
        pytest.raises(StoreMismatch, match="can't be used"),
    ):
        review_field(
            store, KEY, "total", ReviewDecision(accept=True), reader=FakeReader(), opened=lambda _: DOCUMENT
        )


def test_every_saver_of_ours_reads_data_alone(tmp_path: Path) -> None:
    with checkpoints(tmp_path / "runs.sqlite") as saver:
        graph = build_workflow().compile(checkpointer=saver)
        assert isinstance(graph.checkpointer.serde, DataSerializer)  # type: ignore[union-attr]


def test_postgres_reads_data_alone(tmp_path: Path) -> None:
    made = tmp_path / "made"
    context = Context(tool=LayoutLLMTool(reader=FakeReader(), documents={"a.png": DOCUMENT}))
    with postgres(tmp_path) as url, checkpoints(url) as saver:
        graph = build_workflow().compile(checkpointer=saver)
        assert carry_out(graph, REQUEST, thread=KEY, context=context)["answers"]
        kind, raw = hostile("one argument", made)
        saver.conn.execute(  # type: ignore[attr-defined]
            "UPDATE checkpoint_blobs SET type = %s, blob = %s", (kind, raw)
        )
        with pytest.raises(StoreMismatch):
            carried_out(saver)
        assert not made.exists()


def test_a_server_of_langgraph_is_told_to_revive_nothing() -> None:
    settings = json.loads((ROOT / "langgraph.json").read_text())
    script = (
        "from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer as S; "
        "print(S()._allowed_msgpack_modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | settings["env"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert settings["checkpointer"]["serde"] == {"pickle_fallback": False}  # true where nothing is said
    assert done.stdout.strip() == "None"  # what langgraph brings itself, and no other


def resend(folder: Path, change: Callable[[Any], Any]) -> None:
    """Changes the jobs of all questions that wait, and lets them begin anew."""
    serializer = DataSerializer()
    with closing(sqlite3.connect(folder / "runs.sqlite")) as connection:
        for table in ("writes", "checkpoints"):
            connection.execute(f"DELETE FROM {table} WHERE checkpoint_ns <> ''")
        for rowid, raw in connection.execute("SELECT rowid, checkpoint FROM checkpoints").fetchall():
            stored = serializer.loads_typed(("msgpack", raw))
            if waiting := stored["channel_values"].get("__pregel_tasks"):
                stored["channel_values"]["__pregel_tasks"] = [
                    Send(one.node, change(one.arg)) for one in waiting
                ]
                new = serializer.dumps_typed(stored)[1]
                connection.execute("UPDATE checkpoints SET checkpoint = ? WHERE rowid = ?", (new, rowid))
        connection.commit()


class Broken(FakeReader):
    """Leaves a run in the middle, with questions that wait."""

    def ask(self, *_: Any, **__: Any) -> Any:
        raise OSError("no power")


@pytest.mark.parametrize("job", [{}, {"question": 7}, [], {"name": "total", "others": {"a": {"cot": 1}}}])
def test_a_stored_job_that_is_none_is_told(job: Any, tmp_path: Path) -> None:
    def run(reader: FakeReader) -> Any:
        context = Context(tool=LayoutLLMTool(reader=reader, documents={"a.png": DOCUMENT}))
        with checkpoints(tmp_path / "runs.sqlite") as saver:
            graph = build_workflow().compile(checkpointer=saver)
            return carry_out(graph, REQUEST, thread=KEY, context=context)

    with pytest.raises(OSError, match="no power"):
        run(Broken())
    resend(tmp_path, lambda _: job)
    with pytest.raises(StoreMismatch, match="can't be used"):
        run(FakeReader())
