"""The last few documents that were opened, so that ten questions about a file open it once. Standard library only.

Only files are kept: what a URL or a data: URL names is opened anew each time. What was *read* from the pages is the
reader's to keep.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.safety import Access
from layoutllm_tool.errors import DocumentError

_Key = tuple[str, int, int, int | None]


@dataclass(slots=True)
class _Place:
    lock: threading.Lock = field(default_factory=threading.Lock)
    document: Document | None = None


class Shelf:
    """Opens documents through ``load_document`` and keeps the last ``size`` files until they change on disk.

    Safe for concurrent use: callers who want the same file wait for one of them to open it. Copies and pickles are empty.
    """

    def __init__(self, size: int = 4) -> None:
        self.size = size
        self._lock = threading.Lock()
        self._places: OrderedDict[_Key, _Place] = OrderedDict()

    def __reduce__(self) -> tuple[type[Shelf], tuple[int]]:
        return Shelf, (self.size,)

    def open(self, source: str, *, access: Access, page: int | None = None) -> Document:
        """The document, or that page of it (1-based) alone. The access is checked each time. Raises DocumentError."""
        from layoutllm_tool.documents import load_document

        pages = None if page is None else [page]
        place = self._place(_key(source, access, page))
        with place.lock:
            if place.document is None:
                place.document = load_document(source, pages=pages, access=access)
            return place.document

    def _place(self, key: _Key | None) -> _Place:
        if key is None:
            return _Place()
        with self._lock:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
            while len(self._places) > self.size:
                self._places.popitem(last=False)
            return place


def _key(source: str, access: Access, page: int | None) -> _Key | None:
    """None where no allowed file is meant; ``load_document`` then finds out what is, and raises what must be raised."""
    try:
        real = access.find(source)
        found = real.stat()
    except (DocumentError, OSError):
        return None
    return str(real), found.st_mtime_ns, found.st_size, page
