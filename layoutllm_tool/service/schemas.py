"""What callers send to the service: questions and uploads, read strictly and within bounds.

Boxes are 0-1000, pages 1-based. A document is a file's bytes, or ``Pages`` with pictures and words.
Paths and URLs are not taken: nothing here opens a place that a caller names.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from layoutllm_tool.cot import Correction, ExpectedType, Kind, LayoutCoT, StepName
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.documents.loading import load_document
from layoutllm_tool.documents.parsing import Budget
from layoutllm_tool.documents.safety import Access, Limits
from layoutllm_tool.errors import CorrectionError, DocumentTooLarge, DocumentUnreadable, PageOutOfRange
from layoutllm_tool.schemas import BoxList, CoTIn, PageIn, PageNumber, Strict, Text
from layoutllm_tool.strict_json import BodyUnreadable, faults, read_json

Identity = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
MOST_PAGES = 50
MOST_WORDS = 100_000
"""Words of all pages of a body; a full page of a newspaper has about 5,000."""
_VALUES_PER_WORD = 10
"""Of JSON: text, box, confidence and what holds them."""
_NOWHERE = Access(roots=())


class CorrectionIn(Strict):
    """See ``Correction``."""

    step: StepName
    text: Text = ""
    kind: Kind | None = None
    page: PageNumber | None = None
    boxes: list[BoxList] = Field(default_factory=list, max_length=200)
    avoid: list[BoxList] = Field(default_factory=list, max_length=200)
    spatial: Annotated[str, Field(max_length=200)] = ""
    expected_type: ExpectedType | None = None
    wrong: list[Text] = Field(default_factory=list, max_length=200)


class OfDocument(Strict):
    """``document`` is an upload's id, or several whose pages then count as one document.

    ``data`` is a file in base64 in its place.
    """

    document: Identity | list[Identity] | None = None
    data: str | None = None
    page: PageNumber | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (len(self.ids) > 0) == (self.data is not None) or len(self.ids) > MOST_PAGES:
            raise ValueError("it names no document, two at once, or too many")
        return self

    @property
    def ids(self) -> list[str]:
        return [self.document] if isinstance(self.document, str) else self.document or []


class ExtractIn(OfDocument):
    """The record that is wanted of a document, as a JSON Schema. For the document see ``OfDocument``."""

    json_schema: dict[str, Any]


class AskIn(OfDocument):
    """A question about a document. For the document see ``OfDocument``."""

    question: str
    correction: CorrectionIn | None = None
    previous: CoTIn | None = None

    def corrected(self) -> Correction | None:
        """CorrectionError where it contradicts itself."""
        return Correction.from_json(self.correction.model_dump()) if self.correction else None

    def attempt(self) -> LayoutCoT | None:
        """The previous attempt. CorrectionError where it is none."""
        try:
            return self.previous.attempt() if self.previous else None
        except ValueError as error:  # a box that ends before it begins
            raise CorrectionError(f"previous is no attempt: {error}.", hint="Send it as it came.") from error


class Pages(Strict):
    """Pages with different numbers."""

    pages: list[PageIn] = Field(min_length=1, max_length=MOST_PAGES)


def decoded(text: str, limits: Limits) -> bytes:
    """Base64. DocumentUnreadable, DocumentTooLarge."""
    if len(text) > limits.max_bytes * 4 // 3 + 4:
        raise DocumentTooLarge(f"data holds more than {limits.max_bytes:,} bytes.", hint="Send fewer pages.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        hint = "Encode the file's bytes in the standard alphabet."
        raise DocumentUnreadable("data is no base64.", hint=hint) from error


def opened(body: bytes, kind: Literal["file", "pages"], limits: Limits) -> Document:
    """The document of an upload, not yet read; its hash is the body's. Raises DocumentError."""
    document = (
        _from_pages(body, limits) if kind == "pages" else load_document(body, limits=limits, access=_NOWHERE)
    )
    return replace(document, name="document", sha256=hashlib.sha256(body).hexdigest())


def _from_pages(body: bytes, limits: Limits) -> Document:
    try:
        given = read_json(Pages, body, _VALUES_PER_WORD * MOST_WORDS).pages
    except BodyUnreadable as error:
        kind = DocumentTooLarge if error.status == 413 else DocumentUnreadable
        raise kind(f"the pages can't be read: {error.message}", hint='Send {"pages": [...]}.') from error
    if sum(len(line) for one in given for line in one.lines or ()) > MOST_WORDS:
        raise DocumentTooLarge(
            f"the pages hold more than {MOST_WORDS:,} words.", hint="Send fewer pages at once."
        )
    pages: list[Page] = []
    budget = Budget("document", limits)
    for one in given:
        pages.append(_page(one, limits))
        budget.take(pages[-1])
    if len({page.number for page in pages}) != len(pages):
        raise DocumentUnreadable("two pages have the same number.", hint="Number them from 1.")
    return Document("document", "", tuple(pages))


def _page(given: PageIn, limits: Limits) -> Page:
    try:
        page = given.page()
    except ValueError as error:  # not words, or a box that ends before it begins
        why = faults(error) if isinstance(error, ValidationError) else f"{error}."
        hint = "Send lines of words with boxes, [x0, y0, x1, y1]."
        raise DocumentUnreadable(f"page {given.number} can't be read: {why}", hint=hint) from error
    if given.image is None:
        if page.lines is None:
            raise DocumentUnreadable(
                f"page {page.number} has neither words nor a picture.", hint="Send one of them."
            )
        return page
    one_page = replace(limits, max_pages=1)
    picture = load_document(decoded(given.image, limits), limits=one_page, access=_NOWHERE).pages[0]
    if (picture.width, picture.height) != (page.width, page.height):
        raise DocumentUnreadable(
            f"page {page.number} is not as large as its picture.", hint="Give its size in pixels."
        )
    return replace(page, image=picture.image)


def joined(documents: list[Document]) -> Document:
    """Several uploads as one document. PageOutOfRange where two of them hold a page of the same number."""
    if len(documents) == 1:
        return documents[0]
    pages = sorted((page for document in documents for page in document.pages), key=lambda page: page.number)
    if len({page.number for page in pages}) != len(pages):
        raise PageOutOfRange(
            "two of the documents hold a page of the same number.", hint="Ask them one by one."
        )
    names = hashlib.sha256("".join(document.sha256 for document in documents).encode()).hexdigest()
    return Document("document", names, tuple(pages))
