"""Bytes of a PDF or a picture -> its number of pages, then the pages asked for, within the document's budget.

Recognises the type by content. Runs in the parser's child process only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.images import is_picture, picture_pages
from layoutllm_tool.documents.pdf import pdf_pages
from layoutllm_tool.documents.safety import Limits
from layoutllm_tool.errors import DocumentTooLarge, DocumentUnreadable, PageOutOfRange

WORD_BYTES, PAGE_BYTES = 300, 1000
"""Memory of a word and of a page, about, beside the picture."""
CHOOSE = "Choose the pages with pages=, for instance pages=[1, 2]."


@dataclass(frozen=True, slots=True)
class ParseRequest:
    """``pages`` are 1-based; None for all."""

    name: str
    pages: tuple[int, ...] | None
    limits: Limits
    password: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ParseRequest:
        pages = None if data["pages"] is None else tuple(data["pages"])
        return cls(data["name"], pages, Limits(**data["limits"]), data["password"])


def parse(data: bytes, request: ParseRequest) -> Iterator[int | Page]:
    """The number of pages in the file, then each page asked for, in the order asked, without repetition.

    Raises DocumentEncrypted, DocumentTooLarge, DocumentUnreadable, PageOutOfRange.
    """
    if is_picture(data):
        made = picture_pages(data, request.name, limits=request.limits, wanted=request.pages)
    else:
        made = pdf_pages(
            data, request.name, limits=request.limits, wanted=request.pages, password=request.password
        )
    total = next(made)
    assert isinstance(total, int)
    check_pages(request.name, total, request.pages, request.limits)
    yield total
    budget = Budget(request.name, request.limits)
    for page in made:
        assert isinstance(page, Page)
        budget.take(page)
        yield page


class Budget:
    """Memory and words of a document's pages together. DocumentTooLarge over the limits."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.name, self.limits = name, limits
        self.bytes = self.words = 0

    def take(self, page: Page) -> None:
        self.add(_pixels(page), sum(len(line.words) for line in page.lines or ()))

    def add(self, pixels: int, words: int) -> None:
        """A page of so many bytes of pixels and so many words."""
        self.words += words
        self.bytes += pixels + WORD_BYTES * words + PAGE_BYTES
        if self.bytes > self.limits.max_picture_bytes:
            raise DocumentTooLarge(
                f"the pages of {self.name!r} take more than {self.limits.max_picture_bytes:,} bytes.",
                hint=CHOOSE,
            )
        if self.words > self.limits.max_words:
            raise DocumentTooLarge(
                f"{self.name!r} holds more than {self.limits.max_words:,} words.", hint=CHOOSE
            )


def size_of(page: Page) -> int:
    """Bytes, about: the picture's, and a few hundred a word."""
    return _pixels(page) + WORD_BYTES * len(page.words) + PAGE_BYTES


def _pixels(page: Page) -> int:
    image = page.image
    return image.width * image.height * len(image.getbands()) if image is not None else 0


def check_pages(name: str, total: int, pages: Sequence[int] | None, limits: Limits) -> None:
    """Whether the file has the pages that are asked for, and not too many of them."""
    if total == 0:
        raise DocumentUnreadable(f"{name!r} has no pages.", hint="Get the file again, or save it anew.")
    if pages is not None and not pages:
        raise PageOutOfRange(f"no page of {name!r} was chosen.", hint=f"Pages count from 1 to {total}.")
    if absent := [number for number in pages or () if not 1 <= number <= total]:
        raise PageOutOfRange(f"{name!r} has no page {absent[0]}.", hint=f"Pages count from 1 to {total}.")
    asked = total if pages is None else len(set(pages))
    if asked > limits.max_pages:
        raise DocumentTooLarge(
            f"{name!r} has {total} pages, and {limits.max_pages} can be taken at once.", hint=CHOOSE
        )
