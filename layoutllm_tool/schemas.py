"""What a service and its clients send each other: attempts, pages and errors, with bounds.

Boxes are 0-1000, pages 1-based. Requests are in ``service.schemas``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from layoutllm_tool import errors
from layoutllm_tool.cot import Kind, LayoutCoT, Operation, Relation
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.errors import LayoutLLMError, ServiceError
from layoutllm_tool.readers.query import LONGEST_QUESTION

PAGES_TYPE = "application/vnd.layoutllm.pages+json"
"""Content type of ``Pages``; any other body is a file."""
Number = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
BoxList = Annotated[list[Number], Field(min_length=4, max_length=4)]
LineNumber = Annotated[int, Field(ge=0, le=100_000)]
PageNumber = Annotated[int, Field(ge=1, le=1_000_000)]
Text = Annotated[str, Field(max_length=4000)]


_WORTH_ANOTHER_TRY = (408, 425, 429, 500, 502, 503, 504)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Loose(BaseModel):
    """What the package wrote and gets back. Fields that follow from others are ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class AnalysisIn(Loose):
    kind: Kind
    operation: Operation
    key: Text


class AreaIn(Loose):
    page: PageNumber
    box: BoxList
    lines: list[LineNumber] = Field(max_length=5000)


class FormationIn(Loose):
    relation: Relation
    key: Text


class EvidenceIn(Loose):
    page: PageNumber
    box: BoxList
    text: Annotated[str, Field(max_length=100_000)]
    words: list[Annotated[list[LineNumber], Field(min_length=2, max_length=2)]] = Field(max_length=20_000)


class CoTIn(Loose):
    """A LayoutCoT as ``to_json`` writes it."""

    question: Annotated[str, Field(max_length=LONGEST_QUESTION)]
    analysis: AnalysisIn
    areas: list[AreaIn] = Field(max_length=1000)
    formation: FormationIn
    answer: Annotated[str, Field(max_length=100_000)] | None
    confidence: Annotated[float, Field(ge=0, le=1)]
    evidence: list[EvidenceIn] = Field(default_factory=list, max_length=1000)
    signals: dict[str, float] = Field(default_factory=dict, max_length=200)

    def attempt(self) -> LayoutCoT:
        """ValueError where a box ends before it begins."""
        return LayoutCoT.from_json(self.model_dump())


class WordIn(TypedDict):
    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)  # type: ignore[misc]

    text: Annotated[str, Field(max_length=1000)]
    box: BoxList
    confidence: NotRequired[Annotated[float, Field(ge=0, le=1)] | None]


_LINE = TypeAdapter(Annotated[list[WordIn], Field(min_length=1, max_length=2000)])
"""Validated line by line: a whole body in one call would hold the interpreter for half a second."""


class NoticeIn(Strict):
    """See ``Notice``."""

    code: Annotated[str, Field(max_length=100)]
    text: Text


class OriginalIn(Strict):
    """See ``Original``."""

    width: Annotated[int, Field(ge=1, le=100_000)]
    height: Annotated[int, Field(ge=1, le=100_000)]
    turn: Literal[0, 90, 180, 270] = 0
    skew: Annotated[float, Field(ge=-45, le=45)] = 0.0


class PageIn(Strict):
    """A page as ``Page.to_json`` writes it, with its picture as base64 PNG. ``lines`` hold ``WordIn``."""

    number: PageNumber
    width: Annotated[int, Field(ge=1, le=100_000)]
    height: Annotated[int, Field(ge=1, le=100_000)]
    text_source: Annotated[str, Field(max_length=100)] = ""
    notices: list[NoticeIn] = Field(default_factory=list, max_length=20)
    original: OriginalIn | None = None
    lines: Annotated[list[list[Any]], Field(max_length=5000)] | None = None
    image: str | None = None

    def page(self) -> Page:
        """The page without its picture. ValueError for bad words and for boxes that end before they begin."""
        lines = None if self.lines is None else list(map(_LINE.validate_python, self.lines))
        return Page.from_json(self.model_dump(exclude={"lines", "image"}) | {"lines": lines})


class FieldOut(BaseModel):
    """One value of a record: what is printed, where, how sure, and what speaks against it."""

    value: Any = Field(description="As in the record.")
    text: str | None = Field(description="As printed; null: the document does not say.")
    page: int | None = Field(description="Counting from 1.")
    box: BoxList | None = Field(description="Around the text: [x0, y0, x1, y1], 0-1000 from the top left.")
    confidence: Annotated[float, Field(ge=0, le=1)]
    verdict: str = Field(description="'satisfied'; anything else is doubtful.")
    problem: str = Field(description="Why a value is null though it should not be; '' for no reason.")
    reasons: list[str]
    by: str = Field(description="Who decided: 'reader' or 'person'.")


class RecordOut(BaseModel):
    """A record that fits its schema where no field is doubtful."""

    record: dict[str, Any] = Field(description="As the schema has it; null: missing or not understood.")
    fields: dict[str, FieldOut] = Field(description="By JSON pointer, such as /items/0/amount.")
    notes: list[str] = Field(description="What was not planned as the schema says.")
    notices: list[dict[str, Any]] = Field(description="How pages were read: page, code, text.")
    pages: list[dict[str, Any]] = Field(
        description="Of each page as its file has it: page, page_size, and transform of boxes to it."
    )


# -- errors ------------------------------------------------------------------------------------------------


def final_error(message: str, hint: str = "") -> ServiceError:
    """A refusal that the same request meets again."""
    error = ServiceError(message, hint=hint)
    error.retryable = False
    return error


def error_to_json(error: LayoutLLMError) -> dict[str, Any]:
    """``error_from_json`` makes the same class of it again. ``missing``: ids of documents not kept."""
    kinds = (kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    data = {
        "kind": next(kinds),
        "message": error.message,
        "hint": error.hint,
        "caller_can_fix": error.caller_can_fix,
        "retryable": error.retryable,
    }
    missing = getattr(error, "missing", None)
    return data | {"missing": missing} if missing else data


def error_from_json(data: Any, status: int = 500) -> LayoutLLMError:
    """The error as the class that it was, else a ServiceError. The data is not trusted."""
    if not isinstance(data, dict) or not isinstance(data.get("message"), str):
        unknown = ServiceError(f"the service answered with status {status}.", hint="Is it layoutllm's?")
        unknown.retryable = status in _WORTH_ANOTHER_TRY
        return unknown
    kind = getattr(errors, str(data.get("kind")), None)
    known = isinstance(kind, type) and issubclass(kind, LayoutLLMError)
    made: type[LayoutLLMError] = kind if known else ServiceError  # type: ignore[assignment]
    error = made(_printable(data["message"], 2000), hint=_printable(str(data.get("hint") or ""), 1000))
    error.caller_can_fix, error.retryable = data.get("caller_can_fix") is True, data.get("retryable") is True
    missing = data.get("missing")
    ids = [one for one in missing if isinstance(one, str)] if isinstance(missing, list) else []
    error.missing = ids  # type: ignore[attr-defined]
    return error


def _printable(text: str, most: int) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:most])
