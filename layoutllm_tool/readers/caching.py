"""What was opened and read, kept for a while: ``Shelf`` the last few files, ``Library`` the words of the last pages. Standard
library only.

Of what is opened only files are kept: what a URL or a data: URL names is opened anew each time. How a page is read is *not* here: a
reader says it.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakSet

from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.documents.safety import Access, Limits
from layoutllm_tool.errors import DocumentError

if TYPE_CHECKING:
    from layoutllm_tool.protocols import Source

_K = TypeVar("_K")
_V = TypeVar("_V")

_Key = tuple[int, int, int, int, int | None]
"""A file's version and a page of it."""


@dataclass(slots=True)
class _Place:
    lock: threading.Lock = field(default_factory=threading.Lock)
    document: Document | None = None


class _Locked:
    """Has a lock, and begins anew in a forked process, where the lock may be held by a thread that is not there."""

    def __init__(self) -> None:
        self._begin()
        _ALL.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()


_ALL: WeakSet[_Locked] = WeakSet()


def _after_fork() -> None:
    for one in list(_ALL):
        one._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Shelf(_Locked):
    """Opens documents through ``load_document`` and keeps the last ``size`` files until they change on disk.

    Safe for concurrent use: callers who want the same file wait for one of them to open it. Copies and pickles are empty.
    """

    def __init__(self, size: int = 4) -> None:
        self.size = size
        super().__init__()

    def _begin(self) -> None:
        super()._begin()
        self._places: OrderedDict[_Key, _Place] = OrderedDict()

    def __reduce__(self) -> tuple[type[Shelf], tuple[int]]:
        return Shelf, (self.size,)

    def open(self, source: str, *, access: Access, page: int | None = None) -> Document:
        """The document, or that page of it (1-based) alone. The access is checked each time. Raises DocumentError.

        A file is opened once: what it is known by, and what is read, are of the same descriptor.
        """
        from layoutllm_tool.documents.loading import load_document, parsed_document

        pages = None if page is None else [page]
        with ExitStack() as stack:
            try:
                opened = stack.enter_context(access.open(source))
            except DocumentError:  # no allowed file: what else it may be, or what is wrong, is found out there
                return load_document(source, pages=pages, access=access)
            place, limits = self._place((*opened.version, page)), Limits()
            with place.lock:
                if place.document is None:
                    place.document = parsed_document(opened.name, opened.read(limits), pages=pages, limits=limits)
                return replace(place.document, name=opened.name)  # one file may have several names

    def _place(self, key: _Key) -> _Place:
        with self._lock:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
            while len(self._places) > self.size:
                self._places.popitem(last=False)
            return place


class Recent(_Locked, Generic[_K, _V]):
    """The last ``size`` things by what they are known as. Safe for concurrent use."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__()

    def _begin(self) -> None:
        super()._begin()
        self._kept: OrderedDict[_K, _V] = OrderedDict()

    def get(self, key: _K) -> _V | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: _K, value: _V) -> None:
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            while len(self._kept) > self.size:
                self._kept.popitem(last=False)

    def pop(self, key: _K) -> None:
        with self._lock:
            self._kept.pop(key, None)


class Library:
    """Documents with their words, for a reader: opened wherever they lie, each page read once by ``recognise``, the last ones kept."""

    def __init__(self, recognise: Callable[[str, Page], Page], *, size: int = 64) -> None:
        """``recognise`` gets the document's hash and a page without lines, and gives it back with them."""
        self._recognise = recognise
        self._shelf = Shelf()
        self._pages: Recent[tuple[str, int], Page] = Recent(size)

    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        """See ``Reader.load``: ``words`` replace recognition, page by page, by number. Raises DocumentError and what ``recognise`` does."""
        from layoutllm_tool.documents import load_document

        if isinstance(source, str | Path):
            document = self._shelf.open(str(source), access=Access.anywhere())
        else:
            document = load_document(source, access=Access.anywhere())
        given = {page.number: page for page in words or ()}
        pages = []
        for page in document.pages:
            if page.number in given:
                known = given[page.number]
                pages.append(replace(known, image=known.image or page.image, width=page.width, height=page.height))
            else:
                pages.append(self.recognised(document.sha256, page))
        return replace(document, pages=tuple(pages))

    def recognised(self, sha256: str, page: Page) -> Page:
        """The page as it is where it has lines, else as it was or is read."""
        if page.lines is not None:
            return page
        found = self._pages.get((sha256, page.number))
        if found is None:
            found = self._recognise(sha256, page)
            self._pages.put((sha256, page.number), found)
        return found
