"""Caches of readers: opened files (``DocumentCache``), recognised pages (``PageCache``), anything
(``LRUCache``).

Only files are cached: URLs and data: URLs are opened each time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import cachetools

from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.documents.safety import Access, Limits
from layoutllm_tool.errors import DocumentError
from layoutllm_tool.readers.forking import ForkSafe

if TYPE_CHECKING:
    from layoutllm_tool.protocols import Source

_K = TypeVar("_K")
_V = TypeVar("_V")


class LRUCache(ForkSafe, Generic[_K, _V]):
    """The last ``size`` values. Safe for concurrent use. Empty in a forked process, copied or pickled."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.after_fork()

    def __reduce__(self) -> tuple[type[LRUCache[_K, _V]], tuple[int]]:
        return LRUCache, (self.size,)

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._kept: cachetools.LRUCache[_K, _V] = cachetools.LRUCache(self.size)

    def get(self, key: _K) -> _V | None:
        with self._lock:
            return self._kept.get(key)

    def put(self, key: _K, value: _V) -> None:
        with self._lock:
            self._kept[key] = value

    def setdefault(self, key: _K, value: _V) -> _V:
        with self._lock:
            return self._kept.setdefault(key, value)

    def pop(self, key: _K) -> None:
        with self._lock:
            self._kept.pop(key, None)


@dataclass(slots=True)
class _Opened:
    lock: threading.Lock = field(default_factory=threading.Lock)
    document: Document | None = None


class DocumentCache:
    """Opens documents through ``load_document`` and keeps the last ``size`` files until they change on disk.

    Safe for concurrent use: callers of the same file wait for one of them to open it. Copies and pickles are
    empty.
    """

    def __init__(self, size: int = 4) -> None:
        self.size = size
        self._files: LRUCache[tuple[int, int, int, int, int | None], _Opened] = LRUCache(size)

    def __reduce__(self) -> tuple[type[DocumentCache], tuple[int]]:
        return DocumentCache, (self.size,)

    def open(self, source: str, *, access: Access, page: int | None = None) -> Document:
        """The document, or that page of it alone (1-based). Checks the access each time. Raises
        DocumentError.

        Opens a file once: its version and its bytes are of the same descriptor.
        """
        from layoutllm_tool.documents.loading import load_document, parsed_document

        pages = None if page is None else [page]
        with ExitStack() as stack:
            try:
                opened = stack.enter_context(access.open(source))
            except (
                DocumentError
            ):  # no allowed file: load_document finds out what else it is, or what is wrong
                return load_document(source, pages=pages, access=access)
            kept, limits = self._files.setdefault((*opened.version, page), _Opened()), Limits()
            with kept.lock:
                if kept.document is None:
                    kept.document = parsed_document(
                        opened.name, opened.read(limits), pages=pages, limits=limits
                    )
                return replace(kept.document, name=opened.name)  # one file may have several names


class PageCache:
    """Documents with their words. Reads each page once with ``recognise`` and keeps the last ones."""

    def __init__(self, recognise: Callable[[str, Page], Page], *, size: int = 64) -> None:
        """``recognise`` takes the document's hash and a page without lines. It returns the page with
        lines.
        """
        self._recognise = recognise
        self._documents = DocumentCache()
        self._pages: LRUCache[tuple[str, int], Page] = LRUCache(size)

    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        """See ``Reader.load``. ``words`` replace recognition, page by page, by number.

        Raises DocumentError and what ``recognise`` raises.
        """
        from layoutllm_tool.documents import load_document

        if isinstance(source, str | Path):
            document = self._documents.open(str(source), access=Access.anywhere())
        else:
            document = load_document(source, access=Access.anywhere())
        given = {page.number: page for page in words or ()}
        pages = []
        for page in document.pages:
            if page.number in given:
                known = given[page.number]
                pages.append(
                    replace(known, image=known.image or page.image, width=page.width, height=page.height)
                )
            else:
                pages.append(self.recognised(document.sha256, page))
        return replace(document, pages=tuple(pages))

    def recognised(self, sha256: str, page: Page) -> Page:
        """The page with lines: its own, those kept, or those read now."""
        if page.lines is not None:
            return page
        found = self._pages.get((sha256, page.number))
        if found is None:
            found = self._recognise(sha256, page)
            self._pages.put((sha256, page.number), found)
        return found
