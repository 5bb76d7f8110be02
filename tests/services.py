"""A service on a real socket, uvicorn in a thread of its own, for tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from layoutllm_tool.protocols import Reader
from layoutllm_tool.web.protocol import BoundedProtocol, settings
from layoutllm_tool.web.serve import create_service


@contextmanager
def running(reader: Reader, *, header_seconds: float = 10.0, **options: Any) -> Iterator[str]:
    """The address of a service with this reader; ``options`` are ``create_service``'s."""
    quick = type("Quick", (BoundedProtocol,), {"seconds": header_seconds})
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    config = uvicorn.Config(create_service(reader, **options), **(settings() | {"http": quick}))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the service did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()
