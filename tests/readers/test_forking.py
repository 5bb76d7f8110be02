"""A process that is forked from one that has asked questions answers too, whatever its parent's threads
were doing.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from layoutllm_tool import LayoutLLMTool
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.model.weights import SHIPPED
from layoutllm_tool.readers.local import LayoutLLMReader
from tests import tiny

SAMPLES = SHIPPED.parents[1] / "samples"


def forked(work: Callable[[], str]) -> str:
    """What ``work`` gives in a forked process; "" where that was still at it after a minute."""
    inward, outward = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(60)  # ends this process
            os.write(outward, work().encode())
        finally:
            os._exit(0)
    os.close(outward)
    with os.fdopen(inward, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(pid, 0)
    return said


def plain(cot: LayoutCoT) -> str:
    """Without the last digits: the forked process computes on one thread, its parent on as many as it
    likes.
    """
    return repr((cot.answer, cot.analysis, [area.lines for area in cot.areas], round(cot.confidence, 3)))


def document() -> Document:
    return Document("a", "0" * 64, (tiny.page(),))


def test_a_forked_process_asks_the_model_that_its_parent_loaded() -> None:
    with LayoutLLMReader(model=tiny.smol()) as reader:
        one = document()
        before = plain(reader.ask(one, "What is the total?"))
        assert forked(lambda: plain(reader.ask(one, "What is the total?"))) == before
        assert forked(lambda: forked(lambda: plain(reader.ask(one, "What is the total?")))) == before
        assert plain(reader.ask(one, "What is the total?")) == before


def test_locks_that_were_held_are_not_waited_for() -> None:
    """Every lock of reader, tool and caches is held by another thread while the process forks."""
    reader = LayoutLLMReader(model=tiny.smol())
    tool = LayoutLLMTool(reader=reader, documents={"a": document()})
    before = tool.invoke({"document": "a", "question": "What is the total?"})
    held = [
        reader._worker._lock,
        reader._pages._documents._files._lock,
        reader._pages._pages._lock,
        tool._attempts._lock,
    ]
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        for lock in held:
            lock.acquire()
        taken.set()
        done.wait()
        for lock in held:
            lock.release()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    try:
        assert forked(lambda: str(tool.invoke({"document": "a", "question": "What is the total?"}))) == before
    finally:
        done.set()
        thread.join()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_shipped_weights_answer_in_a_forked_process() -> None:
    """With the page opened, recognised and asked about in the parent on two threads, and another one in the
    child.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1 if "OMP_THREAD_LIMIT" in os.environ else 2)
    try:
        with LayoutLLMReader() as reader:
            invoice = reader.load(SAMPLES / "invoice.png")
            assert reader.ask(invoice, "What is the total due?").answer == "279.00"

            def ask() -> str:
                letter = reader.load(Path(SAMPLES / "letter.pdf"))
                total = reader.ask(invoice, "What is the total due?").answer
                return f"{total} {reader.ask(letter, 'What is the notice period?').answer}"

            assert forked(ask) == "279.00 two months"
            assert reader.ask(invoice, "What is the invoice number?").answer == "HC-2024-0318"
    finally:
        torch.set_num_threads(threads)


def test_no_more_threads_than_the_limit_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more, products are silently wrong."""
    import torch

    from layoutllm_tool.model.llama_engine import keep_to_thread_limit

    threads = torch.get_num_threads()
    try:
        for limit, before, after in (
            ("1", 2, 1),
            ("2", 2, 2),
            ("", 2, 2),
            ("many", 2, 2),
            ("0", 2, 2),
            ("4", 1, 1),
        ):
            monkeypatch.setenv("OMP_THREAD_LIMIT", limit)
            torch.set_num_threads(before)
            keep_to_thread_limit()
            assert torch.get_num_threads() == after
    finally:
        torch.set_num_threads(threads)


def test_a_fork_waits_for_the_question_under_way() -> None:
    """Else the child inherits locks of torch and the import system, held by a thread that it does not
    have.
    """
    computing, go_on, seen = threading.Event(), threading.Event(), []
    with LayoutLLMReader(model=tiny.smol()) as reader:
        one = document()
        before = plain(reader.ask(one, "What is the total?"))
        worker = reader._worker
        decode = worker._decode

        def slow(*given: Any) -> None:
            computing.set()
            go_on.wait(60)
            decode(*given)
            seen.append("computed")

        worker._decode = slow  # type: ignore[method-assign,assignment]
        asker = threading.Thread(target=lambda: reader.ask(one, "What is the date?"))
        asker.start()
        computing.wait(60)
        forker = threading.Thread(
            target=lambda: seen.append(forked(lambda: plain(reader.ask(one, "What is the total?"))))
        )
        forker.start()
        assert seen == []
        worker._decode = decode  # type: ignore[method-assign]
        go_on.set()
        forker.join(120)
        asker.join(120)
        assert seen == ["computed", before]
