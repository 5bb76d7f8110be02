"""LayoutLLMTool: answers questions about documents for any LangChain agent, with the answer's place on the
page.

Returns what an agent can correct (a wrong file name, a missing page, an empty question) as an error message.
Raises everything else. The only module of the package that knows LangChain; never imports LangGraph or torch.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, Literal

from langchain_core.tools import BaseTool, InjectedToolArg, ToolException
from langchain_core.tools.base import ArgsSchema
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError

from layoutllm_tool.cot import Correction, ExpectedType, Kind, LayoutCoT, StepName
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.safety import Access
from layoutllm_tool.errors import (
    CorrectionError,
    DocumentNotAllowed,
    DocumentNotFound,
    LayoutLLMError,
    QuestionError,
)
from layoutllm_tool.messages import describe, picture, plain_line, quote
from layoutllm_tool.protocols import AskOptions, Progress, Reader
from layoutllm_tool.readers import warming
from layoutllm_tool.readers.caching import DocumentCache, LRUCache, hand_in
from layoutllm_tool.readers.options import ReadingOptions

_BUILDING = threading.Lock()
"""Held while the default reader is built. In the module, so that tools can be copied and pickled."""

_ATTEMPTS = 1024
"""Questions whose last attempt is kept."""

PREVIOUS = "layoutllm_previous"
"""The key of ToolNode's input under which a graph passes the attempt that a correction is of."""
_AttemptKey = tuple[str, str, int | None, str]
"""Run, document, page, question."""
Content = str | list[str | dict[str, Any]]
Emit = Callable[[Progress], None]


def _named(document: Any) -> Any:
    """A document's name as it is; content is handed in. ToolException where it can't be."""
    if document is None or isinstance(document, int | float):
        return document  # the schema says what is wrong
    with tool_errors():
        return hand_in(document)


DocumentName = Annotated[str, BeforeValidator(_named)]
"""A tool's document: a name or path for the chat model; a program may give the content in its place."""


class CorrectionArgs(BaseModel):
    """Corrects one step of the last attempt at the same question. Boxes are [x0, y0, x1, y1], 0-1000 from the
    page's top left corner."""

    model_config = ConfigDict(extra="forbid")

    step: StepName = Field(
        description="What was wrong. 'analysis': it looked for the wrong thing (give text or kind). "
        "'area': it looked in the wrong place (give boxes, avoid or spatial). 'answer': right place, wrong "
        "answer (give expected_type or wrong)."
    )
    text: str = Field(
        "", description="For step analysis: the label to look for, as the page has it: 'Amount due'."
    )
    kind: Kind | None = Field(
        None, description="For step analysis: what kind of content the question asks about."
    )
    page: int | None = Field(None, description="For step area: the page of the boxes, counting from 1.")
    boxes: list[list[float]] = Field(default_factory=list, description="For step area: boxes to look in.")
    avoid: list[list[float]] = Field(default_factory=list, description="For step area: boxes to leave out.")
    spatial: str = Field(
        "", description="For step area: where to look, in words like 'bottom left', 'second' or 'last'."
    )
    expected_type: ExpectedType | None = Field(
        None, description="For step answer: what the answer must look like."
    )
    wrong: list[str] = Field(default_factory=list, description="For step answer: answers that were wrong.")


class AskDocumentArgs(BaseModel):
    """What the tool is called with."""

    model_config = ConfigDict(extra="forbid")

    document: DocumentName = Field(
        description="The document's name or file path, exactly as it was given to you."
    )
    question: str = Field(
        description="One question about one fact, in plain words: 'What is the invoice number?'"
    )
    page: int | None = Field(
        None, description="The page to look at, counting from 1. Leave out to search all pages."
    )
    correction: CorrectionArgs | None = Field(
        None,
        description="Only to ask the same question again after a wrong answer: "
        "says which step to correct, and how.",
    )
    # The attempt that the correction is of, as JSON, and ToolNode's runtime: the model sees neither. ToolNode
    # drops what comes as ``previous``, since a model may have written it; a graph puts it into the state.
    previous: Annotated[dict[str, Any] | None, InjectedToolArg] = None
    runtime: Annotated[Any, InjectedToolArg] = None


class _Request:
    """What one call asks. LayoutLLMError where the question, the correction or the attempt is none."""

    def __init__(
        self, question: str, page: int | None, correction: CorrectionArgs | None, previous: Any, runtime: Any
    ) -> None:
        self.question, self.page, self.run = question, page, _run(runtime)
        self.correction = _checked(question, correction)
        self.previous = _attempt(previous, runtime)

    def key(self, document: Document) -> _AttemptKey:
        return self.run, document.sha256, self.page, self.question


