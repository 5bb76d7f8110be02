"""Documents written by hand: what the files hold, and that a drawing keeps questions and answers together."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest

from layoutllm_tool.training.synthetic import build, written

EVERY = (*written.documents("train"), *written.documents("test"))


def test_every_answer_is_copied_from_its_line() -> None:
    assert len(EVERY) > 350 and len({document["language"] for document in EVERY}) > 8
    for document in EVERY:
        for question in document["questions"]:
            assert question["q"].strip() and (question["a"] is None) == (
                question["type"] in ("blank", "absent")
            )
            parts = [question["a"]] if isinstance(question["a"], str) else question["a"] or []
            for number, part in enumerate(parts, start=question.get("line", 0)):
                assert part in document["lines"][number], (document["kind"], question)


def test_documents_kept_back_are_no_others() -> None:
    kept, rest = ({str(one) for one in written.documents(part)} for part in ("test", "train"))
    assert kept and not kept & rest and len(kept) + len(rest) == len(EVERY)


def test_a_drawing_keeps_answers_and_changes_long_numbers_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_RATES", (0.0,))
    monkeypatch.setattr(build, "_LOOSE", (0.0,))
    found = wanted = 0
    for number, document in enumerate(EVERY[::25]):
        page, asked = written.page(Random(number), document)
        by_question = {one.question: one for one in asked}
        for question in document["questions"]:
            wanted += 1
            if (one := by_question.get(question["q"])) is None:
                continue
            found += 1
            assert (one.answer is None) == (question["a"] is None)
            if isinstance(question["a"], str) and not any(map(str.isdigit, question["a"])):
                assert question["a"] in (one.answer or "")
            words = " ".join((page.lines or ())[i].words[j].text for i, j in one.words)
            assert one.answer is None or one.answer in words
    assert found > 0.9 * wanted


def test_pages_are_the_same_for_a_seed() -> None:
    one, other = (list(islice(written.pages(7), 3)) for _ in range(2))
    assert [page.text for page, _ in one] == [page.text for page, _ in other]
    assert [asked for _, asked in one] == [asked for _, asked in other]
