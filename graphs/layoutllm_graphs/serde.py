"""Checkpoints as data. What a run keeps is plain JSON and three records of LangGraph's own; a file from
elsewhere may hold anything.

LangGraph's own serializer imports and calls what a checkpoint names, and its allow-list still admits regular
expressions, chat messages and, in the old "json" form, LangChain's objects. Here nothing is imported by name:
what no run of this package writes is refused. Encryption is *not* here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ormsgpack
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.serde.jsonplus import (
    EXT_CONSTRUCTOR_KW_ARGS,
    EXT_CONSTRUCTOR_POS_ARGS,
    JsonPlusSerializer,
)
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.errors import InvalidUpdateError
from langgraph.types import Interrupt, Overwrite, Send
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from layoutllm_graphs.planning.fields import one_line
from layoutllm_tool.errors import StoreMismatch

MOST_BYTES = 1 << 25
"""Of one stored value: an empty mapping is one byte there and 64 in memory."""


_RECORDS: dict[tuple[int, str, str], Callable[[Any], Any]] = {
    (EXT_CONSTRUCTOR_POS_ARGS, "langgraph.types", "Send"): lambda given: Send(str(given[0]), given[1]),
    (EXT_CONSTRUCTOR_KW_ARGS, "langgraph.types", "Interrupt"): lambda given: Interrupt(**given),
    (EXT_CONSTRUCTOR_KW_ARGS, "langgraph.types", "Overwrite"): lambda given: Overwrite(given["value"]),
}
"""By msgpack extension, module and name. None holds another one."""


def _record(code: int, data: bytes) -> Any:
    """Raises for every other extension; msgpack makes a ValueError of it, whatever it is."""
    module, name, given, *_ = ormsgpack.unpackb(data, option=ormsgpack.OPT_NON_STR_KEYS)
    return _RECORDS[code, module, name](given)


class DataSerializer(JsonPlusSerializer):
    """Writes as LangGraph does; reads plain data and ``_RECORDS``, StoreMismatch for all else."""

    def __init__(self) -> None:
        super().__init__(allowed_msgpack_modules=None, __unpack_ext_hook__=_record)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        kind, raw = data
        if kind not in ("null", "msgpack"):
            raise _foreign(f"it holds a value of the type {str(kind)[:20]!r}")
        if len(raw or b"") > MOST_BYTES:
            raise _foreign(f"it holds a value of {len(raw):,} bytes")
        with refusing_foreign():
            return super().loads_typed(data)


def _foreign(what: str) -> StoreMismatch:
    return StoreMismatch(
        f"what is stored here can't be used: {what}.",
        hint="It is damaged or was made by another program: run the task anew in a place of your own.",
    )


_OF_WRONG_SHAPES = (ValueError, TypeError, LookupError, AttributeError, RecursionError, sqlite3.DatabaseError)


@contextmanager
def refusing_foreign() -> Iterator[None]:
    """For code that works with what is stored: StoreMismatch in place of what wrong shapes raise."""
    try:
        yield
    except (*_OF_WRONG_SHAPES, InvalidUpdateError) as error:
        raise _foreign(f"{type(error).__name__}: {one_line(str(error))[:120]}".rstrip(" .")) from error


class _Stored(TypedDict):
    """What LangGraph takes for granted in a checkpoint."""

    v: int
    id: str
    ts: str
    channel_values: dict[str, Any]
    channel_versions: dict[str, str]
    versions_seen: dict[str, dict[str, str]]


_STORED = TypeAdapter(_Stored)


class Checked(BaseCheckpointSaver[str]):
    """Before a saver among the base classes: reading a damaged or foreign checkpoint is a StoreMismatch."""

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        with refusing_foreign():
            found = super().get_tuple(config)
            return None if found is None else _well_formed(found)


class DataSaver(Checked, SqliteSaver):
    """LangGraph's own for SQLite, to be made with a ``DataSerializer``."""


def _well_formed(found: CheckpointTuple) -> CheckpointTuple:
    stored = _STORED.validate_python(found.checkpoint, strict=True)
    for version in stored["channel_versions"].values():
        int(version.split(".")[0])
    int(found.metadata.get("step", -1))
    return found
