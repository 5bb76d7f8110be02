"""What travels between callers and the service: requests are read strictly and within bounds, before anything is done with them.

Boxes are 0-1000, pages 1-based. A document arrives as a file's bytes, or as pages with pictures and words (``Pages``): what a client
has that opened the file itself. No paths and no URLs: nothing here opens a place that a caller names. The client's side is
``layoutllm_tool.remote``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from layoutllm_tool.cot import Correction, ExpectedType, Kind, LayoutCoT, Operation, Relation, StepName
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.documents.loading import load_document
from layoutllm_tool.documents.parsing import Budget
from layoutllm_tool.documents.safety import Access, Limits
from layoutllm_tool.errors import (
    CorrectionError,
    DocumentNotAllowed,
    DocumentNotFound,
    DocumentTooLarge,
    DocumentUnreadable,
    LayoutLLMError,
    PageOutOfRange,
)
from layoutllm_tool.reading import LONGEST_QUESTION

PAGES_TYPE = "application/vnd.layoutllm.pages+json"
"""Content type of ``Pages``; any other body is a file."""
MOST_PAGES = 50
_NOWHERE = Access(roots=())

Number = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
BoxList = Annotated[list[Number], Field(min_length=4, max_length=4)]
Line = Annotated[int, Field(ge=0, le=100_000)]
PageNumber = Annotated[int, Field(ge=1, le=1_000_000)]
Text = Annotated[str, Field(max_length=4000)]
Identity = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Loose(BaseModel):
    """What we wrote ourselves and get back: fields that follow from others are left aside."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class CorrectionIn(_Strict):
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


class AnalysisIn(_Loose):
    kind: Kind
    operation: Operation
    key: Text


class AreaIn(_Loose):
    page: PageNumber
    box: BoxList
    lines: list[Line] = Field(max_length=5000)


class FormationIn(_Loose):
    relation: Relation
    key: Text


class EvidenceIn(_Loose):
    page: PageNumber
    box: BoxList
    text: Annotated[str, Field(max_length=100_000)]
    words: list[Annotated[list[Line], Field(min_length=2, max_length=2)]] = Field(max_length=20_000)


class CoTIn(_Loose):
    """A LayoutCoT as ``to_json`` writes it."""

    question: Annotated[str, Field(max_length=LONGEST_QUESTION)]
    analysis: AnalysisIn
    areas: list[AreaIn] = Field(max_length=1000)
    formation: FormationIn
    answer: Annotated[str, Field(max_length=100_000)] | None
    confidence: Annotated[float, Field(ge=0, le=1)]
    evidence: list[EvidenceIn] = Field(default_factory=list, max_length=1000)
    signals: dict[str, float] = Field(default_factory=dict, max_length=200)


class AskIn(_Strict):
    """A question. ``document`` is what an upload was given as its id, or several of them, whose pages then count as one document;
    ``data`` is a file in base64 in its place."""

    document: Identity | list[Identity] | None = None
    data: str | None = None
    question: str
    page: PageNumber | None = None
    correction: CorrectionIn | None = None
    previous: CoTIn | None = None

    @model_validator(mode="after")
    def _one_source(self) -> AskIn:
        if (len(self.ids) > 0) == (self.data is not None) or len(self.ids) > MOST_PAGES:
            raise ValueError("it names no document, two at once, or too many")
        return self

    @property
    def ids(self) -> list[str]:
        return [self.document] if isinstance(self.document, str) else self.document or []

    def mend(self) -> Correction | None:
        """CorrectionError where it contradicts itself."""
        return Correction.from_json(self.correction.model_dump()) if self.correction else None

    def before(self) -> LayoutCoT | None:
        """CorrectionError where it is none."""
        try:
            return LayoutCoT.from_json(self.previous.model_dump()) if self.previous else None
        except ValueError as error:  # a box that ends before it begins
            raise CorrectionError(f"previous is no attempt: {error}.", hint="Send it as it came.") from error


class WordIn(_Strict):
    text: Annotated[str, Field(max_length=1000)]
    box: BoxList
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None


