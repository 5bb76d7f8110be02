"""What a door gets and gives, and what all doors share."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from layoutllm_tool.documents import Limits
from tests.pdfs import make_pdf, text

PAGE_SECONDS, TASK_SECONDS, REQUEST_SECONDS, LIST_SECONDS = 3.0, 5.0, 10.0, 15.0
LIMITS = Limits(page_seconds=PAGE_SECONDS, document_seconds=2 * PAGE_SECONDS, max_pages=4)
LETTER = make_pdf(text("Vendor: Shop", 72, 700) + text("Total: 12.50", 72, 650))
_AT_THE_HEADER = re.compile(
    r"UnidentifiedImageError|load document|not read here|no JSON|can't be read:|arguments don't fit|"
    r"Input should|Extra inputs|Field required|exactly one"
)
"""What errors say of inputs that were not opened at all, or did not fit their schema."""


class Fault(Exception):
    """The package broke a promise without raising."""


@dataclass(frozen=True, slots=True)
class Input:
    """``data`` for the door of that name; the door has ``seconds``."""

    door: str
    data: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """``said``: "answered", or the class of the refusal. ``deep``: whether it got past the check of the
    header.
    """

    said: str
    deep: bool


ANSWERED = Outcome("answered", deep=True)


def refusal(kind: str, message: str) -> Outcome:
    return Outcome(kind, not _AT_THE_HEADER.search(message))


@cache
def folder() -> Path:
    """Of this process; gone with it."""
    own = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return own
