"""Pages of documents for a browser: pictures as WebP, lines with boxes. Opened from their names again, and kept by the handful."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

from layoutllm_tool.batch.sources import open_document
from layoutllm_tool.batch.store import Store
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import DocumentUnreadable, StoreMismatch
from layoutllm_tool.protocols import Reader
from layoutllm_tool.shelf import Recent

MOST_PIXELS = 1600
"""A picture's longer side, as it is shown."""
_KEPT = 4


class Pages:
    """Safe for several threads: one document is opened at a time."""

    def __init__(self, store: Store, reader: Callable[[], Reader] | None = None) -> None:
        """``reader()`` gives the reader that recognises text, and turns what was scanned the wrong way round: without it, pages are shown
        as they lie in the file."""
        self._store, self._reader = store, reader
        self._kept: Recent[str, Document] = Recent(_KEPT)
        self._lock = threading.Lock()

    def document(self, key: str) -> Document:
        """StoreMismatch for an unknown key; DocumentUnreadable where the content is another by now; what the reader raises."""
        with self._lock:
            document = self._kept.get(key)
            if document is None:
                document = self._opened(key)
                if self._reader is not None and any(page.lines is None for page in document.pages):
                    document = self._reader().load(document)
                self._kept.put(key, document)
            return document

    def _opened(self, key: str) -> Document:
        source, done = self._store.input_of(key), self._store.document(key)
        if source is None or done is None:
            raise StoreMismatch("there is no such document.", hint="Load the page again.")
        document = open_document(source.name)
        if done.sha256 and document.sha256 != done.sha256:
            raise DocumentUnreadable(
                f"{document.name!r} is another document now than when it was read.", hint="Run the batch on it again."
            )
        return document

    def picture(self, key: str, number: int, most: int = MOST_PIXELS) -> bytes:
        """WebP. PageOutOfRange; DocumentUnreadable for a page without a picture."""
        image = self.document(key).page(number).image
        if image is None:
            raise DocumentUnreadable("this page has no picture.", hint="Its lines can be picked all the same.")
        shown = image.convert("RGB")
        shown.thumbnail((most, most))
        out = io.BytesIO()
        shown.save(out, "WEBP", quality=80)
        return out.getvalue()

    def lines(self, key: str, number: int) -> dict[str, Any]:
        """The page's size and its lines with their boxes (0-1000)."""
        page = self.document(key).page(number)
        lines = [{"text": line.text, "box": line.box.as_list()} for line in page.lines or ()]
        return {"page": number, "width": page.width, "height": page.height, "lines": lines}
