"""Tokens that chat models used, summed up over a run by model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.context import register_configure_hook

Usage = dict[str, dict[str, Any]]
"""LangChain's ``UsageMetadata`` by the model's name."""
_handler: ContextVar[UsageMetadataCallbackHandler | None] = ContextVar("layoutllm_usage", default=None)
# Once: ``get_usage_metadata_callback`` registers another hook at every call, and none is ever removed.
register_configure_hook(_handler, inheritable=True)


def summed(a: Mapping[str, Any], b: Mapping[str, Any]) -> Usage:
    """Both together: the reducer of the states' ``usage``."""
    total: Usage = {**a}
    for model, used in b.items():
        both = add_usage(cast("UsageMetadata | None", total.get(model)), cast("UsageMetadata", used))
        total[model] = dict(both)
    return total


@contextmanager
def counting() -> Iterator[UsageMetadataCallbackHandler]:
    """Counts every LangChain chat model called within that says its name and its tokens."""
    handler = UsageMetadataCallbackHandler()
    token = _handler.set(handler)
    try:
        yield handler
    finally:
        _handler.reset(token)


def counted(
    node: Callable[[Any], dict[str, Any]], anode: Callable[[Any], Awaitable[dict[str, Any]]] | None = None
) -> RunnableLambda[Any, dict[str, Any]]:
    """The node (and its async form) with the tokens used in it as the update's ``usage``."""

    def run(state: Any) -> dict[str, Any]:
        with counting() as handler:
            update = node(state)
        return {**update, "usage": handler.usage_metadata}

    async def arun(state: Any) -> dict[str, Any]:
        assert anode is not None
        with counting() as handler:
            update = await anode(state)
        return {**update, "usage": handler.usage_metadata}

    return RunnableLambda(run, afunc=arun if anode else None)
