"""Requests to the service and what comes back: JSON, bytes or a stream of events; errors as the classes that they were. No network here."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from layoutllm_tool import errors
from layoutllm_tool.errors import LayoutLLMError, ServiceError
from layoutllm_tool.protocols import Progress

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
    """What comes back for one call, retries and all: an event that was passed on is not passed on again."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._passed = self._seen = 0
        self._event, self._data = "", ""
        self._found: Any = None
        self._error: LayoutLLMError | None = None

    def streams(self, status: int, headers: Any) -> bool:
        self._seen, self._event, self._data, self._found, self._error = 0, "", "", None, None
        return status == 200 and str(headers.get("content-type", "")).startswith("text/event-stream")

    def whole(self, status: int, headers: Any, body: bytes) -> Any:
        """The answer's JSON or bytes; raises the error that it is."""
        if self.call.raw and status == 200:
            return body
        try:
            data = json.loads(body)
        except ValueError:
            data = None
        if 200 <= status < 300 and isinstance(data, dict):
            return data
        error = error_of(data, status)
        error.retry_after = _seconds(headers.get("retry-after"))  # type: ignore[attr-defined]
        raise error

    def take(self, line: str) -> bool:
        """A line of the stream; True once there is an outcome."""
        if line.startswith("event:"):
            self._event = line[6:].strip()
        elif line.startswith("data:"):
            self._data += line[5:].strip()
        elif not line and self._event:
            event, data, self._event, self._data = self._event, self._data, "", ""
            return self._took(event, made(json.loads, {"data": data}, "data"))
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

    def result(self) -> Any:
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
    error = made(data["message"][:2000], hint=str(data.get("hint") or "")[:1000])
    error.mendable, error.retryable = data.get("mendable") is True, data.get("retryable") is True
    error.missing = [one for one in data.get("missing") or [] if isinstance(one, str)]  # type: ignore[attr-defined]
    return error


def made(make: Callable[[Any], _R], data: Any, name: str) -> _R:
    try:
        return make(data[name])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        nonsense = ServiceError("the service answered with nonsense.", hint="Is it of the same version?")
        nonsense.retryable = False
        raise nonsense from error


def _seconds(text: str | None) -> float:
    return float(text) if text and text.isdecimal() else 0.0
