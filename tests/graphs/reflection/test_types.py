"""Results as they are stored: what an earlier version wrote is read, and is written the same again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from layoutllm_graphs.reflection.types import Attempt, QuestionResult
from layoutllm_tool.cot import Correction
from layoutllm_tool.testing import document_from_text
from tests.graphs.reflection.attempts import cot

BOTTOM = (
    '{"step": "area", "text": "", "kind": null, "page": 1, "boxes": [[0.0, 500.0, 500.0, 1000.0]], '
    '"avoid": [], "spatial": "bottom left", "expected_type": null, "wrong": []}'
)
COT = (
    '{"question": "What is the vendor?", "answer": "Zeta AG", "page": 1, "box": [154, 833, 262, 1000], '
    '"area": [0, 833, 262, 1000], "confidence": 0.9231, "grounded": true, "steps": {"question_analysis": '
    '"A key-value question; its answer is copied from the page. Key information to look for: \\"vendor\\".", '
    '"relevant_area_concentration": "page 1 [0, 833, 262, 1000]", "answer_formation": '
    '"The answer stands right of \\"Vendor:\\". Answer: Zeta AG"}, "analysis": {"kind": "key-value", '
    '"operation": "extraction", "key": "vendor"}, "areas": [{"page": 1, "box": [0.0, 833.33, 261.54, 1000.0],'
    ' "lines": [7, 8]}], "formation": {"relation": "right of", "key": "Vendor:"}, "evidence": [{"page": 1, '
    '"box": [153.85, 833.33, 261.54, 1000.0], "text": "Zeta AG", "words": [[8, 0], [8, 1]]}], '
    '"signals": {"key_share": 1.0}'
)
READ = COT + ', "document": {"name": "a.png", "sha256": "67ae"}}'
"""As the tool's artifact has it; an answer that was read again, or written, has no document."""
FINDING = (
    f'{{"check": "spatial", "step": "area", "reason": "Elsewhere.", "correction": {BOTTOM}, "weight": 0.9}}'
)
STORED = (
    f'{{"attempts": [{{"cot": {READ}, "correction": null, "reflection": '
    f'{{"verdict": "needs_revision", "findings": [{FINDING}], "correction": {BOTTOM}}}}}, '
    f'{{"cot": {COT}}}, "correction": {BOTTOM}, "reflection": {{}}}}], '
    '"best": 0, "verdict": "failed", "error": null, "by": "reader", "calls": 2}'
)


def test_what_was_stored_is_read_and_written_the_same() -> None:
    result = QuestionResult.from_json(json.loads(STORED))
    assert json.dumps(result.to_json()) == STORED
    first, second = result.attempts
    assert first.document == {"name": "a.png", "sha256": "67ae"} and second.document is None
    assert first.correction is None and second.reflection is None
    assert second.correction == result.next_correction == Correction.from_json(json.loads(BOTTOM))
    assert result.cot is first.cot and result.reasons == ["Elsewhere."] and result.needs_review


def test_without_attempts() -> None:
    result = QuestionResult()
    assert json.dumps(result.to_json()) == (
        '{"attempts": [], "best": null, "verdict": "failed", "error": null, "by": "reader", "calls": 0}'
    )
    assert QuestionResult.from_json(result.to_json()) == result
    assert (result.cot, result.next_correction, result.reasons) == (None, None, [])


def test_an_attempt_that_is_added_is_the_best_and_changes_alone() -> None:
    page = document_from_text("Total:  12.50")
    first, second = cot(page, "12.50"), cot(page, None)
    result = QuestionResult().add(Attempt(first)).add(Attempt(second))
    assert result.best == 1 and result.cot is second
    changed = result.change_best(cot=first)
    assert [attempt.cot for attempt in changed.attempts] == [first, first] and result.cot is second


@pytest.mark.parametrize("name", ["attempts", "best", "verdict", "error", "by", "calls"])
def test_a_result_that_lacks_a_value_is_none(name: str) -> None:
    data: dict[str, Any] = json.loads(STORED)
    del data[name]
    with pytest.raises(KeyError, match=name):
        QuestionResult.from_json(data)
