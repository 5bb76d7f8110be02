"""Documents for tests of batches: PDFs with a text layer, which a FakeReader reads without text
recognition, and what can't be read.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from layoutllm_graphs.batch.worker import OUTPUTS, fields_of
from layoutllm_graphs.context import Context
from layoutllm_graphs.state import Request
from layoutllm_graphs.workflow import build_workflow
from layoutllm_tool.batch.store import Field
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.testing import FakeReader
from layoutllm_tool.tool import LayoutLLMTool
from tests.pdfs import make_pdf, text

TASK = "What is the vendor? What is the total? What is the vendor at the bottom left?"
"""Plain, and a question that is doubtful where it is asked once: a FakeReader takes the first vendor of
two.
"""


_ITEM = {
    "type": "object", "required": ["description", "amount"],
    "properties": {
        "description": {"type": "string"}, "quantity": {"type": "integer"}, "amount": {"type": "number"},
    },
}  # fmt: skip
ORDER = {
    "type": "object", "required": ["vendor", "total", "items"],
    "properties": {
        "vendor": {"type": "string"}, "total": {"type": "number"},
        "items": {"type": "array", "items": _ITEM},
    },
}  # fmt: skip
"""A JSON Schema of what ``order`` draws."""


def order(number: int, *, damaged: bool = False) -> bytes:
    """An invoice with three items; its second amount can't be read as a number where it is damaged."""
    lines = [("Vendor:", 72, 700), (f"Shop {number}", 200, 700), ("Total:", 72, 560)]
    lines += [(text, x, 660) for text, x in (("Description", 72), ("Quantity", 250), ("Amount", 350))]
    for i in range(3):
        amount = "1.5.0" if damaged and i == 1 else f"{number + i}.50"
        lines += [(f"Widget {'ABC'[i]}", 72, 640 - 20 * i), (str(i + 1), 250, 640 - 20 * i)]
        lines.append((amount, 350, 640 - 20 * i))
    lines.append((f"{3 * number + 4}.50", 350, 560))
    return make_pdf("".join(text(words, x, y) for words, x, y in lines))


def items(number: int) -> list[dict[str, Any]]:
    """The record's items of ``order(number)``."""
    names = ("Widget A", "Widget B", "Widget C")
    return [
        {"description": name, "quantity": i + 1, "amount": number + i + 0.5} for i, name in enumerate(names)
    ]


def invoice(number: int) -> bytes:
    """Words at known places; every number's is another document."""
    lines = [
        ("Vendor:", 72, 700),
        (f"Shop {number}", 200, 700),
        ("Total:", 72, 650),
        (f"{number}.50", 200, 650),
    ]
    if number % 2:
        lines += [("Vendor:", 72, 100), ("Zeta", 200, 100)]
    return make_pdf("".join(text(words, x, y) for words, x, y in lines))


def fill(folder: Path, count: int) -> Path:
    """So many invoices, one of them twice, and four documents that fail each in its own way."""
    (folder / "more").mkdir(parents=True)
    for number in range(count):
        place = folder / "more" if number % 3 == 2 else folder
        (place / f"{number:03}.pdf").write_bytes(invoice(number))
    (folder / "again.pdf").write_bytes(invoice(0))
    (folder / "corrupt.png").write_bytes(b"\x89PNG\r\n\x1a\n, and no more")
    (folder / "empty.pdf").write_bytes(b"")
    (folder / "long.pdf").write_bytes(make_pdf(*[text("page", 72, 700)] * 60))
    (folder / "locked.pdf").write_bytes(locked())
    (folder / ".hidden.pdf").write_bytes(invoice(1))
    (folder / "notes.txt").write_text("no document")
    return folder


def locked() -> bytes:
    """Says that it is encrypted; no password opens it."""
    entry = b"<< /Filter /Standard /V 1 /R 2 /O <" + b"00" * 32 + b"> /U <" + b"11" * 32 + b"> /P -4 >>"
    plain = make_pdf(text("secret", 72, 700), extra=[entry])
    return plain.replace(
        b"trailer << /Root 1 0 R", b"trailer << /Root 1 0 R /ID [<00> <00>] /Encrypt 100 0 R"
    )


def answered(key: str, name: str, plan: dict[str, Any], tool: LayoutLLMTool) -> list[Field]:
    """The fields of one document, each question asked once."""
    request, context = (
        Request(document=name, task=plan),
        Context(tool=tool, max_attempts=1, second_opinion=False),
    )
    values = build_workflow().compile().invoke(request, context=context, output_keys=OUTPUTS)
    return fields_of(key, values)


class Slow(FakeReader):
    """Takes its time."""

    def ask(self, document: Any, question: str, **options: Any) -> LayoutCoT:
        time.sleep(0.02)
        return super().ask(document, question, **options)


class Awkward(FakeReader):
    """Falls dead on the document of 3, hangs on 4, and has a bug on 5."""

    def ask(self, document: Any, question: str, **options: Any) -> LayoutCoT:
        words = {word.text for page in document.pages for word in page.words}
        if "3.50" in words:
            os.kill(os.getpid(), signal.SIGKILL)
        if "4.50" in words:
            time.sleep(600)
        if "5.50" in words:
            raise ZeroDivisionError("a bug")
        return super().ask(document, question, **options)


def without(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]
