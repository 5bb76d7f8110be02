"""Send requests to a service: one event loop, retries with growing pauses, one deadline."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar
from urllib.parse import urlsplit

from layoutllm_tool.errors import LayoutLLMError, ServiceError
from layoutllm_tool.protocols import Progress
from layoutllm_tool.readers.forking import ForkSafe
from layoutllm_tool.remote.responses import Request, read_response

try:
    import httpx
    from tenacity import (
        AsyncRetrying,
        RetryCallState,
        retry_if_exception,
        stop_after_attempt,
        stop_before_delay,
        wait_exponential,
        wait_random,
    )
except ImportError as error:
    raise LayoutLLMError("asking a service needs httpx.", hint="pip install 'layoutllm-tool[web]'") from error

_LONGEST_PAUSE = 30.0
_backoff = wait_exponential(multiplier=0.2, max=_LONGEST_PAUSE) + wait_random(0, 0.2)
_R = TypeVar("_R")
Emit = Callable[[Progress], None]
Work = Callable[[Emit | None], Coroutine[Any, Any, _R]]
"""Make a coroutine that sends requests. It passes its progress to the argument, where there is one."""


class Transport(ForkSafe):
    """Runs coroutines on its own event loop: only there can a deadline end whatever a server does.

    Safe to share between threads and event loops.
    """

    def __init__(self, endpoint: str, token: str, *, timeout: float, retries: int) -> None:
        super().__init__()
        self.endpoint, self.token, self.timeout, self.retries = checked(endpoint), token, timeout, retries
        self.after_fork()

    def after_fork(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], Any] = lambda: None
        self._lock = threading.Lock()

    def send(self, work: Work[_R], on_event: Emit | None = None) -> _R:
        """Run the work and wait. ``on_event`` is called in the caller's thread; its errors end the work."""
        events = SimpleQueue[Progress | None]()
        future = self._submit(work, events.put, on_event)
        try:
            while (event := events.get()) is not None:
                if on_event is not None:
                    on_event(event)
            return _result(future)
        finally:
            future.cancel()

    async def asend(self, work: Work[_R], on_event: Emit | None = None) -> _R:
        """As ``send``, without blocking the event loop. A cancelled caller hangs up."""
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Progress | None]()

        def put(event: Progress | None) -> None:
            with suppress(RuntimeError):  # the caller's loop is closed: nobody listens
                loop.call_soon_threadsafe(events.put_nowait, event)

        future = self._submit(work, put, on_event)
        try:
            while (event := await events.get()) is not None:
                if on_event is not None:
                    on_event(event)
            return _result(future)
        finally:
            future.cancel()

    def _submit(
        self, work: Work[_R], put: Callable[[Progress | None], None], on_event: Emit | None
    ) -> Future[_R]:
        """Start the work. ``put`` gets its events where somebody wants them, and None at the end."""
        future = asyncio.run_coroutine_threadsafe(work(put if on_event else None), self._running_loop())
        future.add_done_callback(lambda _: put(None))
        return future

    # -- requests ------------------------------------------------------------------------------------------

    async def request(self, request: Request) -> Any:
        """The response's JSON or bytes. Runs on the own loop. Only retryable errors are tried again."""
        body = await asyncio.to_thread(request.body) if request.body else None
        until = time.monotonic() + self.timeout
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, LayoutLLMError) and error.retryable),
            stop=stop_after_attempt(self.retries + 1) | stop_before_delay(self.timeout),
            wait=_pause,
            reraise=True,
        )
        return await retrying(self._try, request, body, until)

    async def _try(self, request: Request, body: bytes | None, until: float) -> Any:
        headers = {"accept-encoding": "identity"}
        if body is not None:
            headers["content-type"] = request.content_type
        if request.on_event is not None:
            headers["accept"] = "text/event-stream"
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        url = self.endpoint + request.path
        try:
            async with (
                asyncio.timeout(max(until - time.monotonic(), 0.1)),
                self._client.stream(request.method, url, content=body, headers=headers) as response,
            ):
                return await read_response(response, request)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self._connection_error(error) from error

    def _connection_error(self, error: Exception) -> ServiceError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return ServiceError(f"no service answers at {self.endpoint}.", hint="Start one: layoutllm serve.")
        late = isinstance(error, TimeoutError | httpx.TimeoutException)
        what = "took too long" if late else f"broke off ({type(error).__name__})"
        return ServiceError(
            f"the service at {self.endpoint} {what}.", hint="Try again, or with a longer timeout."
        )

    # -- the event loop ------------------------------------------------------------------------------------

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop, self._client = asyncio.new_event_loop(), self._new_client()
                arguments = (self._loop, self._client)
                threading.Thread(target=_run, args=arguments, name="layoutllm-remote", daemon=True).start()
                self._stop = weakref.finalize(self, self._loop.call_soon_threadsafe, self._loop.stop)
            return self._loop

    def _new_client(self) -> httpx.AsyncClient:
        # A proxy of the environment is not asked for this machine.
        away = urlsplit(self.endpoint).hostname not in ("127.0.0.1", "localhost", "::1")
        limits = httpx.Limits(max_connections=256, max_keepalive_connections=64)
        return httpx.AsyncClient(trust_env=away, limits=limits, timeout=httpx.Timeout(None, connect=10.0))

    def close(self) -> None:
        """End the work under way and hang up. The next request opens connections anew."""
        with self._lock:
            self._loop = None
            self._stop()


def _result(future: Future[_R]) -> _R:
    try:
        return future.result()
    except CancelledError:
        raise ServiceError("the reader was closed in the middle of an answer.") from None


def _run(loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient) -> None:
    async def hang_up() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.aclose()

    try:
        loop.run_forever()
        loop.run_until_complete(hang_up())
    finally:
        loop.close()


def _pause(state: RetryCallState) -> float:
    """Seconds until the next try: a growing pause, or what the service asks for."""
    error = state.outcome.exception() if state.outcome else None
    return max(_backoff(state), min(float(getattr(error, "retry_after", 0.0)), _LONGEST_PAUSE))


def checked(endpoint: str) -> str:
    """The address without a slash at its end. ServiceError where it is none."""
    with suppress(ValueError):
        parts = urlsplit(endpoint)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if known and parts.username is None and not parts.query:
            return endpoint.rstrip("/")
    error = ServiceError(
        f"{endpoint[:200]!r} is no service's address.", hint="It looks like http://127.0.0.1:8765."
    )
    error.caller_can_fix, error.retryable = True, False
    raise error
