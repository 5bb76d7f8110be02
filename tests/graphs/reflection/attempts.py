"""Attempts made by hand for the reflector's tests: a page as text, the answer's words found on it."""

from __future__ import annotations

from typing import Any

from layoutllm_graphs.planning.plan import Constraint, PlannedQuestion
from layoutllm_graphs.reflection.checks.context import CheckInput
from layoutllm_graphs.reflection.types import Finding
from layoutllm_tool.cot import AnswerFormation, Area, Evidence, LayoutCoT, Operation, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box, Document
from layoutllm_tool.testing import document_from_text


def cot(
    document: Document,
    answer: str | None,
    *,
    key: str = "Total",
    area: str | None = None,
    question: str = "What is the total?",
    confidence: float = 0.9,
    operation: Operation = "extraction",
    nth: int = 0,
    kind: Any = "key-value",
) -> LayoutCoT:
    """The chain of a reader that took the answer from the ``nth`` line that spells it whole; ``area``: the
    text of another line.
    """
    analysis = QuestionAnalysis(kind, operation, key)
    evidence = () if answer is None else _evidence(document, answer)[nth : nth + 1]
    looked = _evidence(document, area, whole=True)[:1] if area is not None else evidence
    areas = tuple(Area(e.page, e.box, tuple({line for line, _ in e.words})) for e in looked)
    return LayoutCoT(
        question, analysis, areas, AnswerFormation("right of", key), answer, confidence, evidence
    )


def _evidence(document: Document, text: str, *, whole: bool = False) -> tuple[Evidence, ...]:
    wanted, found = text.split(), []
    for page in document.pages:
        for index, line in enumerate(page.lines or ()):
            texts = [word.text for word in line.words]
            for start in range(len(texts) - len(wanted) + 1):
                if texts[start : start + len(wanted)] == wanted and (not whole or line.text == text):
                    words = tuple((index, i) for i in range(start, start + len(wanted)))
                    box = Box.union(line.words[i].box for _, i in words)
                    found.append(Evidence(page.number, box, text, words))
    return tuple(found)


def attempt(page: str | Document, answer: str | LayoutCoT | None = None, **fields: Any) -> CheckInput:
    """``fields`` of the CheckInput, of its question (``text``, ``type``, ``is_list``, ...) and of its
    ``cot``.
    """
    document = document_from_text(page) if isinstance(page, str) else page
    own = {name: fields.pop(name) for name in ("earlier", "tried", "others", "constraints") if name in fields}
    asked = {
        name: fields.pop(name)
        for name in ("name", "type", "page", "is_list", "choices", "required")
        if name in fields
    }
    text = fields.pop("text", "What is the total?")
    chain = answer if isinstance(answer, LayoutCoT) else cot(document, answer, question=text, **fields)
    question = planned(**{"name": "total", "text": text} | asked)
    return CheckInput(question, chain, document, **own)


def planned(**fields: Any) -> PlannedQuestion:
    return PlannedQuestion.model_validate(fields)


def only(findings: Any) -> Finding:
    (finding,) = findings
    assert isinstance(finding, Finding)
    return finding


def texts_in(tried: CheckInput, finding: Finding) -> list[str]:
    """The lines that the finding's boxes point at."""
    assert finding.correction is not None
    page = tried.document.page(finding.correction.page or 1)
    return [(page.lines or ())[i].text for box in finding.correction.boxes for i in page.lines_in(box)]


def rule(kind: str, *terms: str, total: str | None = None) -> Constraint:
    return Constraint.model_validate({"kind": kind, "terms": list(terms), "total": total})
