"""Pages of a batch's documents for a browser: pictures as WebP, lines with boxes. The last few are kept."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from cachetools import LRUCache, cachedmethod

from layoutllm_tool.batch.sources import ANYWHERE, Places, asked_pages, open_document
from layoutllm_tool.batch.store import Store
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.errors import DocumentUnreadable, OCRError, StoreMismatch
from layoutllm_tool.protocols import Reader

MOST_PIXELS = 1600
"""A picture's longer side, as it is shown."""


class Pages:
    """Opens documents from the store's names again. Safe for several threads: one document is read at a time.

    A page that is shown is opened alone; a document that is asked about is opened whole.
    """

    def __init__(
        self, store: Store, reader: Callable[[], Reader] | None = None, *, places: Places = ANYWHERE
    ) -> None:
        """``reader()`` gives the reader that recognises text and turns pages that were scanned turned.

        Without it pages that were turned have no picture, and scans have no lines.
        Only documents in ``places`` are opened, whatever the store says.
        """
        self._store, self._reader, self._places = store, reader, places
        self._documents: LRUCache[tuple[str, tuple[int, ...] | None], Document] = LRUCache(4)
        self._scanned: LRUCache[tuple[str, int], Document] = LRUCache(8)
        self._pages: LRUCache[tuple[str, int], Page] = LRUCache(8)
        self._lock = threading.Lock()

    def document(self, key: str, plan: Mapping[str, Any] | None = None) -> Document:
        """The document with its words, and with the pages that its plan looks at, or ``plan``.

        StoreMismatch for an unknown key; DocumentUnreadable for changed content; the reader's errors.
        """
        source = self._store.input_of(key)
        asked = asked_pages(plan or self._store.plan(key), source.page if source else None)
        with self._lock:
            return self._document(key, tuple(asked) if asked else None)

    def picture(self, key: str, number: int, most: int = MOST_PIXELS) -> bytes:
        """WebP, upright as the boxes are: a page that was turned to be read is read again.

        Raises what ``document`` raises; PageOutOfRange; DocumentUnreadable for a page without a picture;
        OCRError where nobody can turn it.
        """
        with self._lock:
            image = self._upright(key, number).image
        if image is None:
            raise DocumentUnreadable(
                "this page has no picture.", hint="Its lines can be picked all the same."
            )
        shown = image.convert("RGB")
        shown.thumbnail((most, most))
        out = io.BytesIO()
        shown.save(out, "WEBP", quality=80)
        return out.getvalue()

    def lines(self, key: str, number: int) -> dict[str, Any]:
        """The page's size and its lines with their boxes (0-1000)."""
        with self._lock:
            page = self._page(key, number)
        lines = [{"text": line.text, "box": line.box.as_list()} for line in page.lines or ()]
        return {"page": number, "width": page.width, "height": page.height, "lines": lines}

    def _upright(self, key: str, number: int) -> Page:
        done = self._store.document(key)
        rotated = done.rotated_pages if done else None
        if rotated is None or number in rotated:
            return self._page(key, number)
        return self._as_scanned(key, number).pages[0]

    @cachedmethod(attrgetter("_documents"))
    def _document(self, key: str, asked: tuple[int, ...] | None) -> Document:
        return self._recognised(self._open(key, asked))

    @cachedmethod(attrgetter("_pages"))
    def _page(self, key: str, number: int) -> Page:
        return self._recognised(self._as_scanned(key, number)).pages[0]

    @cachedmethod(attrgetter("_scanned"))
    def _as_scanned(self, key: str, number: int) -> Document:
        return self._open(key, [number])

    def _recognised(self, document: Document) -> Document:
        if all(page.lines is not None for page in document.pages):
            return document
        if self._reader is None:
            raise OCRError(f"nothing here reads {document.name!r}.", hint="Give a reader.")
        return self._reader().load(document)

    def _open(self, key: str, pages: Sequence[int] | None) -> Document:
        source, done = self._store.input_of(key), self._store.document(key)
        if source is None or done is None:
            raise StoreMismatch("there is no such document.", hint="Load the page again.")
        document = open_document(source.name, pages=pages, places=self._places)
        if done.sha256 and document.sha256 != done.sha256:
            raise DocumentUnreadable(
                f"{document.name!r} is another document now than when it was read.",
                hint="Run the batch on it again.",
            )
        return document
