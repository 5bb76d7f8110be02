"""Caches of readers: opened files (``DocumentCache``), recognised pages (``PageCache``), anything
(``LRUCache``).

Files are cached, and documents given as content, which ``hand_in`` keeps once for the process, by their hash.
URLs are opened each time.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import cachetools

from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.documents.safety import Access, Limits
from layoutllm_tool.errors import DocumentError, DocumentNotFound, DocumentUnreadable
from layoutllm_tool.readers.forking import ForkSafe

if TYPE_CHECKING:
    from layoutllm_tool.protocols import Source

MOST_CONTENT = 512 * 2**20
"""Bytes of documents given as content that are kept, least recently used first out."""
_HANDED_IN = re.compile(r"sha256:[0-9a-f]{64}")
_K = TypeVar("_K")
_V = TypeVar("_V")


class LRUCache(ForkSafe, Generic[_K, _V]):
    """The last values, up to ``size`` of them, or of what ``weigh`` says of each. Safe for concurrent use.

    Empty in a forked process, copied or pickled.
    """

    def __init__(self, size: int, weigh: Callable[[_V], int] | None = None) -> None:
        super().__init__()
        self.size, self.weigh = size, weigh
        self.after_fork()

    def __reduce__(self) -> tuple[type[LRUCache[_K, _V]], tuple[int, Callable[[_V], int] | None]]:
        return LRUCache, (self.size, self.weigh)

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._kept: cachetools.LRUCache[_K, _V] = cachetools.LRUCache(self.size, self.weigh)

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


_CONTENTS: LRUCache[str, bytes] = LRUCache(MOST_CONTENT, len)


def hand_in(source: Any, limits: Limits | None = None) -> str:
    """The name by which a ``DocumentCache`` of this process opens the source: content (bytes, a data: URL,
    base64, a LangChain content block) is kept and called by its hash, a path or URL stays as it is.

    DocumentTooLarge, DocumentUnreadable: also for what is no document at all.
    """
    from layoutllm_tool.documents.content import content_of, unwrapped

    source = unwrapped(source)
    data = content_of(source, limits or Limits())
    if data is not None:
        name = f"sha256:{hashlib.sha256(data).hexdigest()}"
        _CONTENTS.put(name, data)
        return name
    if not isinstance(source, str | os.PathLike):
        raise DocumentUnreadable(
            f"a {type(source).__name__} is no document here.",
            hint="Give a path, bytes, base64 or a content block; a Document by name, with documents=.",
        )
    return os.fspath(source)


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
        self._files: LRUCache[tuple[Any, ...], _Opened] = LRUCache(size)

    def __reduce__(self) -> tuple[type[DocumentCache], tuple[int]]:
        return DocumentCache, (self.size,)

    def open(
        self,
        source: str,
        *,
        access: Access,
        pages: tuple[int, ...] | None = None,
        password: str | None = None,
    ) -> Document:
        """The document, or those pages of it alone (1-based). Checks the access each time. Raises
        DocumentError.

        Opens a file once: its version and its bytes are of the same descriptor.
        """
        from layoutllm_tool.documents.loading import load_document

        if _HANDED_IN.fullmatch(source):
            return self._content(source, pages, password)
        with ExitStack() as stack:
            try:
                opened = stack.enter_context(access.open(source))
            except (
                DocumentError
            ):  # no allowed file: load_document finds out what else it is, or what is wrong
                return load_document(source, pages=pages, access=access, password=password)
            return self._parsed(opened.version, opened.name, opened.read, pages, password)

    def _content(self, name: str, pages: tuple[int, ...] | None, password: str | None) -> Document:
        data = _CONTENTS.get(name)
        if data is None:
            raise DocumentNotFound(f"the content {name} is not kept, or no more.", hint="Hand it in again.")
        return self._parsed((name,), "document", lambda _: data, pages, password)

    def _parsed(
        self,
        version: tuple[Any, ...],
        name: str,
        read: Callable[[Limits], bytes],
        pages: tuple[int, ...] | None,
        password: str | None,
    ) -> Document:
        from layoutllm_tool.documents.loading import parsed_document

        kept, limits = self._files.setdefault((*version, pages, password), _Opened()), Limits()
        with kept.lock:
            if kept.document is None:
                kept.document = parsed_document(
                    name, read(limits), pages=pages, limits=limits, password=password
                )
            return replace(kept.document, name=name)  # one file may have several names


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