def explain_arguments(arguments: type[BaseModel], error: ValidationError) -> str:
    """What is wrong with a call's arguments, for the model. Raises an error that is about something else."""
    if error.title != arguments.__name__:
        raise error  # not the call's fault
    faults = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
    return plain_line(f"The arguments don't fit. {'; '.join(faults)}. Call again with these corrected.")


class LayoutLLMTool(BaseTool):
    """Answers a question about a scanned or digital document and shows where the answer stands.

    Returns text for the chat model and, as the message's artifact, the whole ``LayoutCoT`` as plain JSON with
    the document's name and hash (``LayoutCoT.from_json(message.artifact)``). In a LangGraph graph each
    finished step is streamed (modes "custom" and "tools"). Safe for concurrent calls when its reader is.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = "ask_document"
    description: str = (
        "Reads a document (scan, photo or PDF) and answers one question about it. Returns the answer as it "
        "stands on the page, the page number, the box around it, a confidence from 0 to 1 and the reasoning, "
        "or says that the document does not answer. Ask one fact at a time; call it again for further "
        "questions. If the answer looks wrong, call it again with the same question and a correction."
    )
    args_schema: ArgsSchema | None = AskDocumentArgs
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: Any = True
    handle_validation_error: Any = partial(explain_arguments, AskDocumentArgs)

    reader: Reader | None = Field(default=None, exclude=True)
    """None: the package's own, made at the first call, or the service's at ``endpoint``."""
    endpoint: str | None = None
    """Address of a ``layoutllm serve``, such as "http://127.0.0.1:8765", that reads in place of a model here.

    Its token is the environment's LAYOUTLLM_TOKEN. For other settings give a ``RemoteReader`` as ``reader``.
    """
    access: Access = Field(default_factory=Access, exclude=True)
    """Where documents may come from. Default: files under the working directory."""
    options: ReadingOptions = Field(default_factory=ReadingOptions, exclude=True)
    """Password and pages with which files are opened; languages, OCR engine and weights of the reader that is
    made where none is given."""
    documents: Mapping[str, Any] = Field(default_factory=dict, exclude=True)
    """Documents by the name that the model uses: these need no file."""
    attach_image: bool = False
    """Adds the page with area and answer drawn on it. Several chat APIs refuse pictures in tool messages."""
    include_signals: bool = True
    """Whether the artifact has what the confidence was computed from."""

    _opened: DocumentCache = PrivateAttr(default_factory=DocumentCache)
    _attempts: LRUCache[_AttemptKey, LayoutCoT] = PrivateAttr(default_factory=lambda: LRUCache(_ATTEMPTS))
    """The last attempt of each run at each question: what an agent's correction is of."""

    def _run(
        self,
        document: str,
        question: str,
        page: int | None = None,
        correction: CorrectionArgs | None = None,
        previous: Mapping[str, Any] | None = None,
        runtime: Any = None,
    ) -> tuple[Content, dict[str, Any]]:
        emit = emitter(runtime, self.name)
        with tool_errors():
            asked = _Request(question, page, correction, previous, runtime)
            reader, loaded = self._prepare(document, page)
            cot = reader.ask(loaded, question, **self._options(asked, loaded, emit))
            return self._result(asked, loaded, cot)

    async def _arun(
        self,
        document: str,
        question: str,
        page: int | None = None,
        correction: CorrectionArgs | None = None,
        previous: Mapping[str, Any] | None = None,
        runtime: Any = None,
    ) -> tuple[Content, dict[str, Any]]:
        emit = on_this_loop(emitter(runtime, self.name))
        with tool_errors():
            asked = _Request(question, page, correction, previous, runtime)
            reader, loaded = await asyncio.to_thread(self._prepare, document, page)
            cot = await reader.aask(loaded, question, **self._options(asked, loaded, emit))
            return await asyncio.to_thread(self._result, asked, loaded, cot)

    def warm_up(self) -> None:
        """Build the reader and load its models now; the first call then need not wait. Blocks. ModelError."""
        self._reader().ask(warming.SAMPLE, warming.QUESTION)

    def look(self, document: str, page: int | None = None) -> Document:
        """The document (or that page of it, 1-based) with its words. Blocks. LayoutLLMError."""
        return self._prepare(document, page)[1]

    def _prepare(self, name: str, page: int | None) -> tuple[Reader, Document]:
        """Opens the document, may build the reader, reads the pages. Blocks. Cheap refusals come first."""
        document = self.documents.get(name) or self._open(name, page)
        if page is not None:
            document.page(page)
        reader = self._reader()
        return reader, reader.load(document)

    def _open(self, name: str, page: int | None) -> Document:
        try:
            pages = self.options.pages if page is None else (page,)
            return self._opened.open(name, access=self.access, pages=pages, password=self.options.password)
        except (DocumentNotFound, DocumentNotAllowed) as error:
            if not self.documents:
                raise
            known = ", ".join(quote(known, 100) for known in list(self.documents)[:8])
            raise DocumentNotFound(
                f"there is no document {quote(name, 200)}.", hint=f"Known: {known}."
            ) from error

    def _reader(self) -> Reader:
        if self.reader is None:
            with _BUILDING:
                self.reader = self.reader or _built(self.endpoint, self.options)
        return self.reader

    def _options(self, asked: _Request, document: Document, emit: Emit) -> AskOptions:
        """What the reader is asked with: a correction comes with the attempt that it is of."""
        previous = asked.previous or self._attempts.get(asked.key(document)) if asked.correction else None
        return AskOptions(page=asked.page, correction=asked.correction, previous=previous, on_progress=emit)

    def _result(self, asked: _Request, document: Document, cot: LayoutCoT) -> tuple[Content, dict[str, Any]]:
        """Keeps the attempt and shows it. May draw the page."""
        self._attempts.put(asked.key(document), cot)
        artifact = {**cot.to_json(), **seen(cot, document)}
        if not self.include_signals:
            del artifact["signals"]
        text = describe(cot, document, page=asked.page)
        image = picture(cot, document) if self.attach_image else None
        if image is None:
            return text, artifact
        return [
            {"type": "text", "text": text},
            {"type": "image", "base64": image, "mime_type": "image/png"},
        ], artifact


