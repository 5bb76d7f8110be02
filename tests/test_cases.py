"""Real files that once failed, through the shipped weights: the kinds of case that a release must go on
answering.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from layoutllm_tool.documents.geometry import Box
from layoutllm_tool.readers.local import LayoutLLMReader
from tests.paths import SHARED

CASES = SHARED / "cases"
KINDS = ("P01", "P03", "P13", "P15", "P17", "P19", "P21", "R09")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not there"),
]


def cases() -> list[Any]:
    listed = json.loads((CASES / "expected.json").read_text(encoding="utf-8")) if CASES.is_dir() else []
    kept = (case for case in listed if case["id"] in KINDS and case["mode"] == "ask" and not case["soft"])
    return [pytest.param(case, id=f"{case['id']} {case['variant']}") for case in kept]


@pytest.fixture(scope="module")
def reader() -> Iterator[LayoutLLMReader]:
    with LayoutLLMReader() as found:
        yield found


@pytest.mark.parametrize("case", cases())
def test_case(reader: LayoutLLMReader, case: dict[str, Any]) -> None:
    cot = reader.ask(reader.load(CASES / case["file"]), case["question"])
    if case["null"]:
        assert cot.answer is None
        return
    assert cot.answer is not None and plain(cot.answer) in map(plain, case["answers"])
    if case["box"]:
        assert case["box_page"] in (None, cot.evidence[0].page)
        assert cot.evidence[0].box.iou(Box(*case["box"])) >= case["min_iou"]


def plain(text: str) -> str:
    return "".join(text.split()).casefold()
