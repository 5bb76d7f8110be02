"""Patterns that read a page's own text: a line may be one run of digits, dots or brackets, as long as the
page.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any, get_args

import pytest

from layoutllm_graphs.context import Context
from layoutllm_graphs.reflection.checks import CHECKS
from layoutllm_graphs.reflection.checks.context import CheckInput
from layoutllm_graphs.reflection.checks.values import amounts
from layoutllm_graphs.reflection.types import Finding
from layoutllm_graphs.workflow import make_graph
from layoutllm_tool.cot import ExpectedType
from layoutllm_tool.documents.dates import date_order, days
from layoutllm_tool.documents.search import key_of
from layoutllm_tool.documents.spatial import contains, spatial_words
from layoutllm_tool.documents.values import amount, decimal_mark, money, read, spans_of
from layoutllm_tool.readers.lookup import _TYPES
from layoutllm_tool.testing import FakeReader, document_from_text
from layoutllm_tool.tool import LayoutLLMTool

UNITS = (
    " ",
    "a",
    "9",
    ",000",
    ".",
    "a@",
    "a.",
    "1 ",
    "1-",
    "9.99 ",
    "(",
    "A ",
    "A.",
    "jan ",
    "1 jan ",
    "RM ",
    "at the top ",
    "a@a.",
    "99",
    "$",
    "'",
    "/",
)


def looked_up(kind: ExpectedType) -> Callable[[str], object]:
    return lambda text: re.search(_TYPES[kind], text)


def spanned(kind: ExpectedType) -> Callable[[str], object]:
    return lambda text: spans_of(kind, text)


READERS: dict[str, Callable[[str], object]] = {
    "amount": amount, "read": read, "amounts": amounts, "days": days, "key_of": key_of,
    "money": lambda text: list(money(text)),
    "decimal_mark": lambda text: decimal_mark([text]), "date_order": lambda text: date_order([text]),
    "spatial_words": spatial_words,
    "contains": lambda text: contains(text, "total due"),
    **{f"spans_of {kind}": spanned(kind) for kind in get_args(ExpectedType)},
    **{f"type {kind}": looked_up(kind) for kind in _TYPES},  # type: ignore[arg-type]
}  # fmt: skip


def work(read: Callable[[str], object], text: str) -> float:
    """Seconds of this process, whatever else the machine does; the least of three."""

    def once() -> float:
        start = time.process_time()
        read(text)
        return time.process_time() - start

    return min(once() for _ in range(3))


@pytest.mark.parametrize("name", READERS)
def test_the_work_grows_with_the_text(name: str) -> None:
    for unit in UNITS:
        small, large = ((unit * size)[:size] + "!" for size in (2_000, 32_000))
        before, after = work(READERS[name], small), work(READERS[name], large)
        assert after < 64 * max(before, 0.001), (unit, before, after)


def test_what_is_bounded_is_still_found() -> None:
    assert spans_of("money", "RM 1,234,567.00 and 5.00") == [(0, 15), (20, 24)]
    assert spans_of("number", "1,234,567") == [(0, 9)] and spans_of(
        "email", "write to a.b@c-d.example.org."
    ) == [(9, 28)]
    texts = (("email", "x@y.z"), ("address", "Hill St 5"))
    found = {kind: bool(looked_up(kind)(text)) for kind, text in texts}  # type: ignore[arg-type]
    assert found == {"email": True, "address": True}
    assert (
        looked_up("address")("5 Hill St")
        and not looked_up("address")("Hill")
        and not looked_up("address")("55")
    )
    assert looked_up("email")("a@b@c.d") and not looked_up("email")("a@b")


async def test_checks_leave_the_event_loop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def noted(_: CheckInput) -> list[Finding]:
        threads.append(threading.current_thread())
        return []

    monkeypatch.setitem(CHECKS, "noted", noted)
    document = document_from_text("Total: 12.50", name="a.pdf")
    context = Context(LayoutLLMTool(reader=FakeReader(), documents={"a.pdf": document}))
    state: Any = await make_graph().ainvoke(
        {"document": "a.pdf", "task": ["What is the total?"]}, context=context
    )
    assert state["answers"][0]["verdict"] == "satisfied"
    assert threads and threading.current_thread() not in threads
