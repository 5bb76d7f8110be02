"""How large a schema or a plan that comes as JSON may be: counted before anything else looks at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from layoutllm_tool.errors import PlanError

DEEPEST = 64
"""Levels of objects and lists."""
_LARGEST_NUMBER = 1 << 64
_END = object()


def check_size(data: Any, what: str, *, parts: int, characters: int) -> None:
    """PlanError where ``data`` has more parts (keys and values) or characters than these, or is too deep or a cycle."""
    levels, seen, written = [iter((data,))], 0, 0
    while levels:
        value = next(levels[-1], _END)
        if value is _END:
            levels.pop()
            continue
        seen, written = seen + 1, written + (len(value) if isinstance(value, str) else 0)
        if len(levels) > DEEPEST or seen > parts or written > characters:
            raise PlanError(
                f"{what} is too large.",
                hint=f"At most {parts:,} parts, {characters:,} characters and {DEEPEST} levels: split it.",
            )
        if isinstance(value, int) and abs(value) >= _LARGEST_NUMBER:
            raise PlanError(f"{what} has a number that is too large.", hint="Leave it out, or give it as text.")
        levels.append(_inner(value))


def _inner(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        return chain.from_iterable(value.items())
    return iter(value if isinstance(value, list | tuple) else ())