def seen(cot: LayoutCoT, document: Document) -> dict[str, Any]:
    """What comes with an answer: the document, how its pages were read, the place on the file's own page."""
    named = {"name": document.name, "sha256": document.sha256}
    return {"document": named, "notices": document.notices, "original": cot.on_original(document)}


def _built(endpoint: str | None, options: ReadingOptions) -> Reader:
    if endpoint is not None:
        from layoutllm_tool.remote import RemoteReader

        return RemoteReader(endpoint)
    from layoutllm_tool.readers.local import default_reader

    return default_reader() if options.reads_as_usual else options.reader()


def _checked(question: str, correction: CorrectionArgs | None) -> Correction | None:
    """Before anything is loaded: the question must say something, the correction must be one."""
    if not question.strip():
        raise QuestionError("the question is empty.", hint="Say what you want to know from the document.")
    return Correction.from_json(correction.model_dump()) if correction else None


def _attempt(previous: Mapping[str, Any] | None, runtime: Any) -> LayoutCoT | None:
    """The attempt that the caller passes, or that ToolNode's input has. CorrectionError where it is none."""
    state = getattr(runtime, "state", None)
    if previous is None and isinstance(state, Mapping):
        previous = state.get(PREVIOUS)
    if previous is None:
        return None
    try:
        return LayoutCoT.from_json(previous)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorrectionError(
            f"previous is no attempt: {error}.", hint="Pass the artifact as it came."
        ) from error


def _run(runtime: Any) -> str:
    """The thread of the graph that runs the tool; "" where there is none."""
    config = getattr(runtime, "config", None) or {}
    return str(config.get("configurable", {}).get("thread_id", ""))


@contextmanager
def tool_errors() -> Iterator[None]:
    """What the agent can correct is a ToolException. All else is raised as it is.

    But for pydantic's errors: an agent's ToolNode takes them for the chat model's wrong arguments.
    """
    try:
        yield
    except ValidationError as error:
        raise RuntimeError(f"the tool failed inside, by no fault of the call: {error}") from error
    except LayoutLLMError as error:
        if not error.caller_can_fix:
            raise
        raise ToolException(plain_line(str(error))) from error


def emitter(runtime: Any, tool: str) -> Emit:
    """Passes progress on to the graph that runs the tool, if one does, from any thread."""
    writers = [
        w for name in ("stream_writer", "emit_output_delta") if callable(w := getattr(runtime, name, None))
    ]
    call = getattr(runtime, "tool_call_id", None)
    context = contextvars.copy_context()  # LangGraph finds the stream of this call by context variables

    def emit(progress: Progress) -> None:
        event = {"tool": tool, "tool_call_id": call, "event": progress.event, "data": progress.data}
        for writer in writers:
            context.copy().run(writer, event)

    return emit


def on_this_loop(emit: Emit) -> Emit:
    """Emit on the loop: an async graph's streams are not safe to write from other threads."""
    loop, home = asyncio.get_running_loop(), threading.get_ident()

    def hand_over(progress: Progress) -> None:
        if threading.get_ident() == home:
            emit(progress)
        else:
            loop.call_soon_threadsafe(emit, progress)

    return hand_over
