"""A batch to be reviewed, and the review page of it served on a port: for tests of the page and of its
API.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from layoutllm_graphs.planning.planner import plan_task
from layoutllm_tool.batch.store import DocumentResult, Input, Store
from layoutllm_tool.cot import AnswerFormation, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents import Access, load_document
from layoutllm_tool.documents.geometry import Box, Word
from layoutllm_tool.testing import FakeOCR, FakeReader
from layoutllm_tool.tool import LayoutLLMTool
from tests.batch_pages import answered
from tests.services import on_a_port

KEY, TOKEN = "a" * 32, "secret"
EVIL = "<img src=x onerror=window.bad=1>"
LINES = ["ACME Ltd", "Date: 2 May 2024", "Total: 12.50", f"Note: {EVIL}"]


def words(_: Any, lines: Sequence[str] = tuple(LINES)) -> list[Word]:
    return [
        Word(text, Box(100 + 130 * i, 100 + 100 * row, 220 + 130 * i, 140 + 100 * row), 1.0)
        for row, line in enumerate(lines)
        for i, text in enumerate(line.split())
    ]


def doubtful_batch(tmp_path: Path) -> tuple[Path, FakeReader]:
    """One drawn page, whose total is doubtful."""
    file = tmp_path / f"{EVIL.replace('/', '')}.png"
    image = Image.new("RGB", (700, 900), "white")
    for row, line in enumerate(LINES):
        ImageDraw.Draw(image).text((70, 90 + 90 * row), line, fill="black", font_size=26)
    image.save(file)
    folder, plan = tmp_path / "out", plan_task(["total", "date"]).plan.model_dump(mode="json")
    text = next(q["text"] for q in plan["questions"] if q["name"] == "total")
    analysis = QuestionAnalysis("key-value", "extraction", "Total")
    wrong = LayoutCoT(text, analysis, (), AnswerFormation("right of", "x"), EVIL + " 99", 0.2)
    reader = FakeReader({text: wrong}, ocr=FakeOCR(words))
    document = load_document(file, access=Access.anywhere())
    with Store.open(folder, {"plan": plan, "max_attempts": 1}) as store:
        tool = LayoutLLMTool(reader=reader, documents={str(file): document})
        store.enter([Input(0, str(file), None, KEY)])
        fields = answered(KEY, str(file), plan, tool)
        store.put(
            DocumentResult(KEY, "done", "failed", sha256=document.sha256, pages=1, rotated_pages=[]), fields
        )
    reader.answers.clear()
    return folder, reader


CITIES = ["Client: Acme GmbH", "Acme GmbH city: Berlin", "Zeta AG city: Rome", "Tax: 2.00", "Total: 12.00"]


def steered_batch(tmp_path: Path) -> tuple[Path, FakeReader]:
    """One drawn page, all satisfied: a question names another's answer, and an operation takes two."""
    file, folder = tmp_path / "a.png", tmp_path / "out"
    image = Image.new("RGB", (700, 900), "white")
    for row, line in enumerate(CITIES):
        ImageDraw.Draw(image).text((70, 90 + 90 * row), line, fill="black", font_size=26)
    image.save(file)
    texts = {"client": "What is the client?", "city": "What is the {client} city?"}
    texts |= {"tax": "What is the tax?", "total": "What is the total?"}
    asked = [{"name": n, "text": t, "type": "money" if n[0] == "t" else "text"} for n, t in texts.items()]
    net = {"name": "net", "op": "difference", "of": ["total", "tax"]}
    plan = plan_task({"questions": asked, "operations": [net]}).plan.model_dump(mode="json")
    reader, document = (
        FakeReader(ocr=FakeOCR(partial(words, lines=CITIES))),
        load_document(file, access=Access.anywhere()),
    )
    with Store.open(folder, {"plan": plan, "max_attempts": 1, "second_opinion": False}) as store:
        store.enter([Input(0, str(file), None, KEY)])
        tool = LayoutLLMTool(reader=reader, documents={str(file): document})
        fields = answered(KEY, str(file), plan, tool)
        store.put(
            DocumentResult(KEY, "done", "satisfied", sha256=document.sha256, pages=1, rotated_pages=[]),
            fields,
        )
    return folder, reader


@contextmanager
def served(batch: tuple[Path, FakeReader]) -> Iterator[str]:
    """The address with its token."""
    from layoutllm_tool.review_app.app import create_app

    with on_a_port(create_app(*batch, token=TOKEN), log_level="warning") as address:
        yield f"{address}/?token={TOKEN}"
