"""The way to a service: connections of event loops, retries with growing pauses, a deadline for the whole. httpx
does the talking."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from layoutllm_tool.errors import LayoutLLMError, ServiceError
from layoutllm_tool.protocols import Progress
from layoutllm_tool.remote.replies import Call, Flow, Reply

if TYPE_CHECKING:
    import httpx

_LONGEST_PAUSE = 30.0
_R = TypeVar("_R")


class Line:
    """Carries out flows of calls. Safe to share between threads and event loops."""

    def __init__(self, endpoint: str, token: str, *, timeout: float, retries: int) -> None:
        self.endpoint, self.token, self.timeout, self.retries = checked(endpoint), token, timeout, retries
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._end: Callable[[], Any] = lambda: None
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = (
            weakref.WeakKeyDictionary()
        )
        self._lock = threading.Lock()
        self._random = random.Random()

    def drive(self, flow: Flow[_R]) -> _R:
        """As ``adrive``, on an event loop of this object's own: only there can a deadline end whatever a server does.
        Events are told, and the flow goes on, in the caller's thread."""
        try:
            call = next(flow)
            while True:
                try:
                    answer = self._waited(call)
                except LayoutLLMError as error:
                    call = flow.throw(error)
                else:
                    call = flow.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    def _waited(self, call: Call) -> Any:
        told = SimpleQueue[Progress | None]()
        heard = replace(call, on_event=told.put) if call.on_event is not None else call
        answer = asyncio.run_coroutine_threadsafe(self._retried(heard), self._own_loop())
        answer.add_done_callback(lambda _: told.put(None))
        try:
            while (event := told.get()) is not None:
                if call.on_event is not None:
                    call.on_event(event)
            return answer.result()
        except CancelledError:
            raise ServiceError("the reader was closed in the middle of an answer.") from None
        finally:
            answer.cancel()

    async def adrive(self, flow: Flow[_R]) -> _R:
        """The flow's outcome. Cancelled, it hangs up."""
        try:
            call = next(flow)
            while True:
                try:
                    answer = await self._retried(call)
                except LayoutLLMError as error:
                    call = flow.throw(error)
                else:
                    call = flow.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    async def _retried(self, call: Call) -> Any:
        body, reply = (await asyncio.to_thread(call.body)) if call.body else None, Reply(call)
        until, tries = time.monotonic() + self.timeout, 0
        while True:
            try:
                return await self._once(call, body, reply, until)
            except LayoutLLMError as error:
                await asyncio.sleep(self._pause(error, tries, until))
                tries += 1

    def _pause(self, error: LayoutLLMError, tries: int, until: float) -> float:
        """Seconds until the next try; raises the error where there is none."""
        wait = min(0.2 * 2.0**tries * self._random.uniform(0.5, 1.5), _LONGEST_PAUSE)
        wait = max(wait, min(float(getattr(error, "retry_after", 0.0)), _LONGEST_PAUSE))
        if not error.retryable or tries >= self.retries or time.monotonic() + wait > until:
            raise error
        return wait

    async def _once(self, call: Call, body: bytes | None, reply: Reply, until: float) -> Any:
        import httpx

        try:
            async with (
                asyncio.timeout(max(until - time.monotonic(), 0.1)),
                self._client().stream(**self._request(call, body, until)) as response,
            ):
                reply.begin(response.status_code, response.headers)
                async for part in response.aiter_raw():  # never unpacked: what is asked for is not packed
                    if reply.take(part):
                        break
                return reply.result()
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self._lost(error) from error

    def _request(self, call: Call, body: bytes | None, until: float) -> dict[str, Any]:
        import httpx

        headers = {"accept-encoding": "identity"}
        if body is not None:
            headers["content-type"] = call.kind
        if call.on_event is not None:
            headers["accept"] = "text/event-stream"
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        left = max(until - time.monotonic(), 0.1)
        return {
            "method": call.method, "url": self.endpoint + call.path, "content": body, "headers": headers,
            "timeout": httpx.Timeout(left, connect=min(left, 10.0)),
        }  # fmt: skip

    def _lost(self, error: Exception) -> ServiceError:
        import httpx

        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return ServiceError(f"no service answers at {self.endpoint}.", hint="Start one: layoutllm serve.")
        late = isinstance(error, TimeoutError | httpx.TimeoutException)
        said = "took too long" if late else f"broke off ({type(error).__name__})"
        return ServiceError(f"the service at {self.endpoint} {said}.", hint="Try again, or with a longer timeout.")

    # -- clients ----------------------------------------------------------------------------------------------------

    def _client(self) -> httpx.AsyncClient:
        """A connection belongs to the event loop that it was opened on."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._clients:
                self._clients[loop] = _httpx().AsyncClient(**self._settings())
            return self._clients[loop]

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._process != os.getpid():  # a fork has no threads
                self._loop, self._process = asyncio.new_event_loop(), os.getpid()
                threading.Thread(target=_run, args=(self._loop,), name="layoutllm-remote", daemon=True).start()
                self._end = weakref.finalize(self, self._loop.call_soon_threadsafe, self._loop.stop)
            return self._loop

    def _settings(self) -> dict[str, Any]:
        # A proxy of the environment is not asked for this machine.
        away = urlsplit(self.endpoint).hostname not in ("127.0.0.1", "localhost", "::1")
        return {"trust_env": away, "limits": _httpx().Limits(max_connections=256, max_keepalive_connections=64)}

    def close(self) -> None:
        """Hang up; connections of event loops other than its own are left to them."""
        with self._lock:
            loop, self._loop = self._loop, None
            client = self._clients.pop(loop, None) if loop is not None else None
        if loop is None or self._process != os.getpid():
            return
        if client is not None:
            asyncio.run_coroutine_threadsafe(client.aclose(), loop).result()
        self._end()

    async def aclose(self) -> None:
        """As ``close``, with the connections of this event loop."""
        with self._lock:
            client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()
        await asyncio.to_thread(self.close)


async def _hang_up() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(_hang_up())
    finally:
        loop.close()


def checked(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.username is None and not parts.query
        parts.port  # noqa: B018  # raises where it is none
    except ValueError:
        fine = False
    if not fine:
        error = ServiceError(
            f"{endpoint[:200]!r} is no service's address.", hint="It looks like http://127.0.0.1:8765."
        )
        error.mendable, error.retryable = True, False
        raise error
    return endpoint.rstrip("/")


def _httpx() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise LayoutLLMError("asking a service needs httpx.", hint="pip install 'layoutllm-tool[web]'") from error
    return httpx
