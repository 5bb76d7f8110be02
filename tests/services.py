"""An app on a real socket, uvicorn in a thread of its own, or in process; for tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import uvicorn

from layoutllm_tool.protocols import Reader
from layoutllm_tool.service.app import create_service
from layoutllm_tool.service.protocol import BoundedProtocol
from layoutllm_tool.service.serving import settings


@contextmanager
def running(reader: Reader, *, header_seconds: float = 10.0, **options: Any) -> Iterator[str]:
    """The address of a service with this reader; ``options`` are ``create_service``'s."""
    quick = type("Quick", (BoundedProtocol,), {"seconds": header_seconds})
    with on_a_port(create_service(reader, **options), **(settings() | {"http": quick})) as address:
        yield address


@contextmanager
def on_a_port(app: Any, **options: Any) -> Iterator[str]:
    """The address of an app; ``options`` are ``uvicorn.Config``'s."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    server = uvicorn.Server(uvicorn.Config(app, **options))
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the app did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


def with_state(app: Any, state: Any) -> Any:
    """The app as a server calls it: with what its lifespan yielded as the requests' state."""

    async def served(scope: Any, receive: Any, send: Any) -> None:
        await app(scope | {"state": dict(state)}, receive, send)

    return served


@asynccontextmanager
async def in_process(app: Any, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app without a socket; ``options`` are ``httpx.AsyncClient``'s."""
    async with app.router.lifespan_context(app) as state:
        transport = httpx.ASGITransport(with_state(app, state), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", **options) as client:
            yield client
