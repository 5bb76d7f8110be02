"""``ChatModelReader``: a ``Reader`` over a chat model, which gets the page's text with segment marks and
boxes, and its picture if it can see.

The model writes the three steps as JSON. The reply is held against the page: segments must exist, and an
answer must be found in them to be grounded. Boxes are those of recognised words. Any model with ``invoke``
will do; ``ainvoke`` is used where there is one. LangChain's callbacks see every request, so
``get_usage_metadata_callback`` counts the tokens.

The confidence is *not* calibrated: there are no token probabilities, and what a model says of itself is not
asked. It weighs what the page says (does the answer stand beside its key, is it of the key's type, ...) by
weights set by hand (``chat_parsing.ANSWERED``, ``chat_parsing.NOTHING``). Compare it only among answers of
this reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Protocol, TypeVar, Unpack

from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import DocumentTooLarge, ModelError
from layoutllm_tool.protocols import AskOptions, OCREngine, events_of
from layoutllm_tool.readers.base import ReaderBase
from layoutllm_tool.readers.chat_parsing import ParsedReply, nothing, parse_reply
from layoutllm_tool.readers.chat_pictures import MOST_PICTURES, pictures
from layoutllm_tool.readers.chat_prompts import Messages, Task, again, messages, task_of, windows
from layoutllm_tool.readers.outcome import best
from layoutllm_tool.readers.query import Query, check_question
from layoutllm_tool.readers.replies import text_of

_Asked = TypeVar("_Asked")


class ChatModel(Protocol):
    """Takes messages as pairs of role and text (or LangChain's content blocks, with pictures), returns an
    object with ``content`` or ``text``.
    """

    def invoke(self, messages: Any, /) -> Any: ...


class ChatModelReader(ReaderBase):
    """A ``Reader`` over any LangChain chat model, or anything with ``invoke``. Safe to share where the model
    is.

    ``window`` bounds the characters of page text in one request. A longer document takes several requests,
    whose best outcome counts; more than ``most_windows`` are a DocumentTooLarge. ``concurrency`` bounds the
    requests of one call. A reply that can't be used is sent back once with the reason. The second one raises
    ModelError, as do the model's own errors (network, quota), which are retryable then.

    ``images`` sends the pages' pictures before the text, as LangChain's standard image blocks: JPEG, at most
    1568 pixels a side and eight pages a request, with each segment's number left of it. Where a correction
    or a window leaves a part of a page, the picture shows that part.
    """

    def __init__(
        self,
        model: ChatModel,
        *,
        images: bool = False,
        languages: Sequence[str] = ("eng",),
        engine: OCREngine | None = None,
        window: int = 24_000,
        most_windows: int = 16,
        concurrency: int = 4,
    ) -> None:
        super().__init__(languages, engine)
        self.model, self.images = model, images
        self.window, self.most_windows, self.concurrency = window, most_windows, concurrency

    def ask(self, document: Document, question: str, **options: Unpack[AskOptions]) -> LayoutCoT:
        """See ``Reader.ask``. The three steps come at once: the model writes them in one reply."""
        query = Query(document, question, **options)
        tasks = self._tasks(query)
        return self._outcome(query, tasks, self._side_by_side(self._read, tasks))

    def ask_many(
        self, document: Document, questions: Iterable[str], *, page: int | None = None
    ) -> list[LayoutCoT]:
        """See ``Reader.ask_many``: asked side by side."""
        asked = list(questions)
        for question in asked:
            check_question(question)
        return self._side_by_side(lambda question: self.ask(document, question, page=page), asked)

    async def aask(self, document: Document, question: str, **options: Unpack[AskOptions]) -> LayoutCoT:
        """See ``Reader.aask``. Cancelled, it cancels its requests."""
        query = Query(document, question, **options)
        tasks = await asyncio.to_thread(self._tasks, query)
        free = asyncio.Semaphore(self.concurrency)

        async def read(task: Task) -> LayoutCoT:
            async with free:
                return await self._aread(task)

        running = [asyncio.ensure_future(read(task)) for task in tasks]
        try:
            cots = await asyncio.gather(*running)
        finally:
            for each in running:
                each.cancel()
        return self._outcome(query, tasks, cots)

    def _side_by_side(self, read: Callable[[_Asked], LayoutCoT], asked: Sequence[_Asked]) -> list[LayoutCoT]:
        """In threads with the caller's context variables, which LangChain's callbacks need."""
        if len(asked) < 2:
            return [read(one) for one in asked]
        with ThreadPoolExecutor(min(self.concurrency, len(asked))) as threads:
            running = [threads.submit(copy_context().run, read, one) for one in asked]
            return [each.result() for each in running]

    def _tasks(self, query: Query) -> list[Task]:
        most_pages = MOST_PICTURES if self.images else None
        tasks = windows(task_of(query, self._recognised(query)), self.window, most_pages)
        if len(tasks) > self.most_windows:
            raise DocumentTooLarge(
                f"{query.document.name!r} would take {len(tasks)} requests for one question, and"
                f" {self.most_windows} are allowed.",
                hint="Ask about one page.",
            )
        return tasks

    def _outcome(self, query: Query, tasks: Sequence[Task], cots: Sequence[LayoutCoT]) -> LayoutCoT:
        cot = best(cots)
        if query.on_progress is not None:
            numbers = dict.fromkeys(segment.page.number for task in tasks for segment in task.segments)
            for event in events_of(numbers, cot):
                query.on_progress(event)
        return cot

    def _read(self, task: Task) -> LayoutCoT:
        if not task.segments:  # a blank page needs no model
            return nothing(task)
        asked = self._messages(task)
        reply = text_of(self._invoke(asked))
        first = parse_reply(reply, task)
        if first.cot is not None and not first.problem:
            return first.cot
        return _usable(first, parse_reply(text_of(self._invoke(again(asked, reply, first.problem))), task))

    async def _aread(self, task: Task) -> LayoutCoT:
        if not task.segments:
            return nothing(task)
        asked = await asyncio.to_thread(self._messages, task)
        reply = text_of(await self._ainvoke(asked))
        first = parse_reply(reply, task)
        if first.cot is not None and not first.problem:
            return first.cot
        return _usable(
            first, parse_reply(text_of(await self._ainvoke(again(asked, reply, first.problem))), task)
        )

    def _messages(self, task: Task) -> Messages:
        return messages(task, pictures(task) if self.images else ())

    def _invoke(self, asked: Messages) -> Any:
        try:
            return self.model.invoke(asked)
        except Exception as error:
            raise _failed(error) from error

    async def _ainvoke(self, asked: Messages) -> Any:
        ainvoke = getattr(self.model, "ainvoke", None)
        if ainvoke is None:
            return await asyncio.to_thread(self._invoke, asked)
        try:
            return await ainvoke(asked)
        except Exception as error:
            raise _failed(error) from error


def _usable(first: ParsedReply, second: ParsedReply) -> LayoutCoT:
    """The second reply, or the first one where only that can be used. ModelError where neither can."""
    cot = second.cot or first.cot
    if cot is None:
        raise ModelError(
            f"the chat model's replies can't be used: {second.problem}.",
            hint="Try a model that is better at JSON.",
        )
    return cot


def _failed(error: Exception) -> ModelError:
    failure = ModelError(
        f"the chat model failed: {type(error).__name__}: {str(error)[:300]}.", hint="Ask again later."
    )
    failure.retryable = True
    return failure


__all__ = ["ChatModelReader"]
