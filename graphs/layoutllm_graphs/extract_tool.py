"""ExtractDocumentTool: a whole typed record of a document, for any LangChain agent.

    agent = create_agent(model, tools=[ExtractDocumentTool(Invoice)])

Returns what an agent can correct (a wrong file name, a schema that is none) as an error message and raises
everything else, as ``LayoutLLMTool``, which opens and reads the documents. ``aextract`` is the same without
LangChain's frame: for the HTTP service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import Annotated, Any, Literal, Unpack

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolArg
from langchain_core.tools.base import ArgsSchema
from pydantic import BaseModel, ConfigDict, Field

from layoutllm_graphs.context import Context
from layoutllm_graphs.planning.planner import plan_task, schema_of
from layoutllm_graphs.state import Request
from layoutllm_graphs.workflow import make_graph
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.safety import Access
from layoutllm_tool.errors import LayoutLLMError, PlanError
from layoutllm_tool.extraction.schema import is_schema, words
from layoutllm_tool.messages import describe_record, tell_notices
from layoutllm_tool.protocols import AskOptions, Progress, Reader, ReaderAround
from layoutllm_tool.readers.options import ReadingOptions
from layoutllm_tool.tool import (
    DocumentName,
    Emit,
    LayoutLLMTool,
    emitter,
    explain_arguments,
    on_this_loop,
    tool_errors,
)

_CONFIG = RunnableConfig(configurable={"thread_id": "extract"}, recursion_limit=200, max_concurrency=16)
"""Of the workflow inside. Without a thread and a limit of its own, it would write into the checkpoints of the
agent that runs the tool, and end with its limit. One caller's questions leave room in the reader's queue."""
_READS = "Reads a document (scan, photo or PDF) and returns"
_NULLS = "A value that is missing or not understood is null; each doubtful field is named with its reasons."
_MOST_NAMES = 40
"""Fields that the description of a fixed schema names."""


class FixedDocumentArgs(BaseModel):
    """What the tool is called with where its schema is fixed."""

    model_config = ConfigDict(extra="forbid")

    document: DocumentName = Field(
        description="The document's name or file path, exactly as it was given to you."
    )
    runtime: Annotated[Any, InjectedToolArg] = None


class ExtractDocumentArgs(FixedDocumentArgs):
    """What the tool is called with."""

    json_schema: dict[str, Any] = Field(
        description="A JSON Schema of the record that is wanted: an object with named properties, which are "
        "strings, numbers, integers, booleans, enums, objects, or arrays of values or of flat objects (a "
        "table's rows). Name properties as a document would, and describe them in a few words."
    )
    page: int | None = Field(
        None, description="The page to look at, counting from 1. Leave out to search all pages."
    )


class ExtractDocumentTool(BaseTool):
    """Reads the record that a schema describes.

    ``schema`` (a pydantic model or a JSON Schema) fixes it: the chat model then names the document only.
    Without one the chat model writes a JSON Schema. Returns text for the chat model and, as the message's
    artifact, plain JSON: ``record``, ``fields`` (by JSON pointer, see ``records.Field``), ``notes``, and the
    document's name and hash. Tools with different schemas for one agent need a ``name`` each.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = "extract_document"
    description: str = (
        f"{_READS} a record of it as JSON: many values, lists and the rows of tables at once, typed as your "
        f"JSON Schema says. {_NULLS} Ask only for what you need."
    )
    args_schema: ArgsSchema | None = ExtractDocumentArgs
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: Any = True
    handle_validation_error: Any = partial(explain_arguments, ExtractDocumentArgs)

    tool: LayoutLLMTool = Field(exclude=True)
    """Opens the documents; its reader reads them."""
    fixed: dict[str, Any] | None = None
    """The JSON Schema of every record, where it is fixed."""

    def __init__(
        self,
        schema: type[BaseModel] | Mapping[str, Any] | None = None,
        *,
        tool: LayoutLLMTool | None = None,
        reader: Reader | None = None,
        endpoint: str | None = None,
        access: Access | None = None,
        documents: Mapping[str, Any] | None = None,
        options: ReadingOptions | None = None,
        **more: Any,
    ) -> None:
        """``reader``, ``endpoint``, ``access``, ``documents`` and ``options`` as LayoutLLMTool has them, or a
        ``tool``.

        ``more``: fields of BaseTool. PlanError for a schema that is not covered.
        """
        tool = tool or LayoutLLMTool(
            reader=reader,
            endpoint=endpoint,
            access=access or Access(),
            documents=documents or {},
            options=options or ReadingOptions(),
        )
        super().__init__(**{"tool": tool, **({} if schema is None else _fixed(schema)), **more})

    def _run(
        self,
        document: str,
        json_schema: Mapping[str, Any] | None = None,
        page: int | None = None,
        runtime: Any = None,
    ) -> tuple[str, dict[str, Any]]:
        emit = emitter(runtime, self.name)
        with tool_errors(), _as_raised():
            loaded, asked, context = self._prepare(document, json_schema, page, emit)
            return _result(_workflow().invoke(asked, _CONFIG, context=context), loaded)

    async def _arun(
        self,
        document: str,
        json_schema: Mapping[str, Any] | None = None,
        page: int | None = None,
        runtime: Any = None,
    ) -> tuple[str, dict[str, Any]]:
        emit = on_this_loop(emitter(runtime, self.name))
        with tool_errors(), _as_raised():
            prepared = await asyncio.to_thread(self._prepare, document, json_schema, page, emit)
            loaded, asked, context = prepared
            return _result(await _workflow().ainvoke(asked, _CONFIG, context=context), loaded)

    def _prepare(
        self, name: str, given: Mapping[str, Any] | None, page: int | None, emit: Emit
    ) -> tuple[Document, Request, Context]:
        """Opens and reads the document. Blocks. A schema that is none is refused before."""
        schema = _checked(self.fixed or given or {})
        loaded = self.tool.look(name, page)
        assert self.tool.reader is not None  # since it has looked
        return loaded, *_asked(self.tool.reader, loaded, schema, page, emit)


