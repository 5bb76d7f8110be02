"""``ChatModelReader``: windows of a document to the model and back, with one retry each. What is made of a reply is in ``judging``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from layoutllm_tool.cot import Correction, LayoutCoT
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.errors import DocumentTooLarge, ModelError
from layoutllm_tool.ocr import recognise_page
from layoutllm_tool.protocols import OCREngine, Progress, events_of
from layoutllm_tool.readers import chat_prompts as prompts
from layoutllm_tool.readers.caching import Library, Recent
from layoutllm_tool.readers.chat_parsing import Judged, judge, nothing
from layoutllm_tool.readers.chat_task import Task, task_of, windows
from layoutllm_tool.readers.outcome import best
from layoutllm_tool.readers.query import check_question
from layoutllm_tool.training.replies import text_of

if TYPE_CHECKING:
    from layoutllm_tool.protocols import Source


class ChatModel(Protocol):
    """What is asked of a model: messages as (role, text) pairs in, an object with ``content`` or ``text`` out."""

    def invoke(self, messages: Any, /) -> Any: ...


class ChatModelReader:
    """A ``Reader`` over any LangChain chat model, or anything with ``invoke``. Safe to share where the model is.

    ``window`` bounds the characters of page text in one request; a longer document takes several, whose best outcome counts, and one
    that would take more than ``most_windows`` is refused (DocumentTooLarge). ``concurrency`` bounds the requests of one call.
    A reply that can't be used is sent back once with the reason; the second raises ModelError, as do the model's own
    errors (network, quota), which are retryable then.
    """

    def __init__(
        self,
        model: ChatModel,
        *,
        languages: Sequence[str] = ("eng",),
        engine: OCREngine | None = None,
        window: int = 24_000,
        most_windows: int = 16,
        concurrency: int = 4,
    ) -> None:
        self.model, self.languages, self.engine = model, tuple(languages), engine
        self.window, self.most_windows, self.concurrency = window, most_windows, concurrency
        self._library = Library(lambda _, page: recognise_page(page, engine=self.engine, languages=self.languages))
        self._attempts: Recent[tuple[str, int | None, str], LayoutCoT] = Recent(1024)

    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        """See ``Reader.load``; text recognition is the package's own."""
        return self._library.load(source, words=words)

    def ask(
        self,
        document: Document,
        question: str,
        *,
        page: int | None = None,
        correction: Correction | None = None,
        previous: LayoutCoT | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> LayoutCoT:
        """See ``Reader.ask``. The three steps come at once: the model writes them in one reply."""
        tasks = self._tasks(document, question, page, correction, previous)
        if len(tasks) == 1:
            cots = [self._read(tasks[0])]
        else:
            with ThreadPoolExecutor(min(self.concurrency, len(tasks))) as threads:
                cots = list(threads.map(self._read, tasks))
        return self._outcome(document, question, page, tasks, cots, on_progress)

    def ask_many(self, document: Document, questions: Iterable[str], *, page: int | None = None) -> list[LayoutCoT]:
        """See ``Reader.ask_many``: asked side by side."""
        asked = list(questions)
        for question in asked:
            check_question(question)
        with ThreadPoolExecutor(max(1, min(self.concurrency, len(asked)))) as threads:
            return list(threads.map(lambda question: self.ask(document, question, page=page), asked))

    async def aask(
        self,
        document: Document,
        question: str,
        *,
        page: int | None = None,
        correction: Correction | None = None,
        previous: LayoutCoT | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> LayoutCoT:
        """See ``Reader.aask``. Cancelled, it cancels its requests."""
        tasks = await asyncio.to_thread(self._tasks, document, question, page, correction, previous)
        free = asyncio.Semaphore(self.concurrency)

        async def one(task: Task) -> LayoutCoT:
            async with free:
                return await self._aread(task)

        running = [asyncio.ensure_future(one(task)) for task in tasks]
        try:
            cots = await asyncio.gather(*running)
        finally:
            for each in running:
                each.cancel()
        return self._outcome(document, question, page, tasks, cots, on_progress)

    async def astream(self, document: Document, question: str, *, page: int | None = None) -> AsyncIterator[Progress]:
        """See ``Reader.astream``."""
        seen: list[Progress] = []
        cot = await self.aask(document, question, page=page, on_progress=seen.append)
        for event in seen[:-1]:
            yield event
        yield Progress(seen[-1].event, {**seen[-1].data, **cot.to_json()})

    # -- before and after -------------------------------------------------------------------------------------------

    def _tasks(
        self,
        document: Document,
        question: str,
        page: int | None,
        correction: Correction | None,
        previous: LayoutCoT | None,
    ) -> list[Task]:
        check_question(question)
        pages = document.pages if page is None else (document.page(page),)
        if correction is not None and correction.page is not None:
            pages = (document.page(correction.page),)
        if correction is not None and previous is None:
            previous = self._attempts.get((document.sha256, page, question))
        read = [self._library.recognised(document.sha256, one) for one in pages]
        tasks = windows(task_of(document, read, question, correction, previous), self.window)
        if len(tasks) > self.most_windows:
            raise DocumentTooLarge(
                f"{document.name!r} would take {len(tasks)} requests for one question, and {self.most_windows} are allowed.",
                hint="Ask about one page.",
            )
        return tasks

    def _outcome(
        self,
        document: Document,
        question: str,
        page: int | None,
        tasks: Sequence[Task],
        cots: Sequence[LayoutCoT],
        on_progress: Callable[[Progress], None] | None,
    ) -> LayoutCoT:
        cot = best(cots)
        self._attempts.put((document.sha256, page, question), cot)
        if on_progress is not None:
            numbers = dict.fromkeys(segment.page.number for task in tasks for segment in task.segments)
            for event in events_of(numbers, cot):
                on_progress(event)
        return cot

    # -- the model --------------------------------------------------------------------------------------------------

    def _read(self, task: Task) -> LayoutCoT:
        steps = _conversation(task)
        try:
            said = next(steps)
            while True:
                said = steps.send(text_of(self._invoked(said)))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    async def _aread(self, task: Task) -> LayoutCoT:
        steps = _conversation(task)
        try:
            said = next(steps)
            while True:
                said = steps.send(text_of(await self._ainvoked(said)))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    def _invoked(self, messages: prompts.Messages) -> Any:
        try:
            return self.model.invoke(messages)
        except Exception as error:
            raise _failed(error) from error

    async def _ainvoked(self, messages: prompts.Messages) -> Any:
        ainvoke = getattr(self.model, "ainvoke", None)
        if ainvoke is None:
            return await asyncio.to_thread(self._invoked, messages)
        try:
            return await ainvoke(messages)
        except Exception as error:
            raise _failed(error) from error


def _conversation(task: Task) -> Generator[prompts.Messages, str, LayoutCoT]:
    """What to say to the model, one after another; its replies are sent in. ModelError where the second can't be used either."""
    if not task.segments:  # blank pages say nothing, and no model is needed to know it
        return nothing(task)
    asked = prompts.messages(task)
    reply = yield asked
    first = judge(reply, task)
    if first.cot is not None and not first.problem:
        return first.cot
    second = judge((yield prompts.again(asked, reply, first.problem)), task)
    return _kept(first, second)


def _kept(first: Judged, second: Judged) -> LayoutCoT:
    """The second thought, or the first one where only that can be used."""
    kept = second.cot or first.cot
    if kept is None:
        raise ModelError(
            f"the chat model's replies can't be used: {second.problem}.", hint="Try a model that is better at JSON."
        )
    return kept


def _failed(error: Exception) -> ModelError:
    said = ModelError(f"the chat model failed: {type(error).__name__}: {str(error)[:300]}.", hint="Ask again later.")
    said.retryable = True
    return said


__all__ = ["ChatModelReader"]
