"""Requests to the service and what comes back: JSON, bytes or a stream of events; errors as the classes that they were. No network here."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from layoutllm_tool import errors
from layoutllm_tool.errors import LayoutLLMError, ServiceError
from layoutllm_tool.protocols import Progress
from layoutllm_tool.strict_json import BodyUnreadable, parse

MOST_BYTES = 100_000_000
"""Of a picture."""
MOST_JSON_BYTES = 32 * 2**20
MOST_VALUES = 2_000_000
"""In one answer: words of a page come with about ten each."""
_STEPS = ("page", "question_analysis", "relevant_area_concentration", "answer_formation")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Call:
    """A request to be made. ``body`` may take its time."""

    method: str
    path: str
    body: Callable[[], bytes] | None = None
    kind: str = "application/json"
    on_event: Callable[[Progress], None] | None = None
    """Asks for a stream of events."""
    raw: bool = False
    """What comes back is bytes, not JSON."""


Flow = Generator[Call, Any, _R]
"""What is asked of the service, one request after another: the same for threads and event loops."""


class Reply:
    """What comes back for one call, retries and all: an event that was passed on is not passed on again.

    For each try ``begin``, then ``take`` what comes, then ``result``. The service is not trusted: its answers are bounded.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self._most = MOST_BYTES if call.raw else MOST_JSON_BYTES
        self._passed = 0

    def begin(self, status: int, headers: Any) -> None:
        self._status, self._headers = status, headers
        self._streams = status == 200 and str(headers.get("content-type", "")).startswith("text/event-stream")
        self._body, self._size, self._seen = bytearray(), 0, 0
        self._event, self._data = "", list[str]()
        self._found: Any = None
        self._error: LayoutLLMError | None = None

    def take(self, part: bytes) -> bool:
        """A part of the body; True once there is an outcome. ServiceError for too much."""
        self._size += len(part)
        if self._size > self._most:
            raise _nonsense(f"the service answered with more than {self._most:,} bytes.")
        if not self._streams:
            self._body += part
            return False
        *lines, rest = part.split(b"\n")
        for line in lines:
            whole = bytes(self._body + line)
            self._body = bytearray()
            if self._take_line(whole.rstrip(b"\r").decode(errors="replace")):
                return True
        self._body += rest
        return False

    def result(self) -> Any:
        """The answer's JSON or bytes; raises the error that it is."""
        if self._streams:
            return self._streamed()
        if self.call.raw and self._status == 200:
            return bytes(self._body)
        data = _json(bytes(self._body))
        if 200 <= self._status < 300 and isinstance(data, dict):
            return data
        error = error_of(data, self._status)
        error.retry_after = _seconds(self._headers.get("retry-after"))  # type: ignore[attr-defined]
        raise error

    def _take_line(self, line: str) -> bool:
        if line.startswith("event:"):
            self._event = line[6:].strip()
        elif line.startswith("data:"):
            self._data.append(line[5:].strip())
        elif not line and self._event:
            event, data, self._event, self._data = self._event, "".join(self._data), "", []
            return self._took(event, _json(data.encode()))
        return False

    def _took(self, event: str, data: Any) -> bool:
        if event == "result":
            self._found = data
        elif event == "error":
            self._error = error_of(data, 500)
        elif event in _STEPS and isinstance(data, dict):
            self._seen += 1
            if self._seen > self._passed and self.call.on_event:
                self._passed = self._seen
                self.call.on_event(Progress(event, data))
        return event in ("result", "error")

    def _streamed(self) -> Any:
        if self._error is not None:
            raise self._error
        if not isinstance(self._found, dict):
            raise ServiceError("the service broke off in the middle of an answer.", hint="Try again.")
        return self._found


def error_of(data: Any, status: int = 500) -> LayoutLLMError:
    """The error that was sent, as the class that it was; a ServiceError for what is none of ours."""
    if not isinstance(data, dict) or not isinstance(data.get("message"), str):
        error: LayoutLLMError = ServiceError(f"the service answered with status {status}.", hint="Is it layoutllm's?")
        error.retryable = status in (408, 425, 429, 500, 502, 503, 504)
        return error
    kind = getattr(errors, str(data.get("kind")), None)
    known = isinstance(kind, type) and issubclass(kind, LayoutLLMError)
    made: type[LayoutLLMError] = kind if known else ServiceError  # type: ignore[assignment]
    error = made(_line(data["message"], 2000), hint=_line(str(data.get("hint") or ""), 1000))
    error.mendable, error.retryable = data.get("mendable") is True, data.get("retryable") is True
    missing = data.get("missing")
    error.missing = [one for one in missing if isinstance(one, str)] if isinstance(missing, list) else []  # type: ignore[attr-defined]
    return error


def made(make: Callable[[Any], _R], data: Any, name: str) -> _R:
    """What is made of one entry of an answer. ServiceError where that can't be."""
    try:
        return make(data[name])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, LayoutLLMError) as error:
        raise _nonsense("the service answered with nonsense.") from error


def _nonsense(message: str) -> ServiceError:
    error = ServiceError(message, hint="Is it layoutllm's, and of the same version?")
    error.retryable = False
    return error


def _line(text: str, most: int) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:most])


def _json(body: bytes) -> Any:
    """None for what is none."""
    try:
        return parse(body, MOST_VALUES)
    except BodyUnreadable:
        return None


def _seconds(text: str | None) -> float:
    return float(text) if text and text.isdecimal() else 0.0
