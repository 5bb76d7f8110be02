"""``create_server``: the tools as an MCP server.

The client's model sees ``ask_document`` and ``extract_document`` as LangChain's agents see them, and gets the
same text. Programs get the LayoutCoT, or the record, as structured content. Errors come back as results with
``isError``. Documents lie under the roots that are given, else under those that the client declares, else
under the working directory. URLs are off.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname
from uuid import uuid4

from pydantic import BaseModel, Field, ValidationError

from layoutllm_tool.documents.safety import Access
from layoutllm_tool.errors import DocumentNotAllowed, LayoutLLMError
from layoutllm_tool.messages import plain_line
from layoutllm_tool.protocols import Reader
from layoutllm_tool.readers.options import ReadingOptions
from layoutllm_tool.schemas import BoxList, CoTIn, RecordOut
from layoutllm_tool.tool import LayoutLLMTool
from layoutllm_tool.version import package_version

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    from mcp import types
    from mcp.server.lowlevel import Server
    from mcp.server.session import ServerSession
    from mcp.server.stdio import stdio_server
    from mcp.shared.exceptions import McpError
except ImportError as error:
    raise LayoutLLMError(
        "an MCP server needs one package more.", hint="pip install 'layoutllm-tool[mcp]'"
    ) from error

ROOTS_SECONDS = 10.0
"""For a client to say which roots it has; one that doesn't is given no file."""
MOST_ROOTS = 100
_log = logging.getLogger(__name__)


class _Output(CoTIn):
    """A LayoutCoT. Boxes are [x0, y0, x1, y1], 0-1000 from the page's top left corner; pages from 1."""

    answer: str | None = Field(description="As it stands on the page; null: the document does not say.")
    page: int | None
    box: BoxList | None = Field(description="Around the answer's words.")
    area: BoxList | None = Field(description="Around the lines that matter.")
    grounded: bool = Field(description="Whether the answer can be pointed at.")
    steps: dict[str, str]
    document: dict[str, str] = Field(description="Its name and sha256.")
    notices: list[dict[str, Any]] = Field(description="How pages were read: page, code, text.")
    original: dict[str, Any] | None = Field(
        description="The place on the page as its file has it, before it was turned and levelled: page_size, "
        "box, quad, area, transform."
    )


class _Record(RecordOut):
    """A record that fits its schema where no field is doubtful, and the document it was read from."""

    document: dict[str, str] = Field(description="Its name and sha256.")


def create_server(
    reader: Reader | None = None,
    *,
    roots: Sequence[Path] | None = None,
    extract: Callable[[LayoutLLMTool], Any] | None = None,
    options: ReadingOptions | None = None,
) -> Server[Any, Any]:
    """The server, on no transport yet. ``reader`` None is the package's own, built at the first call.

    ``roots`` None takes the client's, or the working directory where it has none. ``extract`` makes
    ``layoutllm_graphs.ExtractDocumentTool`` of the tool that opens the documents; None offers ask_document
    alone. ``options``: how documents are opened and read. DocumentNotAllowed where a root is no folder.
    """
    given = None if roots is None else tuple(map(_folder, roots))
    access = Access(roots=given) if given is not None else Access()
    tool = LayoutLLMTool(reader=reader, access=access, options=options or ReadingOptions())
    server: Server[Any, Any] = Server(
        "layoutllm",
        version=package_version(),
        instructions="Answers questions about scanned or digital documents.",
    )
    offered = [_described(tool, "Ask a document", _Output)]
    if extract is not None:
        offered.append(_described(extract(tool), "Extract a record from a document", _Record))
    names = [one.name for one in offered]

    async def list_tools() -> list[types.Tool]:
        return offered

    async def call_tool(name: str, arguments: dict[str, Any]) -> types.CallToolResult:
        if name not in names:
            return _failed(f"There is no tool {plain_line(repr(name), 100)}. Call {' or '.join(names)}.")
        try:
            session = server.request_context.session
            chosen = tool if given is not None else await _with_client_roots(tool, session)
            called = extract(chosen) if extract is not None and name != tool.name else chosen
            return await _call(called, arguments, server.request_context)
        except LayoutLLMError as error:
            return _failed(plain_line(str(error)))
        except Exception as error:  # a client gets no traceback, and no detail of ours
            _log.exception("a call failed")
            raise RuntimeError("The tool failed inside; the server's log says why.") from error

    server.list_tools()(list_tools)  # type: ignore[no-untyped-call]
    # Not by the schema: the tool's own words about wrong arguments say what to do.
    server.call_tool(validate_input=False)(call_tool)
    return server


def _described(tool: Any, title: str, output: type[BaseModel]) -> types.Tool:
    schema = tool.tool_call_schema
    hints = types.ToolAnnotations(readOnlyHint=True, idempotentHint=True, openWorldHint=False)
    return types.Tool(
        name=tool.name,
        title=title,
        description=tool.description,
        inputSchema=schema.model_json_schema(),
        outputSchema=output.model_json_schema(),
        annotations=hints,
    )


