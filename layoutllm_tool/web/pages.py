"""Pages of documents for a browser: pictures as WebP, lines with boxes. Opened from their names again, and kept by the handful."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from typing import Any

from layoutllm_tool.batch.store import Store
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.errors import DocumentUnreadable, StoreMismatch

MOST_PIXELS = 1600
"""A picture's longer side, as it is shown."""
_KEPT = 4


class Pages:
    """Safe for several threads: one document is opened at a time."""

    def __init__(self, store: Store, reader: Any) -> None:
        """``reader()`` gives the reader, which recognises text where lines are asked for."""
        self._store, self._reader = store, reader
        self._kept: OrderedDict[str, Document] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, name: str) -> Document:
        """By the source's name for it. DocumentError."""
        from layoutllm_tool.batch.sources import open_document

        return open_document(name)

    def document(self, key: str) -> Document:
        """Unread. StoreMismatch for an unknown key; DocumentUnreadable where the content is another by now."""
        with self._lock:
            if key not in self._kept:
                source, done = self._store.input_of(key), self._store.document(key)
                if source is None or done is None:
                    raise StoreMismatch("there is no such document.", hint="Load the page again.")
                document = self.open(source.name)
                if done.sha256 and document.sha256 != done.sha256:
                    raise DocumentUnreadable(
                        f"{document.name!r} is another document now than when it was read.",
                        hint="Run the batch on it again.",
                    )
                self._kept[key] = document
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]

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
        """The page's size and its lines with their boxes (0-1000): read, where they were not yet."""
        page: Page = self.document(key).page(number)
        if page.lines is None:
            page = self._reader().load(self.document(key)).page(number)
        lines = [{"text": line.text, "box": line.box.as_list()} for line in page.lines or ()]
        return {"page": number, "width": page.width, "height": page.height, "lines": lines}