async def aextract(
    reader: Reader, document: Document, schema: Mapping[str, Any], page: int | None = None
) -> dict[str, Any]:
    """The ``record``, ``fields``, ``notes`` and ``notices`` of a document with its words, as ``Outcome`` has
    them, and its ``pages`` (``Document.originals``).

    Cancelled, the questions are dropped. PlanError, PageOutOfRange, and what the reader raises.
    """
    checked = await asyncio.to_thread(_checked, schema)
    asked, context = _asked(reader, document, checked, page)
    with _as_raised():
        return _found(await _workflow().ainvoke(asked, _CONFIG, context=context), document)


def _fixed(schema: type[BaseModel] | Mapping[str, Any]) -> dict[str, Any]:
    """The tool's fields where the schema is fixed."""
    data = _checked(schema_of(schema) if isinstance(schema, type) else schema)
    return {
        "fixed": data, "description": _described(data), "args_schema": FixedDocumentArgs,
        "handle_validation_error": partial(explain_arguments, FixedDocumentArgs),
    }  # fmt: skip


def _described(schema: Mapping[str, Any]) -> str:
    """For the chat model: the record's name, description and fields."""
    names = [question.name for question in plan_task(schema).plan.questions][:_MOST_NAMES]
    what = f"{_READS} its {words(schema, 'title') or 'record'} as JSON, with {', '.join(names)}."
    return " ".join(filter(None, (what, words(schema, "description"), _NULLS)))


def _checked(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema. PlanError where no record can be read by it."""
    if not is_schema(schema):
        hint = 'For instance {"type": "object", "properties": {"total": {"type": "number"}}}.'
        raise PlanError("this is no JSON Schema of an object.", hint=hint)
    plan_task(schema)
    return dict(schema)


# -- the workflow inside -----------------------------------------------------------------------------------


_workflow = cache(make_graph)


def _asked(
    reader: Reader, document: Document, schema: dict[str, Any], page: int | None, emit: Emit | None = None
) -> tuple[Request, Context]:
    """The workflow's input and context. PageOutOfRange: there, it would be each question's error."""
    if page is not None:
        document.page(page)
    tool = LayoutLLMTool(reader=_StrictReader(reader, emit), documents={document.name: document})
    return Request(document=document.name, task=schema, page=page), Context(tool=tool)


class _Failed(Exception):
    """Takes an error through the workflow, which makes of the package's errors one question's."""

    def __init__(self, error: LayoutLLMError) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def _as_raised() -> Iterator[None]:
    try:
        yield
    except _Failed as failed:
        raise failed.error from failed.error.__cause__


class _StrictReader(ReaderAround):
    """Tells each question. An error that the caller can't fix ends the extraction, not the question alone."""

    def __init__(self, reader: Reader, emit: Emit | None) -> None:
        super().__init__(reader)
        self._emit = emit

    def ask(self, document: Document, question: str, **options: Unpack[AskOptions]) -> LayoutCoT:
        with self._told(question):
            return self.reader.ask(document, question, **options)

    async def aask(self, document: Document, question: str, **options: Unpack[AskOptions]) -> LayoutCoT:
        with self._told(question):
            return await self.reader.aask(document, question, **options)

    @contextmanager
    def _told(self, question: str) -> Iterator[None]:
        if self._emit:
            self._emit(Progress("question", {"text": question}))
        try:
            yield
        except LayoutLLMError as error:
            if error.caller_can_fix:
                raise
            raise _Failed(error) from error


def _found(outcome: Mapping[str, Any], document: Document) -> dict[str, Any]:
    found = {name: outcome[name] for name in ("record", "fields", "notes")}
    return {**found, "notices": document.notices, "pages": document.originals}


def _result(outcome: Mapping[str, Any], document: Document) -> tuple[str, dict[str, Any]]:
    """The text and the artifact."""
    text = describe_record(outcome["record"], outcome["fields"], outcome["notes"])
    text = "\n".join([text, *tell_notices(document)])
    named = {"name": document.name, "sha256": document.sha256}
    return text, {**_found(outcome, document), "document": named}
