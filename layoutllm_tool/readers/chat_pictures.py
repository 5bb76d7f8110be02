"""A task's pages as LangChain's standard image blocks, with the segments' numbers drawn beside them.

A page is shown whole where all of its segments are shown, else cut to their surroundings: a picture shows
what the text shows.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

from layoutllm_tool.documents.drawing import numbered
from layoutllm_tool.documents.geometry import SCALE, Box, Page
from layoutllm_tool.readers.chat_prompts import Task
from layoutllm_tool.readers.crop import into, surroundings

PICTURE_SIDE = 1568
"""Pixels of a picture's long side at most: the large providers scale down what is larger, or charge more."""
MOST_PICTURES = 8
"""Pages with pictures in one request."""
_QUALITY = 90
"""Of the JPEG: a picture stays under 5 MB, the least that the large providers allow."""
_WHOLE = Box(0, 0, SCALE, SCALE)


def pictures(task: Task) -> list[dict[str, Any]]:
    """For each page with a picture: a text block that says which part is shown, and the image block."""
    pages = {segment.page.number: segment.page for segment in task.segments}
    return [block for page in pages.values() for block in _blocks(task, page)]


def _blocks(task: Task, page: Page) -> Iterator[dict[str, Any]]:
    if page.image is None:
        return
    frame = _frame(task, page)
    yield {"type": "text", "text": f"Picture of page {page.number}, the part {frame.as_list()} of it:"}
    yield {"type": "image", "base64": _picture(task, page, frame), "mime_type": "image/jpeg"}


def _frame(task: Task, page: Page) -> Box:
    """What is shown of the page."""
    boxes = [segment.box for segment in task.segments if segment.page.number == page.number]
    shown = {segment.line for segment in task.segments if segment.page.number == page.number}
    return _WHOLE if len(shown) == len(page.lines or ()) else surroundings(page, Box.union(boxes))


def _picture(task: Task, page: Page, frame: Box) -> str:
    """The part as base64 JPEG, with the number of each segment."""
    assert page.image is not None
    x0, y0, x1, y1 = frame.to_pixels(*page.image.size)
    image = page.image.crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))).convert("RGB")
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    segments = enumerate(task.segments, start=1)
    boxes = {number: into(s.box, frame) for number, s in segments if s.page.number == page.number}
    buffer = io.BytesIO()
    numbered(image, boxes).save(buffer, "JPEG", quality=_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode()
