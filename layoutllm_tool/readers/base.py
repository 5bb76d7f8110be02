"""What readers that recognise pages themselves share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.ocr import check_languages, recognise_page
from layoutllm_tool.protocols import OCREngine, Streaming
from layoutllm_tool.readers.caching import PageCache
from layoutllm_tool.readers.query import Query

if TYPE_CHECKING:
    from layoutllm_tool.protocols import Source


class ReaderBase(Streaming):
    """Recognises each page once."""

    def __init__(self, languages: Sequence[str], engine: OCREngine | None) -> None:
        self.languages, self.engine = tuple(languages), engine
        self._pages = PageCache(
            lambda _, page: recognise_page(page, engine=self.engine, languages=self.languages)
        )

    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        """The document with its words. Does not restrict paths: open untrusted documents with
        ``load_document(..., access=...)`` first, as the tool does.

        ``words`` are pages whose text is known. They replace text recognition, page by page, by number.
        OCRLanguageMissing also where no page has to be recognised.
        """
        check_languages(self.languages, self.engine)
        return self._pages.load(source, words=words)

    def _recognised(self, query: Query) -> list[Page]:
        return [self._pages.recognised(query.document.sha256, page) for page in query.pages()]