class PageIn(_Strict):
    """A page as ``Page.to_json`` writes it, with its picture as base64 PNG."""

    number: PageNumber
    width: Annotated[int, Field(ge=1, le=100_000)]
    height: Annotated[int, Field(ge=1, le=100_000)]
    text_source: Annotated[str, Field(max_length=100)] = ""
    notices: list[Text] = Field(default_factory=list, max_length=20)
    lines: Annotated[list[Annotated[list[WordIn], Field(min_length=1, max_length=2000)]], Field(max_length=5000)] | None = None  # fmt: skip
    image: str | None = None


class Pages(_Strict):
    """Pages with different numbers."""

    pages: list[PageIn] = Field(min_length=1, max_length=MOST_PAGES)


ASK_HINT = (
    'It looks like {"document": "<id of an upload>", "question": "What is the total?"}; or "data": a file in base64.'
)


def faults(errors: Sequence[Any]) -> str:
    """Pydantic's first few in one line, without the values: they may be long, and are not ours to repeat."""
    found = [f"{'.'.join(map(str, one['loc'][:6])) or 'body'}: {one['msg']}" for one in errors[:3]]
    return f"{'; '.join(found)}."[:500]


def decoded(text: str, limits: Limits) -> bytes:
    """Base64. DocumentUnreadable, DocumentTooLarge."""
    if len(text) > limits.max_bytes * 4 // 3 + 4:
        raise DocumentTooLarge(f"data holds more than {limits.max_bytes:,} bytes.", hint="Send fewer pages.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DocumentUnreadable("data is no base64.", hint="Encode the file's bytes in the standard alphabet.") from error  # fmt: skip


def opened(body: bytes, kind: Literal["file", "pages"], limits: Limits) -> Document:
    """The document of an upload, not yet read; its hash is the body's. Raises DocumentError."""
    document = _from_pages(body, limits) if kind == "pages" else load_document(body, limits=limits, access=_NOWHERE)
    return replace(document, name="document", sha256=hashlib.sha256(body).hexdigest())


def _from_pages(body: bytes, limits: Limits) -> Document:
    try:
        given = Pages.model_validate_json(body).pages
    except ValidationError as error:
        raise DocumentUnreadable(f"the pages can't be read: {faults(error.errors(include_url=False, include_input=False, include_context=False))}", hint="Send {\"pages\": [...]}.") from error  # fmt: skip
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
        page = Page.from_json(given.model_dump(exclude={"image"}))
    except ValueError as error:  # a box that ends before it begins
        raise DocumentUnreadable(f"page {given.number} can't be read: {error}.", hint="Boxes are [x0, y0, x1, y1].") from error  # fmt: skip
    if given.image is None:
        if page.lines is None:
            raise DocumentUnreadable(f"page {page.number} has neither words nor a picture.", hint="Send one of them.")
        return page
    picture = load_document(decoded(given.image, limits), limits=replace(limits, max_pages=1), access=_NOWHERE).pages[0]
    if (picture.width, picture.height) != (page.width, page.height):
        raise DocumentUnreadable(f"page {page.number} is not as large as its picture.", hint="Give its size in pixels.")
    return replace(page, image=picture.image)


def joined(documents: list[Document]) -> Document:
    """Several uploads as one document. PageOutOfRange where two of them hold a page of the same number."""
    if len(documents) == 1:
        return documents[0]
    pages = sorted((page for document in documents for page in document.pages), key=lambda page: page.number)
    if len({page.number for page in pages}) != len(pages):
        raise PageOutOfRange("two of the documents hold a page of the same number.", hint="Ask them one by one.")
    names = hashlib.sha256("".join(document.sha256 for document in documents).encode()).hexdigest()
    return Document("document", names, tuple(pages))


def answered(cot: LayoutCoT, ids: list[str], document: Document) -> dict[str, Any]:
    """A whole answer."""
    return {"cot": cot.to_json(), "document": {"id": ids[0] if len(ids) == 1 else ids, "pages": len(document.pages)}}


def status_of(error: LayoutLLMError) -> int:
    """The HTTP status that says the same."""
    for kind, status in ((DocumentNotFound, 404), (DocumentTooLarge, 413), (DocumentNotAllowed, 403)):
        if isinstance(error, kind):
            return status
    return 422 if error.mendable else 503 if error.retryable else 500
