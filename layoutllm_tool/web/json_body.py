"""Bodies of requests that are JSON, read off the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from layoutllm_tool.strict_json import BodyUnreadable, read_json

if TYPE_CHECKING:
    from starlette.requests import Request

_LARGE = 1 << 20
"""Bytes of a body beyond which one is parsed at a time."""
_Model = TypeVar("_Model", bound=BaseModel)


async def json_of(request: Request) -> bytes:
    """The body of a request that says it is JSON: a form of another page can't say so. BodyUnreadable."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise BodyUnreadable("its content type is not application/json.", 422)
    return await request.body()


class JSONReader:
    """``read_json`` off the event loop, one large body at a time."""

    def __init__(self) -> None:
        self._large = asyncio.Lock()

    async def read(self, model: type[_Model], body: bytes) -> _Model:
        if len(body) <= _LARGE:
            return await asyncio.to_thread(read_json, model, body)
        async with self._large:
            return await asyncio.to_thread(read_json, model, body)
