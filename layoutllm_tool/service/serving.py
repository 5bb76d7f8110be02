"""Listen on a port and serve an app there until Ctrl-C or SIGTERM."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from typing import Any

from layoutllm_tool.errors import LayoutLLMError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def listen(host: str, port: int) -> socket.socket:
    """LayoutLLMError where that can't be listened on. ``port`` 0 takes a free one."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError, ValueError) as error:
        raise LayoutLLMError(
            f"{host}:{port} can't be listened on: {error}.", hint="Choose another --port."
        ) from error


def address(listening: socket.socket, host: str) -> str:
    """Its URL under the name that was asked for."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


def settings() -> dict[str, Any]:
    """For ``uvicorn.Config``: the bounded protocol. uvicorn takes uvloop where there is one."""
    from layoutllm_tool.service.protocol import BoundedProtocol

    return {
        "http": BoundedProtocol,
        "ws": "none",
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "timeout_keep_alive": 30,
        "timeout_graceful_shutdown": 10,
    }


def serve(app: Any, listening: socket.socket, place: str) -> None:
    """Print ``place`` on stderr and answer until Ctrl-C or SIGTERM."""
    import uvicorn

    sys.stderr.write(f"layoutllm: {place}\n")
    sys.stderr.flush()
    with listening, suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn.Config(app, **settings())).run(sockets=[listening])