async def _call(tool: Any, arguments: dict[str, Any], context: Any) -> types.CallToolResult:
    """Call the tool as an agent does. Its steps, or questions, are sent as progress."""
    if "runtime" in arguments:
        return _failed("The arguments don't fit. runtime: Extra inputs are not permitted. Leave it out.")
    try:
        json.dumps(arguments, ensure_ascii=False).encode()  # what an answer quotes has to be text
    except UnicodeEncodeError:
        return _failed("The arguments hold half a character (a lone surrogate). Call again without it.")
    events = asyncio.Queue[dict[str, Any] | None]()
    sending = asyncio.create_task(_send_progress(events, context))
    runtime = SimpleNamespace(stream_writer=events.put_nowait, tool_call_id=None)
    call = {
        "type": "tool_call",
        "name": tool.name,
        "id": uuid4().hex,
        "args": {**arguments, "runtime": runtime},
    }
    try:
        message = await tool.ainvoke(call)
    finally:
        events.put_nowait(None)
        await asyncio.wait([sending])  # a client that takes no progress still gets its answer
    text = message.content if isinstance(message.content, str) else str(message.content)
    if message.status == "error" or not isinstance(message.artifact, dict):
        return _failed(text)
    content: list[types.ContentBlock] = [types.TextContent(type="text", text=text)]
    return types.CallToolResult(content=content, structuredContent=message.artifact)


async def _send_progress(events: asyncio.Queue[dict[str, Any] | None], context: Any) -> None:
    """Steps as progress notifications, where the client asked for them."""
    token, number, request = context.meta.progressToken if context.meta else None, 0, str(context.request_id)
    while (event := await events.get()) is not None:
        if token is not None:
            number += 1
            text = event["data"].get("text") or f"page {event['data'].get('page')}"
            message = plain_line(f"{event['event']}: {text}", 300)
            send = context.session.send_progress_notification
            await send(token, number, message=message, related_request_id=request)


def _failed(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], isError=True)


async def _with_client_roots(tool: LayoutLLMTool, session: ServerSession) -> LayoutLLMTool:
    """The tool over the roots that the client has now.

    A client that knows no roots gets the working directory, unless that is the root of all files.
    """
    params = session.client_params
    if params is None or params.capabilities.roots is None:
        if any(root == Path(root.anchor) for root in tool.access.roots or ()):
            raise DocumentNotAllowed(
                "the working directory is the root of all files.", hint="Start with --root."
            )
        return tool
    roots = await _roots_of(session)
    if not roots:
        raise DocumentNotAllowed(
            "the client allows no folder.",
            hint="Open one in it (roots look like file:///home/me), or start with --root.",
        )
    return tool.model_copy(update={"access": Access(roots=roots)})


class _Root(BaseModel):
    """As the protocol has it, with any text as ``uri``: a bad one must not hide the others."""

    uri: str


class _Roots(types.Result):
    roots: list[_Root]


async def _roots_of(session: ServerSession) -> tuple[Path, ...]:
    """The client's folders on this machine."""
    asked = session.send_request(types.ServerRequest(types.ListRootsRequest()), _Roots)
    try:
        found = await asyncio.wait_for(asked, ROOTS_SECONDS)
    except (TimeoutError, McpError, ValidationError) as error:
        message = "the client did not say which folders may be read."
        raise DocumentNotAllowed(message, hint="Start with --root.") from error
    return tuple(path for root in found.roots[:MOST_ROOTS] if (path := _local(root.uri)) is not None)


def _local(uri: str) -> Path | None:
    """An existing folder or file of this machine, its symlinks followed; None for anything else."""
    try:
        parts = urlsplit(uri)
        path = Path(url2pathname(parts.path))
        ours = parts.scheme == "file" and parts.netloc in ("", "localhost") and path.is_absolute()
        return path.resolve(strict=True) if ours else None
    except (OSError, RuntimeError, ValueError):  # no URL; a NUL, a loop, an overlong name; not there
        return None


def _folder(path: Path) -> Path:
    try:
        real = path.expanduser().resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # not there, a loop, an unknown home
        real = None
    if real is None or not real.is_dir():
        raise DocumentNotAllowed(
            f"{str(path)[:200]!r} is no folder.", hint="Give --root a folder that exists."
        )
    return real


# -- stdio -------------------------------------------------------------------------------------------------


def serve_stdio(server: Server[Any, Any]) -> None:
    """Serves one client on standard input and output until it hangs up."""
    import anyio

    with _own_streams() as (requests, responses):

        async def serve() -> None:
            async with stdio_server(anyio.wrap_file(requests), anyio.wrap_file(responses)) as (read, write):
                await server.run(read, write, server.create_initialization_options())

        anyio.run(serve)


@contextmanager
def _own_streams() -> Iterator[tuple[TextIOWrapper, TextIOWrapper]]:
    """The protocol's two streams under new descriptors: what libraries and programs print goes to stderr."""
    sys.stdout.flush()
    requests, responses = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    with open(requests, "rb") as inward, open(responses, "wb") as outward:
        yield (
            TextIOWrapper(inward, encoding="utf-8", errors="replace"),
            TextIOWrapper(outward, encoding="utf-8"),
        )
