"""A listening socket, so that it is known before serving begins whether there is one, and on which port. Standard library only."""

from __future__ import annotations

import ipaddress
import socket

from layoutllm_tool.errors import LayoutLLMError


def listen(host: str, port: int) -> socket.socket:
    """LayoutLLMError where that can't be listened on. ``port`` 0 takes a free one."""
    try:
        v6 = ":" in host and bool(ipaddress.IPv6Address(host))
        return socket.create_server((host, port), family=socket.AF_INET6 if v6 else socket.AF_INET, backlog=512)
    except (OSError, OverflowError, ValueError) as error:
        raise LayoutLLMError(f"{host}:{port} can't be listened on: {error}.", hint="Choose another --port.") from error


def address(listening: socket.socket, host: str) -> str:
    """Its URL under the name that was asked for."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
