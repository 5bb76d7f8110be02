"""Read a service's responses: JSON, bytes or a stream of events; errors become the classes that they were.

The service is not trusted: what it sends is bounded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from layoutllm_tool.errors import LayoutLLMError, ServiceError
from layoutllm_tool.protocols import Progress
from layoutllm_tool.schemas import error_from_json, final_error
from layoutllm_tool.strict_json import BodyUnreadable, parse

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 100_000_000
"""Of a picture."""
MOST_JSON_BYTES = 32 * 2**20
MOST_VALUES = 2_000_000
"""In one response: words of a page come with about ten each."""
_STEPS = ("page", "question_analysis", "relevant_area_concentration", "answer_formation")
_R = TypeVar("_R")


@dataclass(slots=True)
class Request:
    """A request to the service."""

    method: str
    path: str
    body: Callable[[], bytes] | None = None
    """Called in a thread."""
    content_type: str = "application/json"
    on_event: Callable[[Progress], None] | None = None
    """Asks for a stream of events."""
    raw: bool = False
    """The response is bytes, not JSON."""
    passed: int = 0
    """Events that ``on_event`` has got: a retry does not repeat them."""


async def read_response(response: httpx.Response, request: Request) -> Any:
    """The response's JSON or bytes; raises the error that it is."""
    parts = _bounded(response, MOST_BYTES if request.raw else MOST_JSON_BYTES)
    status = response.status_code
    if status == 200 and response.headers.get("content-type", "").startswith("text/event-stream"):
        return await _read_events(parts, request)
    body = b"".join([part async for part in parts])
    if request.raw and status == 200:
        return body
    data = _json(body)
    if 200 <= status < 300 and isinstance(data, dict):
        return data
    error = error_from_json(data, status)
    error.retry_after = _seconds(response.headers.get("retry-after"))  # type: ignore[attr-defined]
    raise error


async def _bounded(response: httpx.Response, most: int) -> AsyncIterator[bytes]:
    size = 0
    async for part in response.aiter_raw():  # never unpacked: packed responses are not asked for
        size += len(part)
        if size > most:
            raise _unusable(f"the service answered with more than {most:,} bytes.")
        yield part


async def _read_events(parts: AsyncIterator[bytes], request: Request) -> Any:
    """Pass the steps on and return the result. Not by ``httpx_sse``: its lines are unbounded and unpacked."""
    seen = 0
    async for event, data in _events(parts):
        if event == "error":
            raise error_from_json(data, 500)
        if event == "result" and isinstance(data, dict):
            return data
        if event in _STEPS and isinstance(data, dict) and request.on_event:
            seen += 1
            if seen > request.passed:
                request.passed = seen
                request.on_event(Progress(event, data))
    raise ServiceError("the service broke off in the middle of an answer.", hint="Try again.")


async def _events(parts: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, Any]]:
    """Names and JSON of server-sent events."""
    event, data = "", list[str]()
    async for line in _lines(parts):
        if line.startswith("event:"):
            event = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].strip())
        elif not line and event:
            yield event, _json("".join(data).encode())
            event, data = "", []


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[str]:
    rest = bytearray()
    async for part in parts:
        *lines, last = part.split(b"\n")
        for line in lines:
            yield bytes(rest + line).rstrip(b"\r").decode(errors="replace")
            rest.clear()
        rest += last


def parse_entry(make: Callable[[Any], _R], data: Any, name: str) -> _R:
    """Make something of one entry of a response. ServiceError where that can't be."""
    try:
        return make(data[name])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, LayoutLLMError) as error:
        raise _unusable("the service answered with nonsense.") from error


def _unusable(message: str) -> ServiceError:
    return final_error(message, "Is it layoutllm's, and of the same version?")


def _json(body: bytes) -> Any:
    """None for what is none."""
    try:
        return parse(body, MOST_VALUES)
    except BodyUnreadable:
        return None


def _seconds(text: str | None) -> float:
    return float(text) if text and text.isdecimal() else 0.0
