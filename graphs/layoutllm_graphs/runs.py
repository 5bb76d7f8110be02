"""Carries a workflow through to its end: checkpoints, a thread for each document and task, events, replies.

A run that was cut off goes on where it was: answered questions are not asked again. Batches are *not* here.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, Interrupt

from layoutllm_graphs.context import Context
from layoutllm_graphs.serde import Checked, DataSaver, DataSerializer, refusing_foreign
from layoutllm_graphs.state import Outcome, Request, check_state
from layoutllm_graphs.workflow import standing
from layoutllm_tool.errors import LayoutLLMError

Reply = Callable[[dict[str, Any]], Any]
"""Takes what an interrupt shows ("kind" is "plan" or "review") and gives what it is resumed with."""


@contextmanager
def checkpoints(place: str | Path) -> Iterator[BaseCheckpointSaver[Any]]:
    """Where runs are kept: a SQLite file, made where it is missing (":memory:" for none), or a
    ``postgres://`` URL (extra ``postgres``).

    What is read is data, whoever wrote it: StoreMismatch for a file that holds anything else.
    """
    if str(place).startswith(("postgres://", "postgresql://")):
        with _postgres(str(place)) as saver:
            yield saver
        return
    if place != ":memory:":
        Path(place).parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(place, check_same_thread=False)) as connection:
        saver = DataSaver(connection, serde=DataSerializer())
        with refusing_foreign():
            saver.setup()
        yield saver


@contextmanager
def _postgres(url: str) -> Iterator[BaseCheckpointSaver[Any]]:
    try:
        from langgraph.checkpoint.postgres import PostgresSaver
        from psycopg import OperationalError
    except ImportError as error:
        raise LayoutLLMError(
            "checkpoints in Postgres need a package more.", hint="pip install 'layoutllm-tool[postgres]'"
        ) from error

    class DataPostgres(Checked, PostgresSaver):
        pass

    with ExitStack() as stack:
        try:
            saver = stack.enter_context(DataPostgres.from_conn_string(url))
            saver.serde = DataSerializer()
            saver.setup()
        except OperationalError as error:
            raise LayoutLLMError(
                f"Postgres can't be reached: {error}.", hint="Is the URL right, and the server up?"
            ) from error
        yield saver


def thread_of(sha256: str, request: Request) -> str:
    """The thread of a document (by its content) and a task: the same ones find their run again."""
    schema = [request["schema"]] if request.get("schema") else []
    asked = json.dumps(
        [sha256, request["task"], request.get("page"), *schema], sort_keys=True, ensure_ascii=False
    )
    return hashlib.sha256(asked.encode()).hexdigest()[:32]


def carry_out(
    graph: CompiledStateGraph[Any, Context, Request, Outcome],
    request: Request,
    *,
    thread: str,
    context: Context,
    on_event: Callable[[Mapping[str, Any]], None] | None = None,
    reply: Reply | None = None,
    command: Command[Any] | None = None,
) -> Outcome:
    """From where the thread stands to its end. ``reply`` answers interrupts, one after another, all of a step
    before it goes on; without it, the answers that wait for a person come back as they stand.

    A thread at its end is run anew, or goes on with ``command`` (``amend``). Raises what
    the graph raises; StoreMismatch for a foreign thread.
    """
    config: Any = {"configurable": {"thread_id": thread}}
    with refusing_foreign():
        before = graph.get_state(config)
        if "plan" in before.values:  # a run that was refused has none, and begins anew
            check_state(before.values)
    given: Any = command or (None if before.next and not before.interrupts else request)
    if before.interrupts and not command:
        given = _replies(before.interrupts, reply)
    # What goes on with stored values reads them at every turn: questions that wait, and their own graphs.
    reading = refusing_foreign if before.next or command else nullcontext
    while True:
        with reading():
            for part in graph.stream(
                given, config, context=context, stream_mode="custom", subgraphs=True, durability="sync"
            ):
                if on_event:
                    on_event(cast("tuple[Any, Mapping[str, Any]]", part)[1])
            state = graph.get_state(config)
        if not state.interrupts or reply is None:
            _forget_history(graph.checkpointer, thread)
            return _outcome(state.values)
        given = _replies(state.interrupts, reply)


def _forget_history(saver: Any, thread: str) -> None:
    """Keep the thread's last checkpoint and delete the earlier ones, and those of the questions' own graphs.

    SQLite only: other savers keep theirs.
    """
    if not isinstance(saver, DataSaver):
        return
    old = "thread_id = :thread AND (checkpoint_ns <> '' OR checkpoint_id < :last)"
    with saver.cursor() as cursor:
        last = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ''"
        known = {"thread": thread, "last": cursor.execute(last, (thread,)).fetchone()[0]}
        for table in ("writes", "checkpoints"):
            cursor.execute(f"DELETE FROM {table} WHERE {old}", known)


def _replies(interrupts: tuple[Interrupt, ...], reply: Reply | None) -> Command[Any] | None:
    """Every reply under its interrupt's own id: several may wait together."""
    if reply is None:
        return None
    return Command(resume={one.id: reply(one.value) for one in interrupts})


def _outcome(values: Mapping[str, Any]) -> Outcome:
    """Where the run waits for a person, the answers as they stand, and no record."""
    answers = values.get("answers") or standing(values)
    outcome = Outcome(plan=values.get("plan", {}), answers=answers, notes=values.get("notes", []))
    outcome["usage"] = values.get("usage", {})
    if values.get("answers") and values.get("escalation"):
        outcome["escalation"] = values["escalation"]
    if values.get("answers") and values.get("criteria"):
        outcome["criteria"] = values["criteria"]
    if values.get("answers") and "record" in values:
        outcome |= {"record": values["record"], "fields": values["fields"]}
    if values.get("answers"):
        outcome["notices"] = values.get("notices", [])
    return outcome
