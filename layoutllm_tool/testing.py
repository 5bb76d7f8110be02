"""Public fakes for tests without model and text recognition: pages from plain text, a reader, an engine.

    invoice = document_from_text("Invoice no:  4711\\nTotal:       12.50")
    tool = LayoutLLMTool(reader=FakeReader(), documents={"invoice.pdf": invoice})

All are deterministic and safe to use from several threads. ``layoutllm_graphs.testing`` has a scripted chat
model.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, Unpack

from layoutllm_tool.cot import AnswerFormation, Area, Correction, Evidence, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box, Document, Line, Notice, Page, Word
from layoutllm_tool.documents.search import key_of
from layoutllm_tool.errors import OCRError, OCRLanguageMissing
from layoutllm_tool.protocols import AskOptions, OCREngine, Streaming, events_of
from layoutllm_tool.readers import lookup
from layoutllm_tool.readers.query import Query, allowed_lines, refuse_empty, revised_analysis

if TYPE_CHECKING:
    from PIL.Image import Image

    from layoutllm_tool.protocols import Source

CELL = (10, 20)
"""Pixels of one character of a page made from text."""

Scripted: TypeAlias = str | LayoutCoT | Exception | None
"""An answer, a whole chain, an error to raise, or None for "not in the document"."""


def page_from_text(text: str, *, number: int = 1) -> Page:
    """A page without a picture, laid out as in a monospaced font: a character is 10 x 20 pixels.

    Two or more spaces begin a new line of the page, so ``"Total   12.50"`` is a key and, right of it, a
    value.
    """
    rows = text.expandtabs(4).splitlines()
    width, height = max((len(row) for row in rows), default=0) * CELL[0], len(rows) * CELL[1]
    lines = [
        Line(tuple(_word(match, run.start(), y, width, height) for match in re.finditer(r"\S+", run.group())))
        for y, row in enumerate(rows)
        for run in re.finditer(r"\S+(?: \S+)*", row)
    ]
    return Page(number, max(width, 1), max(height, 1), tuple(lines), text_source="given")


def _word(match: re.Match[str], start: int, row: int, width: int, height: int) -> Word:
    x0, x1 = ((start + column) * CELL[0] for column in match.span())
    box = Box.from_pixels(x0, row * CELL[1], x1, (row + 1) * CELL[1], width=width, height=height)
    return Word(match.group(), box, 1.0)


def document_from_text(*pages: str, name: str = "document.txt") -> Document:
    """A document with a page for each text; its hash is that of the texts."""
    made = tuple(page_from_text(text, number=number) for number, text in enumerate(pages, start=1))
    return Document(name, hashlib.sha256("\f".join(pages).encode()).hexdigest(), made)


class FakeOCR:
    """An ``OCREngine`` with given results: a text for ``page_from_text``, words, or words by picture.

    ``calls`` counts the pages it was shown. OCRLanguageMissing for a language that it was not given.
    """

    name = "fake"

    def __init__(
        self,
        words: str | Iterable[Word] | Callable[[Image], Iterable[Word]],
        *,
        languages: Sequence[str] = ("eng",),
    ) -> None:
        fixed = page_from_text(words).words if isinstance(words, str) else words
        self._read = fixed if callable(fixed) else (lambda _image, known=tuple(fixed): known)
        self.languages = tuple(languages)
        self.calls = 0

    def recognise(self, image: Image, *, languages: Sequence[str] = ("eng",)) -> list[Word]:
        self.calls += 1
        self.check_languages(languages)
        return list(self._read(image))

    def check_languages(self, languages: Sequence[str]) -> None:
        """OCRLanguageMissing."""
        if missing := [language for language in languages if language not in self.languages]:
            raise OCRLanguageMissing(
                f"no data for {', '.join(missing)}.", hint=f"Known: {', '.join(self.languages)}."
            )


@dataclass(frozen=True, slots=True)
class Asked:
    """One question that a FakeReader was asked."""

    document: str
    question: str
    page: int | None
    correction: Correction | None
    previous: LayoutCoT | None = None


class FakeReader(Streaming):
    """A ``Reader`` without a model: scripted answers, else a look-up of the question's words.

    ``answers`` maps a question to an outcome, or to a list of them, one an attempt (the last one repeats).
    Other questions are looked up: the value after, right of or below the line that holds the question's
    words, None where no line does. The confidence is the share of the question's words that were found.
    Corrections restrict the look-up or the kept areas, but not scripted answers. ``ocr`` reads pictures;
    without it an unread page is blank.
    """

    def __init__(
        self,
        answers: Mapping[str, Scripted | Sequence[Scripted]] | None = None,
        *,
        ocr: OCREngine | None = None,
    ) -> None:
        self.answers = dict(answers or {})
        self.ocr = ocr
        self.calls: list[Asked] = []
        self._played: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        """A Document with its unread pages read; other sources through ``load_document``, from anywhere.

        ``words`` replace the pages of their numbers. OCRError for a page with neither words nor a picture.
        """
        if not isinstance(source, Document):
            from layoutllm_tool.documents import load_document
            from layoutllm_tool.documents.safety import Access

            source = load_document(source, access=Access.anywhere())
        given = {page.number: page for page in words or ()}
        return replace(source, pages=tuple(self._read(page, given) for page in source.pages))

    def _read(self, page: Page, given: Mapping[int, Page] | None = None) -> Page:
        if given and page.number in given:
            known = given[page.number]
            return replace(known, image=known.image or page.image, width=page.width, height=page.height)
        if page.lines is not None:
            return page
        if page.image is None:
            raise OCRError(f"Page {page.number} has neither words nor a picture.", hint="Give one of them.")
        if self.ocr is None:
            told = "not read: a FakeReader reads pictures with the ocr it is given"
            return page.with_lines((), "", Notice("not_read", told))
        from layoutllm_tool.documents.reading_order import group_lines

        words = self.ocr.recognise(page.image)
        return page.with_lines(group_lines(words, width=page.width, height=page.height), self.ocr.name)

    def ask(self, document: Document, question: str, **options: Unpack[AskOptions]) -> LayoutCoT:
        """As ``Reader.ask``. Raises scripted exceptions as they are."""
        query = Query(document, question, **options)
        pages = document.pages if query.page is None else (document.page(query.page),)
        looked_at = [self._read(page) for page in query.pages()]
        _check_area(query, looked_at)
        with self._lock:
            self.calls.append(Asked(document.name, question, query.page, query.correction, query.previous))
        cot = self._answer(query, pages)
        for progress in events_of((page.number for page in pages), cot):
            if query.on_progress:
                query.on_progress(progress)
        return cot

    def _answer(self, query: Query, pages: Sequence[Page]) -> LayoutCoT:
        question, correction = query.question, query.correction
        if question in self.answers:
            return self._scripted(query.document, pages, question)
        analysis = QuestionAnalysis("key-value", "extraction", key_of(question))
        if correction is None:
            return lookup.look_up(pages, question, analysis, None)
        previous = query.previous or lookup.look_up(pages, question, analysis, None)
        if correction.step == "answer":
            return lookup.look_again(pages, previous, correction)
        kept = previous.analysis
        if correction.step == "analysis":
            kept = revised_analysis(correction, kept)
        return lookup.look_up(pages, question, kept, correction)

    def _scripted(self, document: Document, pages: Sequence[Page], question: str) -> LayoutCoT:
        script = self.answers[question]
        if isinstance(script, Sequence) and not isinstance(script, str):
            with self._lock:
                turn = self._played.get((document.sha256, question), 0)
                self._played[document.sha256, question] = turn + 1
            script = script[min(turn, len(script) - 1)]
        if isinstance(script, Exception):
            raise script
        return script if isinstance(script, LayoutCoT) else _grounded(pages, question, script)

    def ask_many(
        self, document: Document, questions: Iterable[str], *, page: int | None = None
    ) -> list[LayoutCoT]:
        asked = [Query(document, question, page=page) for question in questions]
        return [self.ask(document, query.question, page=page) for query in asked]

    async def aask(self, document: Document, question: str, **options: Unpack[AskOptions]) -> LayoutCoT:
        await asyncio.sleep(0)  # lets concurrent callers in, as the real reader does
        return self.ask(document, question, **options)


def _check_area(query: Query, pages: Sequence[Page]) -> None:
    """CorrectionError where nothing lies where the correction says to look."""
    correction = query.correction
    if correction is None or correction.step != "area":
        return
    kept = query.previous.analysis if query.previous else None
    if not any(allowed_lines(correction, kept, page) for page in pages):
        raise refuse_empty(correction, query.document)


def _grounded(pages: Sequence[Page], question: str, answer: str | None) -> LayoutCoT:
    """A scripted answer with its words as evidence, where the page has them one after another."""
    analysis = QuestionAnalysis("other", "extraction", key_of(question))
    if answer is None:
        return LayoutCoT(question, analysis, (), AnswerFormation("none", ""), None, 1.0)
    wanted = answer.split()
    for page in pages:
        for index, line in enumerate(page.lines or ()):
            texts = [word.text for word in line.words]
            for start in range(len(texts) - len(wanted) + 1):
                if wanted and texts[start : start + len(wanted)] == wanted:
                    evidence = Evidence.of(page, [(index, start + i) for i in range(len(wanted))])
                    areas, formation = (Area.of(page, [index]),), AnswerFormation("inside", "")
                    return LayoutCoT(question, analysis, areas, formation, answer, 1.0, (evidence,))
    formed = replace(analysis, operation="reasoning")
    return LayoutCoT(question, formed, (), AnswerFormation("none", ""), answer, 0.5)
